"""Packs the items of largest value within a weight limit; slack bits turn the limit into an equality."""

from azure.quantum import Workspace
from azure.quantum.optimization import Problem, ProblemType, Tabu, Term

values = [8, 47, 10, 5, 16]
weights = [3, 11, 14, 19, 5]
limit = 26
penalty = 50
slack = [1, 2, 4, 8, 11]  # every sum from 0 to 26

coefficients = weights + slack
terms = [Term(c=-value, indices=[item]) for item, value in enumerate(values)]
terms.append(Term(c=penalty * limit**2, indices=[]))
for i, a in enumerate(coefficients):
    terms.append(Term(c=penalty * (a * a - 2 * limit * a), indices=[i]))
    terms += [Term(c=2 * penalty * a * coefficients[j], indices=[i, j]) for j in range(i + 1, len(coefficients))]

workspace = Workspace(subscription_id="", resource_group="", name="", location="")
result = Tabu(workspace, timeout=10, seed=48).optimize(Problem("Knapsack", terms, problem_type=ProblemType.pubo))

packed = [item for item in range(len(values)) if result["configuration"][str(item)]]
print("packed", packed, "value", sum(values[item] for item in packed))
assert packed == [0, 1, 4]
assert result["cost"] == -71
