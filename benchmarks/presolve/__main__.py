"""``python -m benchmarks.presolve [--most 1000000] [--repeats 3]``.

Random problems of several families and sizes: how many variables a reduction leaves, its median seconds, and the
longest time between two questions whether to go on. The table is printed, and is ``benchmarks/results/presolve.md``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I64, CostFunction, ProblemType
from qiosk.presolve.reduction import MOST_NODES, reduce_fully

RESULTS = Path(__file__).parents[1] / "results" / "presolve.md"
HEADS = ("problem", "variables", "left", "seconds", "longest part", "most by")


def random_graph(n: int, degree: float, rng: np.random.Generator) -> I64:
    """(P, 2) distinct pairs of n variables, of some mean degree."""
    pairs = np.sort(rng.integers(0, n, (int(degree * n / 2), 2)), axis=1)
    keys = np.unique(pairs[pairs[:, 0] < pairs[:, 1]] @ np.array([n, 1]))
    return np.stack(np.divmod(keys, n), axis=1)


def regular_graph(n: int, rng: np.random.Generator) -> I64:
    """(P, 2) distinct pairs, three of each variable but where two stubs are the same pair."""
    pairs = np.sort(rng.permutation(np.repeat(np.arange(n), 3)).reshape(-1, 2), axis=1)
    keys = np.unique(pairs[pairs[:, 0] < pairs[:, 1]] @ np.array([n, 1]))
    return np.stack(np.divmod(keys, n), axis=1)


def problem(kind: str, pairs: I64, values: F64, linear: F64 | None = None) -> CompiledProblem:
    """Pairs and linear terms, compiled."""
    fields = np.empty(0) if linear is None else linear
    indptr = np.append(2 * np.arange(len(pairs)), 2 * len(pairs) + np.arange(len(fields) + 1))
    ids = np.concatenate([pairs.ravel(), np.arange(len(fields))])
    return compile_problem(CostFunction(ProblemType(kind), np.concatenate([values, fields]), indptr, ids))


def families(most: int) -> Iterator[tuple[str, CompiledProblem]]:
    """Names and problems of up to ``most`` variables."""
    rng = np.random.default_rng(1)

    def signs(k: int) -> F64:
        return rng.choice([-1.0, 1.0], k)

    for n in (n for n in (100_000, 1_000_000) if n <= most):
        for name, pairs in (("mean degree 3", random_graph(n, 3, rng)), ("3-regular", regular_graph(n, rng))):
            yield f"{name}, ±1", problem("ising", pairs, signs(len(pairs)))
            sizes = np.rint(10 ** rng.uniform(0, 6, len(pairs)))
            yield f"{name}, log-uniform", problem("ising", pairs, sizes * signs(len(pairs)))
    for n in (n for n in (20_000, 100_000) if n <= most):
        for degree in (4, 6, 8, 10):
            pairs = random_graph(n, degree, rng)
            values, linear = (rng.integers(-100, 101, k).astype(float) for k in (len(pairs), n))
            yield f"QUBO, mean degree {degree}", problem("pubo", pairs, values, linear)


def measure(name: str, given: CompiledProblem, repeats: int) -> str:
    """One line of the table."""
    seconds, parts = list[float](), list[float]()
    for _ in range(repeats):
        stamps = [time.perf_counter()]
        reduced = reduce_fully(MOST_NODES)(given, check=lambda stamps=stamps: stamps.append(time.perf_counter()))  # type: ignore[misc]
        stamps.append(time.perf_counter())
        seconds.append(stamps[-1] - stamps[0])
        parts.append(float(np.diff(stamps).max()))
    by = sorted(reduced.counts.items(), key=lambda item: -item[1])[:3]
    cells = [
        name,
        f"{given.n}",
        f"{100 * reduced.problem.n / given.n:.3g} %",
        f"{statistics.median(seconds):.2g}",
        f"{statistics.median(parts):.2g}",
        ", ".join(f"{rule} {100 * count / given.n:.2g} %" for rule, count in by),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.presolve", description=__doc__)
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    for _, small in families(100_000):  # kernels are compiled, or loaded
        reduce_fully(MOST_NODES)(small)
    lines = [f"| {' | '.join(HEADS)} |", "| --- " * len(HEADS) + "|"]
    print("\n".join(lines), flush=True)
    for name, compiled in families(given.most):
        lines.append(measure(name, compiled, given.repeats))
        print(lines[-1], flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
