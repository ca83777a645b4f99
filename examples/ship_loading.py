"""Splits containers between two ships so that both have the same load."""

from azure.quantum import Workspace
from azure.quantum.optimization import ParallelTempering, Problem, ProblemType, Term


def create_problem(weights):
    """The squared difference of the ships' loads; the spin of a container selects its ship."""
    terms = [Term(c=w * w, indices=[]) for w in weights]
    for i in range(len(weights)):
        for j in range(i + 1, len(weights)):
            terms.append(Term(c=2 * weights[i] * weights[j], indices=[i, j]))
    return Problem(name="Ship loading", problem_type=ProblemType.ising, terms=terms)


workspace = Workspace(subscription_id="", resource_group="", name="", location="")
weights = [1, 5, 9, 21, 35, 5, 3, 5, 10, 11]
result = ParallelTempering(workspace, timeout=10).optimize(create_problem(weights))

ships = {1: [], -1: []}
for container, ship in result["configuration"].items():
    ships[ship].append(weights[int(container)])
for number, load in enumerate(ships.values()):
    print(f"ship {number}: {load}, {sum(load)} in total")
assert abs(sum(ships[1]) - sum(ships[-1])) == sum(weights) % 2
assert result["cost"] == sum(weights) % 2
