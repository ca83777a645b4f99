"""What was measured, one line of JSON a run, so that a long comparison can be stopped and taken up again."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

Key = tuple[str, str, float, int]  # instance, contender, seconds, seed


@dataclass(frozen=True)
class Cell:
    """One run: the wall time it was given and the one it took [s], and the processor's time of it; ``cost`` is None
    if nothing was found in time.

    ``note`` says why the run did not come to its end, if it did not. Where it was looked at, ``load`` is that of the
    machine before the run, and ``share`` the processor's time of the whole run divided by its wall time. ``target`` is
    the cost at which the run ended, if it had one.
    """

    instance: str
    contender: str
    seconds: float
    seed: int
    cost: float | None
    wall: float
    cpu: float
    note: str = ""
    load: float | None = None
    share: float | None = None
    target: float | None = None

    @property
    def key(self) -> Key:
        """What is measured only once."""
        return self.instance, self.contender, self.seconds, self.seed


def library(contender: str) -> str:
    """The first word of a contender's name."""
    return contender.split(" ", 1)[0]


class Cells:
    """The runs of a file, by key. A last line that was cut off is left out, and written over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cells: dict[Key, Cell] = {}
        text = path.read_text() if path.exists() else ""
        self._whole = text.rfind("\n") + 1  # characters; what follows was cut off
        for line in text[: self._whole].splitlines():
            cell = Cell(**json.loads(line))
            self._cells[cell.key] = cell
        self._is_cut = self._whole < len(text)

    def __contains__(self, key: Key) -> bool:
        return key in self._cells

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._cells.values())

    def add(self, cell: Cell) -> None:
        """Keep a run, at once."""
        self._cells[cell.key] = cell
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._is_cut:
            self.path.write_text(self.path.read_text()[: self._whole])
            self._is_cut = False
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(cell)) + "\n")

    def drop(self, is_dropped: Callable[[Cell], bool]) -> None:
        """Forget runs."""
        self._cells = {key: cell for key, cell in self._cells.items() if not is_dropped(cell)}
        if self.path.exists():
            self.path.write_text("".join(json.dumps(asdict(cell)) + "\n" for cell in self._cells.values()))
            self._is_cut = False

    def medians(self, instance: str, seconds: float) -> dict[str, float]:
        """Median cost over the seeds of every contender that ran; infinite where most runs found nothing in time."""
        costs: dict[str, list[float]] = defaultdict(list)
        for cell in self._cells.values():
            if cell.instance == instance and cell.seconds == seconds:
                costs[cell.contender].append(float("inf") if cell.cost is None else cell.cost)
        return {contender: statistics.median_high(some) for contender, some in costs.items()}

    def times(self) -> list[float]:
        """Wall times that were given, ascending."""
        return sorted({cell.seconds for cell in self._cells.values()})


def best_of_each(medians: dict[str, float], libraries: Sequence[str], count: int) -> set[str]:
    """The ``count`` contenders of lowest median of every library."""
    found: set[str] = set()
    for name in libraries:
        own = sorted((cost, contender) for contender, cost in medians.items() if library(contender) == name)
        found |= {contender for _, contender in own[:count]}
    return found
