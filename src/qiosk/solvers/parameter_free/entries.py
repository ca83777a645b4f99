"""Where each member of a portfolio stands, how fast it is, and what it may still gain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from qiosk.solvers.checkpoint import checkpointed
from qiosk.solvers.parameter_free.members import Member, Pace
from qiosk.solvers.parameter_free.rounds import RoundsState
from qiosk.solvers.search.incumbents import Incumbents

RACING, LAST, POLISHING = "racing", "last", "polishing"
"""Stages of a portfolio."""
SLOWEST_RATIO = 0.02
"""Share of the mean pace that each part of a fitted one has, at least: others are noise."""
SHORTEST_DOUBLING = 0.5
"""Doublings of the length of its rounds over which a gain counts, at least."""


@checkpointed
@dataclass(slots=True)
class Entry:
    """A member's search, and what there is to compare. Its best is what it found by itself, unless it knew better."""

    search: RoundsState[Any] | None = None
    best: float = math.inf
    found_at: float = 0.0  # own work until then [ns]
    work: float = 0.0  # own [ns]
    work_before: float = 0.0  # this round [ns]
    gain: float = 0.0  # of its best in this round [cost]
    doublings: float = 1.0  # of the length of its rounds, by this one
    seconds: float = 0.0  # that the steps of this round took
    past: list[list[float]] = field(default_factory=list)  # latest rounds: work of start and updates [ns], seconds
    fate: str = ""  # why it went; empty while it races

    def expected(self, member: Member) -> float:
        """The best cost that longer rounds are expected to find."""
        return self.best - member.trust * self.gain / self.doublings

    def begin(self, sweeps: int) -> None:
        """Begin a round of so many sweeps."""
        if self.search is not None:
            self.doublings = max(SHORTEST_DOUBLING, math.log2(sweeps / self.search.sweeps))
        self.work_before, self.seconds, self.gain = self.work, 0.0, 0.0

    def end(self, parts: Sequence[float]) -> None:
        """Note what the round took whose work has these parts."""
        self.past = [*self.past[-1:], [*parts, self.seconds]]

    def improve(self, cost: float, work: float) -> None:
        """Note a better cost of its own, after so much own work [ns]."""
        self.gain += self.best - cost if math.isfinite(self.best) else 0.0
        self.best, self.found_at = cost, work

    @property
    def pace(self) -> Pace:
        """From the latest rounds: from two of them, if their beginning and their updates can be told apart."""
        if not self.past or self.past[-1][2] <= 0.0:
            return 1e-9, 1e-9
        (start, updates, seconds), common = self.past[-1], self.past[-1][2] / (self.past[-1][0] + self.past[-1][1])
        if len(self.past) > 1:
            before = self.past[-2]
            determinant = before[0] * updates - start * before[1]
            if determinant:
                each = (before[2] * updates - seconds * before[1]) / determinant
                rest = (before[0] * seconds - start * before[2]) / determinant
                if min(each, rest) > SLOWEST_RATIO * common:
                    return each, rest
        return common, common

    def seconds_of(self, member: Member, sweeps: int) -> float:
        """How long a round of so many sweeps takes [s]."""
        return sum(each * work for each, work in zip(self.pace, member.parts(sweeps), strict=True))


@checkpointed
@dataclass(slots=True)
class PortfolioState:
    """Who runs, who waits, and what all have found."""

    incumbents: Incumbents
    entries: list[Entry]
    pool: Incumbents
    turn: int = 0  # the member that runs
    turns: int = 0  # that have ended
    queue: list[int] = field(default_factory=list)  # members that follow in this heat
    rounds: list[int] = field(default_factory=list)  # sweeps of each member's round in this heat
    heat: float = 0.0  # work of a round in it [ns]
    heats: int = 0
    stage: str = RACING
    spent: float = 0.0  # by all steps before this one [s]
    began: float = 0.0  # the last stage [s]
    gained: float = 0.0  # last, in the last stage [s]
    is_alone: bool = False  # the first member plans its rounds itself, and there is no race
    has_converged: bool = False
    is_out_of_time: bool = False
    is_paced: bool = False  # the time limit has set the length of a round, or has ended the race
    sweeps_done: int = 0
    spin_updates: int = 0


def worse_half(members: Sequence[Member], entries: Sequence[Entry], alive: Sequence[int], near: float) -> list[int]:
    """The members expected to end higher by more than ``near`` [cost]; of equal ones, those that took longer."""
    expected = {m: entries[m].expected(members[m]) for m in alive}
    lowest = min(expected.values())

    def rank(m: int) -> tuple[float, float]:
        return max(0.0, expected[m] - lowest - near), entries[m].found_at

    return sorted(alive, key=rank)[(len(alive) + 1) // 2 :]


def why_dropped(entries: Sequence[Entry], alive: Sequence[int], m: int, tolerance: float) -> str:
    """Why a member is dropped, in a few words."""
    if not math.isfinite(entries[m].best):
        return "there was no time for it"
    behind = entries[m].best - min(entries[k].best for k in alive)
    return f"{behind:.6g} behind" if behind > tolerance else "not expected to get ahead"
