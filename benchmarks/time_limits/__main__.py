"""``python -m benchmarks.time_limits [--limits 0.1 1 5] [--only REGEX] [--targets REGEX] [--rounds 3] [--fresh]``.

How long runs take beyond their time limit, how much of it they search, and when the first sweep begins.
"""

from __future__ import annotations

import argparse
import re
import resource
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.time_limits.problems import LARGE, PROBLEMS
from qiosk import Problem, solve
from qiosk.errors import InvalidInput
from qiosk.solvers.targets.catalogue import targets
from qiosk.solvers.targets.target import Target

RESULTS = Path(__file__).parents[1] / "results"
ENDLESS = {"sweeps": 10**9, "restarts": 10**6, "loops": 0, "step_limit": 10**9, "max_total_sweeps": 10**9}
"""Parameters with which the time limit decides."""
ALLOWED_SHARE, ALLOWED_S = 0.05, 0.05
"""How much longer than its limit a run may take: a share of it, and seconds."""
LOADING_S, MOST_LOADING = 0.001, 4
"""Seconds that a run may spend on loading kernels and still count; the first runs that may take longer."""


@dataclass(frozen=True)
class Row:
    """Medians of some runs: wall time, before the first sweep, and in sweeps [s]; sweeps, and why they ended."""

    problem: str
    target: str
    limit: float
    wall: float
    before: float
    searching: float
    sweeps: int
    stop: str

    @property
    def is_late(self) -> bool:
        """Whether the limit did not hold."""
        return self.wall > self.limit * (1.0 + ALLOWED_SHARE) + ALLOWED_S

    def __str__(self) -> str:
        share = 100.0 * self.searching / max(self.wall, self.limit if self.stop == "timeout" else 0.0)
        cells = (
            self.problem,
            self.target,
            f"{self.limit:g}",
            f"{self.wall:.3f}" + (" late" if self.is_late else ""),
            f"{self.before:.3f}",
            f"{share:.0f} %",
            f"{self.sweeps}",
            self.stop,
        )
        return "| " + " | ".join(cells) + " |"


HEADER = "| problem | target | limit | wall | before | searching | sweeps | end |\n" + "| --- " * 8 + "|"


def measure(name: str, problem: Problem, target: Target, limit: float, rounds: int, *, is_fresh: bool) -> Row | None:
    """Medians of ``rounds`` runs, after those that load kernels; None for a problem that the target does not take.

    With ``is_fresh`` nothing is kept of a problem from the run before.
    """
    own = {parameter.name for parameter in target.parameters}
    parameters = {key: value for key, value in ENDLESS.items() if key in own and not target.is_parameter_free}
    found = []
    for k in range(1, rounds + 1 + MOST_LOADING):
        if len(found) == rounds:
            break
        if is_fresh:
            problem = Problem.from_cost_function(problem.cost_function())
        began = time.perf_counter()
        try:
            result = solve(problem, target.id, timeout=limit, seed=k, threads=1, **parameters)
        except InvalidInput:
            return None
        if k == 1 or (result.statistics["compile_seconds"] > LOADING_S and k <= MOST_LOADING):
            continue  # a short run may end before it has needed all kernels, which the next one loads
        found.append((time.perf_counter() - began, result.statistics))
    middle = sorted(found, key=lambda run: run[0])[len(found) // 2][1]
    return Row(
        name,
        target.id,
        limit,
        statistics.median(wall for wall, _ in found),
        middle["prepare_seconds"],
        middle["seconds"],
        middle["sweeps"],
        middle["stop_reason"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.time_limits", description=__doc__)
    parser.add_argument("--limits", type=float, nargs="+", default=[0.1, 1.0, 5.0], help="seconds")
    parser.add_argument("--only", default="", help="regular expression that names of problems contain")
    parser.add_argument("--targets", default="", help="regular expression that names of targets contain")
    parser.add_argument("--rounds", type=int, default=3, help="runs whose median counts")
    parser.add_argument("--fresh", action="store_true", help="keep nothing of a problem between runs")
    options = parser.parse_args()
    known = PROBLEMS if not options.only else {**PROBLEMS, **LARGE}
    lines = [HEADER]
    print(HEADER, flush=True)
    for name, build in known.items():
        if not re.search(options.only, name):
            continue
        problem = build()
        for target in targets():
            if re.search(options.targets, target.id):
                for limit in options.limits:
                    row = measure(name, problem, target, limit, options.rounds, is_fresh=options.fresh)
                    if row is not None:
                        lines.append(str(row))
                        print(row, flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "time_limits.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
