"""``python -m benchmarks.bounds.proofs [--limit 60] [--peer-limit 20] [FAMILY:SIZE …]``.

Processor seconds of one thread and nodes until branch and bound has proved the optimum of two random problems of each
kind, with no search beside it, and what HiGHS does with the first one as a mixed integer program, in one thread.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable

import numpy as np

from qiosk.bounds.choice import Bounder
from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.solvers.bounding import warm_up

Terms = list[tuple[float, tuple[int, ...]]]
SEEDS = (1, 2)
DEFAULT = (
    "units:60", "units:80", "units:100", "normal:80", "cut50:80", "cut90:80", "qubo50:80", "qubo100:80", "qubo100:100",
    "weights:80", "sparse20:80", "torus:20", "torus:30", "regular:300",
)  # fmt: skip


def _pairs(n: int, density: float, draw: Callable[[], float], rng: np.random.Generator) -> Terms:
    return [(draw(), pair) for pair in itertools.combinations(range(n), 2) if rng.random() < density]


def _torus(n: int, draw: Callable[[], float]) -> Terms:
    cells = itertools.product(range(n), range(n), ((0, 1), (1, 0)))
    return [(draw(), (n * x + y, n * ((x + dx) % n) + (y + dy) % n)) for x, y, (dx, dy) in cells]


def _regular(n: int, draw: Callable[[], float], rng: np.random.Generator) -> Terms:
    """Degree 3, all pairs different."""
    while True:
        ends = np.sort(rng.permutation(np.repeat(np.arange(n), 3)).reshape(-1, 2), axis=1).tolist()
        if all(u != v for u, v in ends) and len({tuple(pair) for pair in ends}) == len(ends):
            return [(draw(), (u, v)) for u, v in ends]


def problem_of(family: str, n: int, seed: int) -> CompiledProblem:
    """A random problem: couplings ±1 or normal (to three digits), max-cut, QUBO of a density in percent, and so on."""
    rng = np.random.default_rng((seed, n))
    sign = lambda: float(rng.choice([-1, 1]))  # noqa: E731
    kind = ProblemType.ising
    if family.startswith("qubo"):
        kind = ProblemType.pubo
        entries = lambda: float(rng.integers(-100, 101))  # noqa: E731
        terms = _pairs(n, int(family[4:]) / 100, lambda: 2.0 * entries(), rng)
        terms += [(entries(), (i,)) for i in range(n)]
    elif family.startswith("cut"):
        terms = _pairs(n, int(family[3:]) / 100, lambda: 1.0, rng)
    elif family.startswith("sparse"):
        terms = _pairs(n, int(family[6:]) / 100, sign, rng)
    elif family == "torus":
        terms = _torus(n, sign)
    elif family == "regular":
        terms = _regular(n, sign, rng)
    else:
        draw = {
            "units": sign,
            "normal": lambda: round(float(rng.normal()), 3),
            "weights": lambda: float(rng.integers(-10, 11)),
        }[family]
        terms = _pairs(n, 1.0, draw, rng)
    terms = [(c, ids) for c, ids in terms if c]
    indptr = np.cumsum([0, *(len(ids) for _, ids in terms)])
    ids = np.array([i for _, some in terms for i in some], np.int64)
    return compile_problem(CostFunction(kind, np.array([c for c, _ in terms]), indptr, ids))


def proved(problem: CompiledProblem, limit: float) -> tuple[float, int, float | None]:
    """Processor seconds [s], nodes (0: the trivial bound is the minimum), and the minimum; None if it took too long."""
    began = time.process_time()
    bounder = Bounder(problem, "branch", 1)
    while not bounder.is_done and time.process_time() - began < limit:
        bounder.step()
    seconds, best = time.process_time() - began, bounder.best
    return seconds, int(best.certificate.get("nodes", 0)), best.value if bounder.is_done else None


def by_highs(problem: CompiledProblem, limit: float) -> tuple[float, float, float]:
    """Processor seconds [s], and HiGHS's best cost and bound, of products of bits as continuous variables."""
    import highspy

    p, model = problem, highspy.Highs()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("threads", 1)
    model.setOptionValue("time_limit", limit)
    model.setOptionValue("mip_rel_gap", 0.0)
    linear, constant, couplings = p.linear.copy(), p.constant, p.pair_values
    if p.is_spin:  # s = 1 - 2 x
        constant += float(p.linear.sum() + p.pair_values.sum())
        linear *= -2.0
        np.subtract.at(linear, p.pair_rows, 2.0 * p.pair_values)
        np.subtract.at(linear, p.pair_cols, 2.0 * p.pair_values)
        couplings = 4.0 * p.pair_values
    for c in linear.tolist():
        model.addVar(0.0, 1.0)
        column = model.getNumCol() - 1
        model.changeColCost(column, c)
        model.changeColIntegrality(column, highspy.HighsVarType.kInteger)
    for i, j, c in zip(p.pair_rows.tolist(), p.pair_cols.tolist(), couplings.tolist(), strict=True):
        model.addVar(0.0, 1.0)
        z = model.getNumCol() - 1
        model.changeColCost(z, c)
        rows = (
            [([z, i, j], [1.0, -1.0, -1.0], -1.0)]
            if c > 0
            else [([z, i], [-1.0, 1.0], 0.0), ([z, j], [-1.0, 1.0], 0.0)]
        )
        for columns, values, low in rows:
            model.addRow(low, highspy.kHighsInf, len(columns), np.array(columns, np.int32), np.array(values))
    began = time.process_time()
    model.run()
    info = model.getInfo()
    return time.process_time() - began, info.objective_function_value + constant, info.mip_dual_bound + constant


def row(name: str, limit: float, peer_limit: float) -> str:
    """A line of the table."""
    family, size = name.split(":")
    problems = [problem_of(family, int(size), seed) for seed in SEEDS]
    found = [proved(problem, limit) for problem in problems]
    seconds = ", ".join(f"{s:.2g}" if least is not None else f"not in {limit:g}" for s, _, least in found)
    cells = [name, ", ".join(str(nodes) for _, nodes, _ in found), seconds]
    if peer_limit:
        taken, best, bound = by_highs(problems[0], peer_limit)
        is_done = abs(best - bound) <= 1e-6 * max(1.0, abs(best))
        ratio, gap = taken / max(found[0][0], 1e-9), 100 * (best - bound) / max(1.0, abs(best))
        cells.append(f"{taken:.2g} ({ratio:.2g} times)" if is_done else f"not in {taken:.0f}: gap {gap:.0f} %")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bounds.proofs", description=__doc__)
    parser.add_argument("names", nargs="*", default=list(DEFAULT))
    parser.add_argument("--limit", type=float, default=60.0, help="of a proof [s]")
    parser.add_argument("--peer-limit", type=float, default=20.0, help="of HiGHS [s]; 0: it is left out")
    given = parser.parse_args()
    warm_up(problem_of("units", 4, 1))
    print("| problem | nodes | seconds | HiGHS: seconds |\n| --- | --- | --- | --- |")
    for name in given.names:
        print(row(name, given.limit, given.peer_limit), flush=True)


if __name__ == "__main__":
    main()
