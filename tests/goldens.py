"""Results of every target on small problems, kept over versions in ``goldens.json``; ``make goldens`` writes it again.

All coefficients are multiples of 1/4, so costs are exact in whatever order they are added, and searches compare the
same numbers on every machine. What remains is the rounding of exp and log in acceptance probabilities, which differs
between mathematical libraries in the last of 53 bits: the chance that it decides one of these short searches is some
10**-11. Time limits are so long that none of them decides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import qiosk
from qiosk.errors import InvalidInput
from qiosk.optimization import Problem, SlcTerm, Term
from qiosk.problem import ProblemType
from qiosk.solvers.result import Result
from qiosk.solvers.targets.catalogue import target as target_of
from qiosk.solvers.targets.catalogue import targets

FILE = Path(__file__).with_name("goldens.json")
SEED = 20260
LONG_S = 10_000.0

Golden = list[object]
"""Cost, configuration (the bits that are set, or are 1 of ±1, as a hexadecimal number), and the stop reason."""

PARAMETERS: Mapping[str, Mapping[str, object]] = {
    "1qbit.pathrelinking": {"ref_set_count": 3},
    "1qbit.pticm": {"max_total_sweeps": 20, "num_sweeps_per_run": 5, "num_temps": 5, "num_replicas": 2},
    "1qbit.tabu": {"improvement_cutoff": 20},
    "microsoft.paralleltempering.cpu": {"sweeps": 2, "replicas": 2},
    "microsoft.populationannealing.cpu": {"sweeps": 2, "population": 4},
    "microsoft.qmc.cpu": {"sweeps": 5, "trotter_number": 4, "restarts": 1},
    "microsoft.simulatedannealing.cpu": {"sweeps": 2, "restarts": 2},
    "microsoft.substochasticmontecarlo.cpu": {"step_limit": 50, "target_population": 4},
    "microsoft.tabu.cpu": {"sweeps": 5, "restarts": 1},
    "toshiba.sbm.ising": {"steps": 10, "loops": 1},
}
"""So short that most searches do not find the optimum; parameter-free targets run until they have converged."""


def problems() -> dict[str, Problem]:
    """The problems by name: each has more variables than are enumerated where no bound is wanted."""
    return {
        "ising": _terms(ProblemType.ising, 48, {1: 10, 2: 120}),
        "ising of higher locality": _terms(ProblemType.ising, 32, {2: 30, 3: 30, 4: 20}),
        "pubo of higher locality": _terms(ProblemType.pubo, 32, {1: 20, 2: 30, 3: 30, 5: 10}),
        "sparse qubo": _terms(ProblemType.pubo, 60, {1: 60, 2: 120}),
        "dense qubo": _terms(ProblemType.pubo, 40, {1: 40, 2: 780}),
        "assignment": _assignment(5),
        "squares": _squares(30),
    }


def _terms(kind: ProblemType, n: int, counts: Mapping[int, int]) -> Problem:
    """Random distinct terms, so many of each number of variables."""
    rng = np.random.default_rng([SEED, n, *counts.values()])
    terms: dict[tuple[int, ...], float] = {}
    for size, count in counts.items():
        wanted = len(terms) + count
        while len(terms) < wanted:
            ids = tuple(sorted(rng.choice(n, size, replace=False).tolist()))
            terms.setdefault(ids, float(rng.choice([-3, -2, -1, 1, 2, 3])) * (0.25 if size % 2 else 1.0))
    return Problem("terms", [Term(c=c, indices=list(ids)) for ids, c in terms.items()], problem_type=kind)


def _assignment(n: int) -> Problem:
    """A quadratic assignment; the rows and columns of the matrix of bits are one-hot groups."""
    rng = np.random.default_rng([SEED, n])
    distances, flows = rng.integers(1, 9, (2, n, n)).tolist()
    bits = np.arange(n * n).reshape(n, n)
    problem = Problem("assignment", problem_type=ProblemType.pubo)
    for group in (*bits.tolist(), *bits.T.tolist()):
        problem.add_one_hot(group, penalty=100)
    for a, b in np.argwhere(~np.eye(n, dtype=bool)).tolist():
        for i, j in np.argwhere(~np.eye(n, dtype=bool)).tolist():
            problem.add_term(c=flows[a][b] * distances[i][j], indices=[int(bits[a, i]), int(bits[b, j])])
    return problem


def _squares(n: int) -> Problem:
    """Fields, and squared linear combinations of spins."""
    rng = np.random.default_rng([SEED, n])
    groups = []
    for _ in range(2):
        members = [Term(c=int(c), indices=[i]) for i, c in enumerate(rng.integers(-2, 3, n)) if c]
        groups.append(SlcTerm([*members, Term(c=int(rng.integers(-5, 6)), indices=[])], c=0.25))
    fields = [Term(c=0.5 * int(c), indices=[i]) for i, c in enumerate(rng.integers(1, 20, n))]
    return Problem("squares", [*fields, *groups])


def golden(target: str, problem: Problem, **options: object) -> Golden | None:
    """The result of a target on a problem; None where it takes no problems of this kind."""
    limit = {"timeout": LONG_S, "bound": "none"} if target_of(target).is_parameter_free else {}
    try:
        result = qiosk.solve(problem, target, seed=SEED, **limit, **PARAMETERS.get(target, {}), **options)
    except InvalidInput:
        return None
    return [result.cost, _hexadecimal(result), result.stop_reason]


def _hexadecimal(result: Result) -> str:
    bits = "".join("1" if value > 0 else "0" for value in result.configuration.values())
    return f"{int(bits, 2):x}"


def compute(**options: object) -> dict[str, dict[str, Golden | None]]:
    """What ``goldens.json`` holds: results by target and problem."""
    given = problems()
    return {t.id: {name: golden(t.id, problem, **options) for name, problem in given.items()} for t in targets()}


def read() -> dict[str, dict[str, Golden | None]]:
    """The results of the versions before."""
    found: dict[str, dict[str, Golden | None]] = json.loads(FILE.read_text())
    return found


def write() -> None:
    """Replace the file, and print what is different from now on."""
    before = read() if FILE.exists() else {}
    after = compute()
    rows = [
        "  "
        + json.dumps(target)
        + ": {\n"
        + ",\n".join(f"    {json.dumps(n)}: {json.dumps(g)}" for n, g in found.items())
        + "\n  }"
        for target, found in after.items()
    ]
    FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    changed = [(t, n) for t, found in after.items() for n, g in found.items() if before.get(t, {}).get(n) != g]
    for target, name in changed:
        print(f"{target}, {name}: {before.get(target, {}).get(name)} -> {after[target][name]}")
    print(f"{len(changed)} results changed" + ("; add a changelog fragment that says why" if changed else ""))


if __name__ == "__main__":
    write()
