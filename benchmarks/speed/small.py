"""``python -m benchmarks.speed.small [--rounds 7]``: median wall time of answers to small problems.

Each solve is of another problem of the same kind, with nothing set but the seed, in a process that has solved such
problems before. dwave-samplers' annealer runs by turns with the targets, at its own defaults, on quadratic problems.
Written to ``benchmarks/results/small.md``.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np

from benchmarks.contenders import PEERS, versions
from qiosk.model.compile import compile_problem
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.solvers.result import Result
from qiosk.solvers.solve import solve

SIZES = (1, 5, 10, 15, 18, 20, 21, 25, 30)
TARGETS = ("auto", "tabu", "paralleltempering", "simulatedannealing")
KINDS = tuple((locality, is_dense) for locality in (2, 4) for is_dense in (True, False))
PEER = "dwave-samplers"
RESULTS = Path(__file__).parents[1] / "results"


def problem(n: int, locality: int, seed: int, *, is_dense: bool) -> CostFunction:
    """Spins with integers of -100 to 100: all pairs, or 3 n / 2, with fields; or n (n - 1) / 2 larger terms, or 2 n."""
    rng = np.random.default_rng([seed, n, locality, is_dense])
    count = min(comb(n, locality), n * (n - 1) // 2 if is_dense else (3 * n // 2 if locality == 2 else 2 * n))
    if count == comb(n, locality):
        terms = list(combinations(range(n), locality))
    else:
        found: set[tuple[int, ...]] = set()
        while len(found) < count:
            found.add(tuple(sorted(rng.choice(n, locality, replace=False).tolist())))
        terms = sorted(found)
    if locality == 2 or not terms:
        terms += [(i,) for i in range(n)]
    coefficients = rng.choice([-1.0, 1.0], len(terms)) * rng.integers(1, 101, len(terms))
    indptr = np.cumsum([0, *map(len, terms)], dtype=np.int64)
    return CostFunction(ProblemType.ising, coefficients, indptr, np.array([i for ids in terms for i in ids], np.int64))


def peer() -> Callable[[CostFunction], object] | None:
    """An anneal of a problem by dwave-samplers with its defaults; None where that is not installed."""
    if versions(PEERS[PEER][1]) is None:
        return None
    models = importlib.import_module("benchmarks.peers.models")
    sampler = importlib.import_module("dwave.samplers").SimulatedAnnealingSampler()
    return lambda cost_function: sampler.sample(models.binary_model(compile_problem(cost_function)), num_reads=1)


def row(locality: int, n: int, rounds: int, *, is_dense: bool) -> Iterator[str]:
    """The cells of a row: milliseconds of each target, with the reason why it stopped, and of the peer."""
    anneal, seconds = peer(), dict[str, list[float]]()
    reasons: dict[str, str] = {}
    for k in range(rounds + 2):
        function = problem(n, locality, k, is_dense=is_dense)
        for name in TARGETS:
            result, took = timed(partial(solve, function, name, seed=k))
            seconds.setdefault(name, []).append(took)
            assert isinstance(result, Result)
            reasons[name] = f"{result.stop_reason}, {result.statistics['kernel']}"
        if anneal is not None and locality == 2:
            seconds.setdefault(PEER, []).append(timed(partial(anneal, function))[1])
    for name in (*TARGETS, PEER):
        some = seconds.get(name)
        yield f"{1e3 * statistics.median(some[2:]):.1f}" if some else ""
    yield reasons[TARGETS[0]]


def timed(job: Callable[[], object]) -> tuple[object, float]:
    """What it returns, and how long that took [s]."""
    began = time.perf_counter()
    found = job()
    return found, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.small", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    lines = ["| terms | variables | " + " | ".join((*TARGETS, PEER)) + " | auto ended as |", "| --- " * 8 + "|"]
    for locality, is_dense in KINDS:
        name = f"{locality}-local, {'dense' if is_dense else 'sparse'}"
        for n in SIZES:
            lines.append(f"| {name} | {n} | " + " | ".join(row(locality, n, rounds, is_dense=is_dense)) + " |")
            print(lines[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "small.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
