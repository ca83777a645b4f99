"""Finds the shortest tour that begins and ends at the first place."""

import itertools

from azure.quantum import Workspace
from azure.quantum.optimization import Problem, ProblemType, SimulatedAnnealing, Term

distance = [
    [0, 4, 9, 3, 8],
    [4, 0, 5, 7, 6],
    [9, 5, 0, 4, 2],
    [3, 7, 4, 0, 7],
    [8, 6, 2, 7, 0],
]
n = len(distance)
penalty = 30


def at(step, place):
    """Id of the bit that is 1 if the tour visits the place in this step."""
    return step * n + place


terms = []
for step in range(n):
    for a, b in itertools.permutations(range(n), 2):
        terms.append(Term(c=distance[a][b], indices=[at(step, a), at((step + 1) % n, b)]))
for k in range(n):  # one place per step, and one step per place
    for line in ([at(k, place) for place in range(n)], [at(step, k) for step in range(n)]):
        terms.append(Term(c=penalty, indices=[]))
        terms += [Term(c=-penalty, indices=[i]) for i in line]
        terms += [Term(c=2 * penalty, indices=[i, j]) for i, j in itertools.combinations(line, 2)]
terms.append(Term(c=-penalty, indices=[at(0, 0)]))  # the tour begins at the first place

workspace = Workspace(subscription_id="", resource_group="", name="", location="")
problem = Problem("Travelling salesperson", terms, problem_type=ProblemType.pubo)
result = SimulatedAnnealing(workspace, timeout=10, seed=4).optimize(problem)

tour = [next(place for place in range(n) if result["configuration"][str(at(step, place))]) for step in range(n)]
length = sum(distance[a][b] for a, b in itertools.pairwise([*tour, tour[0]]))
shortest = min(
    sum(distance[a][b] for a, b in itertools.pairwise([0, *order, 0])) for order in itertools.permutations(range(1, n))
)
print("tour", tour, "of length", length)
assert sorted(tour) == list(range(n))
assert tour[0] == 0
assert length == shortest
