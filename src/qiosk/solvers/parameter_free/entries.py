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
LEAST_UPDATES_RATIO = 0.7
"""Share of it that updates are taken to need, at least: a last round that is cut off before it is cold is wasted."""
DIFFERENT_LENGTHS = 1.5
"""Ratio of the updates of two rounds from which on their beginning and their updates can be told apart."""
SHORTEST_DOUBLING = 0.5
"""Doublings of the length of a member's rounds from which on they count as longer."""


@checkpointed
@dataclass(slots=True)
class Entry:
    """A member's search, and what there is to compare. Its best is what it found by itself, unless it knew better."""

    search: RoundsState[Any] | None = None
    best: float = math.inf
    found_at: float = 0.0  # own work until then [ns]
    work: float = 0.0  # own [ns]
    work_before: float = 0.0  # this round [ns]
    before: float = math.inf  # its best when its rounds grew last
    doublings: float = 1.0  # of the length of its rounds, by which they did
    begun: int = 0  # rounds
    longest: int = 0  # sweeps of a round
    seconds: float = 0.0  # that the steps of this round took
    past: list[list[float]] = field(default_factory=list)  # two lengths of rounds: start and updates [ns], seconds
    fate: str = ""  # why it went; empty while it races

    def expected(self, member: Member) -> float:
        """The best cost that longer rounds are expected to find: as it has gained so far."""
        return self.best - member.trust * self.gain

    @property
    def gain(self) -> float:
        """What the last doubling of the length of its rounds has brought [cost]; 0 if there was none.

        Each is taken to have brought half of the one before.
        """
        return (self.before - self.best) / (2.0**self.doublings - 1.0) if math.isfinite(self.before) else 0.0

    def begin(self, sweeps: int) -> None:
        """Begin a round of so many sweeps. The gains of one that is hardly longer are added to those before it."""
        growth = math.log2(sweeps / self.longest) if self.longest else 0.0
        if growth >= SHORTEST_DOUBLING:
            self.before, self.doublings = self.best, growth
        self.work_before, self.seconds = self.work, 0.0
        self.begun, self.longest = self.begun + 1, max(self.longest, sweeps)

    def succeed(self, other: Entry, sweeps: int, pace: float | None = None) -> None:
        """Take the place of another member, with a round of so many sweeps: its best and its pace count as own.

        ``pace``: another one that counts, in seconds for a nanosecond of work.
        """
        self.best, self.before, self.doublings, self.begun = other.best, other.before, other.doublings, other.begun
        self.past, self.longest, self.fate = other.past[-1:], -(-sweeps // 2), ""
        if pace is not None:
            start, updates, _ = other.past[-1]
            self.past = [[start, updates, pace * (start + updates)]]

    def end(self, parts: Sequence[float]) -> None:
        """Note what the round took whose work has these parts. Of rounds that are about as long the mean is kept."""
        latest, last = [*parts, self.seconds], self.past[-1] if self.past else None
        if last is not None and 1.0 / DIFFERENT_LENGTHS < latest[1] / last[1] < DIFFERENT_LENGTHS:
            self.past[-1] = [(a + b) / 2.0 for a, b in zip(last, latest, strict=True)]
        else:
            self.past = [*self.past[-1:], latest]

    def improve(self, cost: float, work: float) -> None:
        """Note a better cost of its own, after so much own work [ns]."""
        self.best, self.found_at = cost, work

    @property
    def pace(self) -> Pace:
        """From the latest rounds: from two of them, if their beginning and their updates can be told apart."""
        if not self.past or self.past[-1][2] <= 0.0:
            return 1e-9, 1e-9
        start, updates, seconds = longest = max(self.past, key=lambda some: some[1])
        common, before = seconds / (start + updates), min(self.past, key=lambda some: some[1])
        if longest[1] > DIFFERENT_LENGTHS * before[1]:
            determinant = before[0] * updates - start * before[1]
            if determinant:
                each = (before[2] * updates - seconds * before[1]) / determinant
                rest = (before[0] * seconds - start * before[2]) / determinant
                if min(each, rest) > SLOWEST_RATIO * common:
                    return each, max(rest, LEAST_UPDATES_RATIO * common)
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


def hopeless(members: Sequence[Member], entries: Sequence[Entry], alive: Sequence[int], near: float) -> list[int]:
    """The members that are not expected to come within ``near`` [cost] of what another one has found already."""
    lowest = min(entries[m].best for m in alive)
    return [m for m in alive if entries[m].begun > 1 and entries[m].expected(members[m]) > lowest + near]


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
