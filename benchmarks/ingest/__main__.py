"""``python -m benchmarks.ingest [--terms 1000000] [--rounds 5] [--only formats]``: interleaved medians, in seconds."""

from __future__ import annotations

import argparse
import tracemalloc
from pathlib import Path

import numpy as np
import orjson

from benchmarks.ingest import formats
from benchmarks.ingest.problems import medians, quadratic
from benchmarks.ingest.start import first_use, second_process
from qiosk.formats.qio import json_codec as qio_json
from qiosk.formats.qio import scanner
from qiosk.formats.qio.document import cost_function_from
from qiosk.model.compile import compile_problem
from qiosk.model.cost import evaluate
from qiosk.problem import Problem, Term

RESULTS = Path(__file__).parents[1] / "results"


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
    parser.add_argument("--only", choices=("formats",), help="the table of formats, and nothing else")
    arguments = parser.parse_args()
    rows: list[formats.Ingestion] = []
    print(formats.HEAD, flush=True)
    for coefficients in ("integer", "normal"):
        for row in formats.measure(arguments.terms, coefficients, arguments.rounds):
            print(row.line, flush=True)
            rows.append(row)
    formats.write(RESULTS, rows)
    if arguments.only == "formats":
        return
    for coefficients in ("integer", "normal"):
        measure_reading(arguments.terms, coefficients, arguments.rounds)
    measure_problem(arguments.terms, arguments.rounds)
    measure_processes(arguments.rounds)


if __name__ == "__main__":
    main()
