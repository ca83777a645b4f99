"""What a solver of practical problems is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

SHORTEST = 1 / 64  # [s] of the first run for a feasible answer; every next one is twice as long


@dataclass(frozen=True)
class Find:
    """A feasible answer: seconds after the start, and its cost by the problem's own check."""

    seconds: float
    cost: float


class Finder(Protocol):
    """A solver, set up for one problem."""

    def run(self, seconds: float, seed: int) -> list[Find]:
        """Look for good answers for so long; what was found, the best last."""
        ...

    def until(self, cost: float, limit: float, seed: int) -> Find | None:
        """The first answer found of at most this cost (infinite: the first feasible one); None within the limit."""
        ...


def doubling(run: Callable[[float, int], list[Find]], cost: float, limit: float, seed: int) -> Find | None:
    """Runs of twice the time, until one finds an answer of this cost; its time is that of this run alone."""
    seconds = SHORTEST
    while seconds <= limit:
        found = first(run(seconds, seed), cost)
        if found:
            return found
        seconds, seed = 2 * seconds, seed + 7919
    return None


def improving(found: Iterable[tuple[float, float | None]]) -> list[Find]:
    """Those that are feasible, and better than all before."""
    best: list[Find] = []
    for at, cost in found:
        if cost is not None and (not best or cost < best[-1].cost):
            best.append(Find(at, cost))
    return best


def first(found: Iterable[Find], cost: float) -> Find | None:
    """The first of at most this cost."""
    return next((find for find in found if find.cost <= cost), None)
