"""``python -m benchmarks.ingest.memory [--terms 10000000]``: peak memory of a process that reads a file and solves it.

Each problem is written to a temporary file, and solved from there by a fresh process, on the way a job takes: reader,
cost function, compiled problem, layout of the sampler, search, costs of the solutions. Its peak of resident memory is
held against the size of the problem's data.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

TARGET, SECONDS = "microsoft.simulatedannealing.cpu", 1.0
CHUNK = 1 << 20
REHEARSAL = 5_000_000
"""Terms of a problem that is solved first, so that no kernel is compiled where memory is measured."""
KINDS = ("int8", "float32", "float64")

# The second number is taken before the file is read: the interpreter, the libraries and the kernels.
PROGRAM = """
import json, resource, sys
from pathlib import Path
from qiosk.supervisor.processes import warm_solvers
from qiosk.formats import registry
from qiosk.solvers.solve import solve
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
problem = registry.read_path(Path(sys.argv[1]), sys.argv[2])
read = peak()
result = solve(problem, sys.argv[3], timeout=float(sys.argv[4]), seed=1, threads=1)
print(json.dumps({"before": before, "read": read, "peak": peak(), "kernel": result.statistics["kernel"]}))
"""


def pairs(terms: int, variables: int) -> Iterator[np.ndarray]:
    """Blocks of random pairs of different variables, in no order."""
    rng = np.random.default_rng(0)
    for start in range(0, terms, CHUNK):
        first = rng.integers(0, variables, min(CHUNK, terms - start), np.int32)
        step = rng.integers(1, variables, len(first), np.int32)
        yield np.stack([first, (first.astype(np.int64) + step) % variables], axis=1).astype(np.int32)


def coefficients(terms: int, kind: str) -> np.ndarray:
    """Couplings of a type: whole numbers -9..9 other than 0, or normally distributed."""
    rng = np.random.default_rng(1)
    if kind == "int8":
        return (rng.integers(1, 10, terms, np.int8) * (1 - 2 * rng.integers(0, 2, terms, np.int8))).astype(np.int8)
    return rng.standard_normal(terms, np.dtype(kind))


def write_columns(path: Path, terms: int, variables: int, kind: str, problem_type: str) -> int:
    """Write a problem in columns; returns the bytes of its ids and coefficients."""
    ids = np.concatenate([block.ravel() for block in pairs(terms, variables)])
    values = coefficients(terms, kind)
    np.savez(path, format="qiosk.columns", version=1, type=problem_type, coefficients=values, ids=ids, degree=2)
    return ids.nbytes + values.nbytes


def write_json(path: Path, terms: int, variables: int, kind: str, problem_type: str) -> int:
    """Write a problem in QIO JSON; returns the bytes of the text."""
    values = coefficients(terms, kind)
    done = 0
    with path.open("w") as file:
        file.write(f'{{"cost_function": {{"version": "1.0", "type": "{problem_type}", "terms": [')
        for block in pairs(terms, variables):
            some = values[done : done + len(block)].tolist()
            texts = (f'{{"c": {c!r}, "ids": [{i}, {j}]}}' for c, (i, j) in zip(some, block.tolist(), strict=True))
            file.write((", " if done else "") + ", ".join(texts))
            done += len(block)
        file.write("]}}")
    return path.stat().st_size


FORMATS = {"columns": ("qiosk.columns.v1", write_columns), "json": ("microsoft.qio.v2", write_json)}


def run(path: Path, form: str) -> dict[str, int]:
    """What a process measured that solved the problem in a file."""
    command = [sys.executable, "-c", PROGRAM, str(path), form, TARGET, str(SECONDS)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def measure(form: str, terms: int, variables: int, kind: str, problem_type: str, is_rehearsal: bool = False) -> None:
    """Print the peak of one process, and how it compares with the problem's data."""
    name, write = FORMATS[form]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"  # NumPy adds a suffix where there is none
        size = write(path, terms, variables, kind, problem_type)
        found = run(path, name)
    if is_rehearsal:
        return
    print(
        f"{form:8} {kind:8} {problem_type:6} {size / 2**30:6.2f} GiB of data: peak {found['peak'] / 2**30:6.2f} GiB, "
        f"{found['peak'] / size:5.2f} times; {found['before'] / 2**30:.2f} before it is read, "
        f"{found['read'] / 2**30:.2f} when it is read, {found['kernel']}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.ingest.memory", description=__doc__)
    parser.add_argument("--terms", type=int, default=10_000_000)
    parser.add_argument("--variables", type=int, help="a hundredth of the terms if not given")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--coefficients", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--types", nargs="+", choices=("ising", "pubo"), default=["ising", "pubo"])
    arguments = parser.parse_args()
    variables = arguments.variables or max(arguments.terms // 100, 2)
    for form in arguments.formats:
        for kind in arguments.coefficients:
            for problem_type in arguments.types:
                measure(form, REHEARSAL, REHEARSAL // 100, kind, problem_type, is_rehearsal=True)
                measure(form, arguments.terms, variables, kind, problem_type)


if __name__ == "__main__":
    main()
