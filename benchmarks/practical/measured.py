"""What was measured, and its medians over the seeds."""

from __future__ import annotations

import json
import math
import os
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.quality.cells import Cell, Cells
from qiosk.machine import cpu_count, processor

QUBO = ("one-flip tabu", "dwave-samplers", "OpenJij")  # what names of solvers by single flips contain


@dataclass(frozen=True)
class Measured:
    """The runs: until the first feasible answer, of a wall time, and until a cost that a one-flip solver had."""

    feasible: Cells
    gap: Cells
    equal: Cells
    folder: Path

    @classmethod
    def of(cls, folder: Path) -> Measured:
        """The runs kept in a folder."""
        feasible, gap, equal = (Cells(folder / f"practical.{kind}.jsonl") for kind in ("feasible", "gap", "equal"))
        return cls(feasible, gap, equal, folder)

    def __iter__(self) -> Iterator[Cell]:
        for cells in (self.feasible, self.gap, self.equal):
            yield from cells

    def forget(self, is_forgotten: Callable[[Cell], bool]) -> None:
        """Drop runs."""
        for cells in (self.feasible, self.gap, self.equal):
            cells.drop(is_forgotten)

    def note_machine(self, versions: Mapping[str, str]) -> dict[str, Any]:
        """Keep, and return, what this part of the comparison runs on."""
        facts = {
            "date": datetime.now(UTC).date().isoformat(),
            "processor": processor(),
            "cpus": cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "versions": dict(versions),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._parts.open("a") as file:
            file.write(json.dumps(facts) + "\n")
        return facts

    def machines(self) -> list[dict[str, Any]]:
        """What the parts of the comparison ran on, in their order."""
        return [json.loads(line) for line in self._parts.read_text().splitlines()] if self._parts.exists() else []

    @property
    def _parts(self) -> Path:
        return self.folder / "practical.parts.jsonl"


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


def notes(cells: Cells, problem: str) -> dict[str, str]:
    """Why a solver has no result: what ended most of its runs, by name; only those where most ended so."""
    found: dict[str, list[str]] = defaultdict(list)
    for cell in cells:
        if cell.instance == problem:
            found[cell.contender].append(cell.note.partition(":")[0])
    common = {solver: Counter(some).most_common(1)[0] for solver, some in found.items()}
    return {solver: note for solver, (note, count) in common.items() if note and 2 * count > len(found[solver])}
