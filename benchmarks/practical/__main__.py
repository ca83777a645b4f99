"""``python -m benchmarks.practical [--seconds 1 10] [--seeds 3] [--solvers REGEX] [--only REGEX] [--table] …``.

For every problem and solver, in turn: the time to the first feasible answer, the best cost at each wall time, and then
the time to the best cost that any one-flip QUBO solver had at the longest one. Runs that are missing in
``benchmarks/results/practical.*.jsonl`` are made, each solver in a process of its own; so a comparison can be stopped
and taken up again. The tables are written to ``practical.md`` beside them, and with ``--table`` to the documentation.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contenders import OURS, PEERS, versions
from benchmarks.practical.comparison import Comparison, OutOfTimeError
from benchmarks.practical.finders import set_up, solvers
from benchmarks.practical.measured import Measured
from benchmarks.practical.problems.catalogue import index, problems
from benchmarks.practical.problems.practical_problem import UNBOUNDED
from benchmarks.practical.process import Limits
from benchmarks.practical.table import Known, documented, report
from qiosk.version import __version__

RESULTS = Path(__file__).parents[1] / "results"
PAGE = Path(__file__).parents[2] / "docs" / "which-problems.md"
GIB = 2**30
QUBO_PEERS = ("dwave-samplers", "OpenJij")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.practical", description=__doc__)
    parser.add_argument("--seconds", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--solvers", default="", help="regular expression that names of solvers contain")
    parser.add_argument("--only", default="", help="regular expression that names of problems contain")
    parser.add_argument("--list", action="store_true", help="measure nothing, print the problems and the solvers")
    parser.add_argument("--table", action="store_true", help="measure nothing, write the tables of what there is")
    parser.add_argument("--fresh-ours", action="store_true", help="forget the runs of Qiosk first")
    parser.add_argument("--retry", action="store_true", help="forget the runs first that were ended, or failed")
    parser.add_argument("--part", type=float, default=UNBOUNDED, help="begin no run after so many seconds")
    limits = Limits()
    parser.add_argument("--set-up", type=float, default=limits.set_up, help="seconds that setting up may take")
    parser.add_argument("--beyond", type=float, default=limits.beyond, help="seconds that a run may be late")
    parser.add_argument("--memory", type=float, default=8.0, help="GiB that a solver may allocate; 0 is no limit")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE, help="the page of the documentation that has the tables")
    options = parser.parse_args()
    measured = Measured.of(options.results)
    known = {name: Known(row["family"], row["best_known"]) for name, row in index().items() if row.get("is_run", True)}
    if options.list:
        print("\n".join([*(f"{name:12} {one.family}" for name, one in known.items()), "", *solvers()]))
        return
    if not options.table:
        _measure(options, measured)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "practical.md").write_text(report(measured, known))
    if options.table:
        options.page.write_text(documented(measured, known, options.page.read_text()))
        print(f"wrote {options.page}")
    else:
        print(report(measured, known))


def _measure(options: argparse.Namespace, measured: Measured) -> None:
    chosen = {name: partial(set_up, name) for name in solvers() if re.search(options.solvers, name)}
    if options.fresh_ours:
        measured.forget(lambda cell: cell.contender in chosen and cell.contender.startswith(OURS))
    if options.retry:
        measured.forget(lambda cell: bool(cell.note))
    facts = measured.note_machine(_versions())
    print(f"{facts['processor']}, {facts['cpus']} CPUs, load {facts['load']}; {len(chosen)} solvers", flush=True)
    limits = Limits(options.set_up, options.beyond, int(options.memory * GIB))
    comparison = Comparison(chosen, measured, limits, time.monotonic() + options.part)
    try:
        for name, problem in problems().items():
            if re.search(options.only, name):
                comparison.run(problem, options.seconds, options.seeds)
    except OutOfTimeError:
        print("this part ends here; run the same command for what is missing", flush=True)


def _versions() -> Mapping[str, Any]:
    """Of Qiosk, and of the libraries that are compared with it and installed."""
    libraries = {"OR-tools": ("ortools",), "HiGHS": ("highspy",)}
    libraries |= {name: (PEERS[name][1][0],) for name in QUBO_PEERS}
    found = {name: versions(distributions) for name, distributions in libraries.items()}
    return {"Qiosk": __version__} | {name: text.split()[-1] for name, text in found.items() if text}


if __name__ == "__main__":
    main()
