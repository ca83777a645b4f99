"""Solves many small problems at the same time, with asyncio."""

import asyncio

from azure.quantum.aio import Workspace
from azure.quantum.aio.optimization import Problem, ProblemType, SimulatedAnnealing
from azure.quantum.optimization import Term


async def solve(workspace, n):
    """The lowest cost of a ring of n spins, in which neighbours prefer different values."""
    terms = [Term(c=1, indices=[i, (i + 1) % n]) for i in range(n)]
    problem = Problem(name=f"Ring of {n}", problem_type=ProblemType.ising, terms=terms)
    job = await SimulatedAnnealing(workspace, timeout=5, seed=n).submit(problem)
    results = await job.get_results()
    return results["cost"]


async def main():
    """Solve the rings of 3 to 10 spins."""
    workspace = Workspace(subscription_id="", resource_group="", name="", location="")
    sizes = range(3, 11)
    costs = await asyncio.gather(*(solve(workspace, n) for n in sizes))
    print(dict(zip(sizes, costs)))  # noqa: B905
    assert costs == [-n if n % 2 == 0 else 2 - n for n in sizes]
    jobs = await workspace.list_jobs(name_match="^Ring of ")
    assert len(jobs) >= len(sizes)


asyncio.run(main())
