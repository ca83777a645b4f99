"""``python -m benchmarks.ingest [--terms 1000000] [--rounds 5]``: interleaved medians, in seconds."""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable, Mapping
from functools import partial

import msgspec
import numpy as np
import orjson

from benchmarks.ingest.start import first_use, second_process
from qiosk.formats import qio_json, scanner
from qiosk.formats.qio_document import cost_function_from
from qiosk.model.compile import compile_problem
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.problem import Problem, Term
from qiosk.solvers.planner import plan, warm_up

REPLICAS = 64


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


def measure_start(terms: int, coefficients: str, rounds: int) -> None:
    """From bytes to the end of a solver's first sweep, against general parsers that only read the same bytes."""
    data = qio_json.write(quadratic(terms, coefficients))
    plan_of = partial(plan, replicas=REPLICAS)

    def start() -> None:
        sampler = plan_of(compile_problem(qio_json.read(data)))
        sampler.sweep(sampler.start((1,)), np.array([1.0]))

    warm_up(plan_of(compile_problem(quadratic(terms, coefficients))))
    parsers = {"orjson.loads": partial(orjson.loads, data), "msgspec.json.decode": partial(msgspec.json.decode, data)}
    found = medians({**parsers, f"first sweep of {REPLICAS} replicas done": start}, rounds)
    fastest = min(found[parser] for parser in parsers)
    print(f"\n{terms} quadratic terms, {coefficients} coefficients, from bytes to a solver")
    for name, seconds in found.items():
        print(f"  {name:34} {seconds:8.3f} s {seconds / fastest:6.2f} times the fastest parser")


def measure_processes(rounds: int) -> None:
    print("\na process that solves a small problem for 0.05 s, by target: wall seconds with kernels compiled before,")
    print("and seconds of compiling where there are none")
    later, first = second_process(rounds), first_use()
    for target, seconds in later.items():
        print(f"  {target:50} {seconds:6.2f} s {first[target]:6.2f} s")


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
        measure_start(arguments.terms, coefficients, arguments.rounds)
    measure_problem(arguments.terms, arguments.rounds)
    measure_processes(arguments.rounds)


if __name__ == "__main__":
    main()
