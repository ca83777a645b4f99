"""The tables: time to a feasible answer, gap to the best known, time to equal cost. Medians over the seeds."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import OURS
from benchmarks.quality.cells import Cells

QUBO = ("one-flip tabu", "dwave-samplers", "OpenJij")  # what names of solvers by single flips contain


@dataclass(frozen=True)
class Measured:
    """The runs: until the first feasible answer, of a wall time, and until a cost that a one-flip solver had."""

    feasible: Cells
    gap: Cells
    equal: Cells

    @classmethod
    def of(cls, folder: Path) -> Measured:
        """The runs kept in a folder."""
        return cls(*(Cells(folder / f"practical.{kind}.jsonl") for kind in ("feasible", "gap", "equal")))


def equal_cost(gap: Cells, problem: str, seconds: float) -> float | None:
    """The lowest median cost of a one-flip QUBO solver; None if none was feasible."""
    medians = gap.medians(problem, seconds)
    found = [cost for solver, cost in medians.items() if any(part in solver for part in QUBO) and math.isfinite(cost)]
    return min(found, default=None)


def times(cells: Cells, problem: str) -> dict[str, float]:
    """Median seconds of every solver; infinite where most runs found nothing."""
    taken: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        if cell.instance == problem:
            taken[cell.contender].append(math.inf if cell.cost is None else cell.wall)
    return {solver: statistics.median_high(some) for solver, some in taken.items()}


def gaps(cells: Cells, problem: str, seconds: float, best_known: float) -> dict[str, float]:
    """Median distance to the best known cost, relative to it; infinite where most runs found nothing."""
    return {solver: (cost - best_known) / abs(best_known) for solver, cost in cells.medians(problem, seconds).items()}


def markdown(measured: Measured, known: Mapping[str, float]) -> str:
    """The whole report."""
    names = dict.fromkeys(cell.contender for cell in measured.feasible)
    solvers = sorted(names, key=lambda name: not name.startswith(OURS))
    parts = ["# Practical problems, one thread", "", "## Time to the first feasible answer", ""]
    parts += _section({name: times(measured.feasible, name) for name in known}, solvers, _duration)
    optima = {name: best for name, best in known.items() if best}
    for seconds in measured.gap.times():
        parts += ["", f"## Gap to the best known cost at {seconds:g} s", ""]
        rows = {name: gaps(measured.gap, name, seconds, best) for name, best in optima.items()}
        parts += _section(rows, solvers, _share)
    parts += ["", "## Time to the best cost of the one-flip QUBO solvers", ""]
    parts += _section({name: times(measured.equal, name) for name in optima}, solvers, _duration)
    return "\n".join(parts) + "\n"


def _section(
    rows: Mapping[str, Mapping[str, float]], solvers: list[str], text: Callable[[float], str]
) -> Iterator[str]:
    yield "| problem | " + " | ".join(solvers) + " |"
    yield "| --- " * (1 + len(solvers)) + "|"
    for name, row in rows.items():
        if row:
            yield "| " + " | ".join([name, *(text(row[s]) if s in row else "" for s in solvers)]) + " |"


def _share(gap: float) -> str:
    if not math.isfinite(gap):
        return "none"
    return "0" if abs(gap) < 1e-12 else f"{100 * gap:.2g} %"


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "none"
    return f"{seconds * 1e3:.2g} ms" if seconds < 0.1 else f"{seconds:.2g} s"
