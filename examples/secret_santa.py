"""Every person gives to one other person, but not to a relative; the solver returns several solutions."""

import itertools

from azure.quantum import Workspace
from azure.quantum.optimization import Problem, ProblemType, SimulatedAnnealing, Term

people = ["Tess", "Vincent", "Uma", "Walt"]
relatives = [("Tess", "Vincent")]
pairs = [
    (giver, taker)
    for giver, taker in itertools.permutations(people, 2)
    if (giver, taker) not in relatives and (taker, giver) not in relatives
]

terms = []
for person in people:
    for line in (
        [i for i, p in enumerate(pairs) if p[0] == person],
        [i for i, p in enumerate(pairs) if p[1] == person],
    ):
        terms.append(Term(c=1, indices=[]))
        terms += [Term(c=-1, indices=[i]) for i in line]
        terms += [Term(c=2, indices=[i, j]) for i, j in itertools.combinations(line, 2)]

workspace = Workspace(subscription_id="", resource_group="", name="", location="")
solver = SimulatedAnnealing(workspace, timeout=5, seed=12)
solver.set_number_of_solutions(4)
result = solver.optimize(Problem("Secret santa", terms, problem_type=ProblemType.pubo))

ways = [s["configuration"] for s in result["solutions"] if s["cost"] == 0]
for way in ways:
    chosen = [pairs[i] for i in range(len(pairs)) if way[str(i)]]
    print(", ".join(f"{giver} gives to {taker}" for giver, taker in chosen))
    assert sorted(giver for giver, _ in chosen) == sorted(taker for _, taker in chosen) == sorted(people)
assert len(ways) == 4
