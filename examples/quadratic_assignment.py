"""Assigns facilities to places so that the sum of flow times distance is smallest."""

import itertools

from azure.quantum import Workspace
from azure.quantum.optimization import ParallelTempering, Problem, ProblemType, Term

flow = [[0, 3, 0, 2], [3, 0, 1, 0], [0, 1, 0, 4], [2, 0, 4, 0]]
distance = [[0, 22, 53, 53], [22, 0, 40, 62], [53, 40, 0, 55], [53, 62, 55, 0]]
n = len(flow)
penalty = 600


def in_place(facility, place):
    """Id of the bit that is 1 if the facility is in the place."""
    return facility * n + place


terms = []
for f, g in itertools.permutations(range(n), 2):
    for p, q in itertools.permutations(range(n), 2):
        if flow[f][g]:
            terms.append(Term(c=flow[f][g] * distance[p][q], indices=[in_place(f, p), in_place(g, q)]))
for k in range(n):
    for line in ([in_place(k, p) for p in range(n)], [in_place(f, k) for f in range(n)]):
        terms.append(Term(c=penalty, indices=[]))
        terms += [Term(c=-penalty, indices=[i]) for i in line]
        terms += [Term(c=2 * penalty, indices=[i, j]) for i, j in itertools.combinations(line, 2)]

workspace = Workspace(subscription_id="", resource_group="", name="", location="")
problem = Problem("Quadratic assignment", terms, problem_type=ProblemType.pubo)
result = ParallelTempering(workspace, timeout=10, seed=2).optimize(problem)

places = [next(p for p in range(n) if result["configuration"][str(in_place(f, p))]) for f in range(n)]
least = min(
    sum(flow[f][g] * distance[order[f]][order[g]] for f in range(n) for g in range(n))
    for order in itertools.permutations(range(n))
)
print("places", places, "cost", result["cost"])
assert sorted(places) == list(range(n))
assert result["cost"] == least
