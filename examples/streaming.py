"""Uploads a problem while it is built, and solves it twice: the second run uses parameters that the first one found."""

import random

from azure.quantum import Workspace
from azure.quantum.optimization import ProblemType, SimulatedAnnealing, StreamingProblem

random.seed(1)
side = 16
workspace = Workspace(subscription_id="", resource_group="", name="", location="")

problem = StreamingProblem(workspace, name="Planted lattice", problem_type=ProblemType.ising)
planted = [random.choice((-1, 1)) for _ in range(side * side)]
for row in range(side):
    for col in range(side):
        here = row * side + col
        for there in (row * side + (col + 1) % side, (row + 1) % side * side + col):
            problem.add_term(c=-planted[here] * planted[there], indices=[here, there])
print(problem.stats)

free = SimulatedAnnealing(workspace, timeout=10, seed=1).optimize(problem)
found = free["parameters"]
print("found", found)
fixed = SimulatedAnnealing(
    workspace,
    beta_start=found["beta_start"],
    beta_stop=found["beta_stop"],
    sweeps=1000,
    restarts=64,
    seed=2,
).optimize(problem)
assert free["cost"] == fixed["cost"] == -2 * side * side
