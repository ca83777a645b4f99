"""Distributes containers over several ships of equal load, with squared linear combinations."""

from azure.quantum import Workspace
from azure.quantum.optimization import GroupType, Problem, ProblemType, SimulatedAnnealing, Term

weights = [3, 8, 3, 4, 1, 5, 2, 2, 7, 9, 5, 4, 8, 9, 4, 6, 8, 7, 6, 2]
ships = 4
share = sum(weights) / ships


def on(container, ship):
    """Id of the bit that is 1 if the container is on the ship."""
    return container * ships + ship


problem = Problem(name="Multi-ship loading", problem_type=ProblemType.pubo_grouped)
for ship in range(ships):  # every ship carries an equal share
    load = [Term(c=w, indices=[on(container, ship)]) for container, w in enumerate(weights)]
    problem.add_terms([*load, Term(c=-share, indices=[])], term_type=GroupType.squared_linear_combination, c=1)
for container, w in enumerate(weights):  # every container is on one ship
    problem.add_slc_term([*((1, on(container, ship)) for ship in range(ships)), (-1, None)], c=2 * w)

workspace = Workspace(subscription_id="", resource_group="", name="", location="")
result = SimulatedAnnealing(workspace, timeout=10, seed=7).optimize(problem)

loads = [
    sum(w for container, w in enumerate(weights) if result["configuration"][str(on(container, ship))])
    for ship in range(ships)
]
print("loads", loads)
assert sum(loads) == sum(weights)
assert max(loads) - min(loads) <= 1
