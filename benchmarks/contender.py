"""What takes part in a comparison, and how an annealer's effort is fitted to a wall time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from benchmarks.instance import Instance
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import I8

# What comes later than this, in units of the wall time, does not count.
GRACE = 1.05
SEEDS = 2**31


class Race:
    """The wall time of one run [s], and what was found in it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.began = time.perf_counter()
        self._found: list[tuple[float, Callable[[], I8]]] = []

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.began

    @property
    def left(self) -> float:
        """Seconds to the end; below 0 after it."""
        return self.seconds - self.elapsed

    def found(self, configurations: Callable[[], I8], at: float | None = None) -> None:
        """Something was found now, or ``at`` so many seconds; ``configurations`` gives it, (n,) or (R, n), after the
        race.
        """
        self._found.append((self.elapsed if at is None else at, configurations))

    def in_time(self) -> Iterator[tuple[float, I8]]:
        """When something was found [s], and its configurations."""
        return ((at, configurations()) for at, configurations in self._found if at <= GRACE * self.seconds)

    def best(self, instance: Instance) -> float | None:
        """The lowest exact cost of what was found in time; None if nothing was."""
        costs = (float(np.min(evaluate(instance.cost_function, found))) for _, found in self.in_time())
        return min(costs, default=None)


class Annealer(Protocol):
    """One setting of a library, set up for one problem of n variables."""

    def anneal(self, sweeps: int, reads: int, seed: int) -> Any:
        """Run ``reads`` independent anneals of ``sweeps`` sweeps, and return what the library gives back."""
        ...

    def configurations(self, raw: Any) -> I8:
        """That as (R, n), in the domain and the order of the problem's variables."""
        ...


Search = Callable[[Race, int], None]  # race, seed


@runtime_checkable
class StopsAtTarget(Protocol):
    """A search that can stop when it reaches a cost."""

    def until(self, cost: float, limit: float, seed: int) -> I8:
        """The best configuration when ``cost`` is reached, or after ``limit`` seconds."""
        ...


@dataclass(frozen=True)
class Contender:
    """A setting of a library: ``prepare`` builds its models for an instance and returns its search."""

    library: str
    setting: str
    can_run: Callable[[Instance], bool]
    prepare: Callable[[Instance], Search]

    @property
    def name(self) -> str:
        """Library and setting."""
        return f"{self.library} {self.setting}"


@dataclass
class LongAnneals:
    """The wall time in ``parts`` anneals as long as fit, after short ones that tell how long a sweep takes."""

    annealer: Annealer
    parts: int = 2
    first: int = 16  # sweeps of the first anneal
    trial: float = 1 / 32  # of the wall time, from which on an anneal tells the speed
    fill: float = 0.97  # of the time left; the rest is for a last anneal slower than the others

    def __call__(self, race: Race, seed: int) -> None:
        run = _Run(self.annealer, race, seed)
        sweeps = self.first
        while (took := run.anneal(sweeps)) < self.trial * race.seconds:
            sweeps *= 4
        if run.calls == 1 and 2 * took < race.left:
            run.anneal(4 if self.first > 4 else 1)  # two lengths tell a call's overhead from its sweeps
        parts = self.parts
        while race.left > self.trial * race.seconds:
            sweeps = run.sweeps_in(self.fill * race.left / parts)
            if sweeps < 1:
                return
            run.anneal(sweeps)
            parts = max(1, parts - 1)


@dataclass
class Restarts:
    """Anneals of a library's default length, over and over; shorter ones if not even one fits."""

    annealer: Annealer
    sweeps: int = 1000
    calls: int = 10  # into which reads are gathered, so that a call's overhead is small
    fill: float = 0.97

    def __call__(self, race: Race, seed: int) -> None:
        run = _Run(self.annealer, race, seed)
        run.anneal(max(1, self.sweeps // 100))
        run.anneal(max(1, self.sweeps // 20))
        while (sweeps := min(self.sweeps, run.sweeps_in(self.fill * race.left))) >= 1:
            slot = min(self.fill * race.left, race.seconds / self.calls)
            run.anneal(sweeps, max(1, run.sweeps_in(slot) // sweeps))


class _Run:
    """The anneals of one race, with seeds of their own, and a line through the last two: seconds by sweeps."""

    def __init__(self, annealer: Annealer, race: Race, seed: int) -> None:
        self.annealer, self.race = annealer, race
        self.calls = 0
        self._seeds = np.random.default_rng(seed)
        self._last = 0, 0.0  # sweeps of all reads, seconds
        self._overhead, self._pace = 0.0, np.inf

    def anneal(self, sweeps: int, reads: int = 1) -> float:
        """Seconds of anneals, of which the race is told."""
        began = time.perf_counter()
        raw = self.annealer.anneal(sweeps, reads, int(self._seeds.integers(1, SEEDS)))
        self.race.found(lambda: self.annealer.configurations(raw))
        took = time.perf_counter() - began
        self._learn(sweeps * reads, took)
        self.calls += 1
        return took

    def sweeps_in(self, seconds: float) -> int:
        """Sweeps that a call of so many seconds has."""
        return max(0, int((seconds - self._overhead) / self._pace))

    def _learn(self, sweeps: int, took: float) -> None:
        before, took_before = self._last
        self._last = sweeps, took
        slope = (took - took_before) / (sweeps - before) if sweeps != before else 0.0
        # Noise, and a first call that loads something, may make nonsense of the line.
        self._pace = slope if 0.5 * took < slope * sweeps <= took else took / sweeps
        self._overhead = max(0.0, took - self._pace * sweeps)
