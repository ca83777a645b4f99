"""``python -m benchmarks.ingest [--terms 1000000] [--rounds 5]``: interleaved medians, in seconds."""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable, Mapping

import numpy as np
import orjson

from qiosk.formats import qio_json, scanner
from qiosk.formats.qio_document import cost_function_from
from qiosk.model.compile import compile_problem
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.problem import Problem, Term


def quadratic(terms: int, coefficients: str) -> CostFunction:
    """Random pairs over a tenth as many variables, of integer or normally distributed coefficients."""
    rng = np.random.default_rng(0)
    n = max(terms // 10, 2)
    first = rng.integers(0, n, terms)
    ids = np.stack([first, (first + rng.integers(1, n, terms)) % n], axis=1)
    c = rng.integers(-9, 10, terms).astype(np.float64) if coefficients == "integer" else rng.normal(size=terms)
    return CostFunction(ProblemType.ising, c, np.arange(terms + 1) * 2, ids.ravel())


def medians(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each job, one of each in turn, so that a slow moment of the machine hits all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for job in jobs.values():
        job()  # load kernels, warm caches
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(some) for name, some in seconds.items()}


def measure_reading(terms: int, coefficients: str, rounds: int) -> None:
    cost_function = quadratic(terms, coefficients)
    data = qio_json.write(cost_function)
    if scanner.read(data) is None:
        raise SystemExit("the document was not scanned")
    found = medians(
        {
            "orjson.loads": lambda: orjson.loads(data),
            "qio_json.read": lambda: qio_json.read(data),
            "general way": lambda: cost_function_from(qio_json.parse_json(data)),
            "qio_json.write": lambda: qio_json.write(cost_function),
        },
        rounds,
    )
    print(f"\n{terms} quadratic terms, {coefficients} coefficients, {len(data) / 1e6:.1f} MB of JSON")
    for name, seconds in found.items():
        print(f"  {name:24} {seconds:8.3f} s {len(data) / 1e6 / seconds:8.0f} MB/s")
    print(f"  qio_json.read is {found['orjson.loads'] / found['qio_json.read']:.1f} times as fast as orjson.loads")


def measure_problem(terms: int, rounds: int) -> None:
    cost_function = quadratic(terms, "normal")
    c, ids = cost_function.coefficients, cost_function.ids.reshape(-1, 2)
    objects = [Term(c=1.5, indices=[k, k + 1]) for k in range(terms)]
    x = np.ones(len(cost_function.variables), np.int8)

    def bulk() -> Problem:
        problem = Problem("bulk")
        problem.add_terms(coefficients=c, ids=ids)
        return problem

    problem = bulk()
    found = medians(
        {
            "add_terms from arrays": bulk,
            "Problem of Term objects": lambda: Problem("list", terms=objects),
            "compile_problem": lambda: compile_problem(cost_function),
            "evaluate": lambda: evaluate(cost_function, x),
            "serialize": problem.serialize,
        },
        rounds,
    )
    tracemalloc.start()
    bulk()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"\n{terms} quadratic terms over {len(x)} variables")
    for name, seconds in found.items():
        print(f"  {name:24} {seconds:8.3f} s")
    print(f"  add_terms from arrays     {peak / 1e6:8.1f} MB at most")


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.ingest", description=__doc__)
    parser.add_argument("--terms", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    for coefficients in ("integer", "normal"):
        measure_reading(arguments.terms, coefficients, arguments.rounds)
    measure_problem(arguments.terms, arguments.rounds)


if __name__ == "__main__":
    main()
