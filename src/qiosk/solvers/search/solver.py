"""What every algorithm is: parameters, a state, and a step.

A :class:`Solver` is set up for one problem and then frozen; all that changes is in its state. It owns no clock, no
thread and no global random state: the driver has the clock and hands over :class:`Parallel` and :class:`Budget`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from qiosk.solvers.search.incumbents import Incumbents

T = TypeVar("T")


class StopReason(StrEnum):
    """Why a run ended."""

    FINISHED = "finished"  # the planned work is done
    CONVERGED = "converged"  # more work keeps finding the same best
    TARGET = "target"  # the target cost was reached
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Budget:
    """What the clock still permits: spin updates, over all replicas, until the deadline, at the pace so far.

    Infinite without a time-out, and None before the pace is known. Only parameter-free solvers use it, so that the
    last restart ends with the time and is not cut off hot.
    """

    updates: float | None = None

    @property
    def left(self) -> float:
        """Spin updates until the deadline; infinite where there is none, or nobody can tell."""
        return math.inf if self.updates is None else self.updates


class Parallel:
    """Runs independent pieces of work in ``threads`` threads, one of them the caller's; kernels release the GIL."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._helpers = ThreadPoolExecutor(threads - 1, "qiosk-sweeps") if threads > 1 else None

    def each(self, work: Callable[[T], None], items: Iterable[T]) -> None:
        """Call ``work`` on every item, begun in their order; returns when all are done, raises what one has raised."""
        waiting = deque(items)

        def take() -> None:
            while waiting:
                try:
                    item = waiting.popleft()
                except IndexError:  # another thread has taken the last one
                    return
                work(item)

        if self._helpers is None:
            take()
            return
        # Waking a thread takes as long as a small piece of work, so the caller does not wait for its helpers to begin.
        helpers = [self._helpers.submit(take) for _ in range(min(self.threads, len(waiting)) - 1)]
        try:
            take()
        finally:
            wait(helpers)
        for helper in helpers:
            helper.result()

    def close(self) -> None:
        """Let the threads go."""
        if self._helpers is not None:
            self._helpers.shutdown()


class SolverState(Protocol):
    """What the driver reads of any state."""

    incumbents: Incumbents
    sweeps_done: int
    spin_updates: int


S = TypeVar("S", bound=SolverState)


class Solver(ABC, Generic[S]):
    """An algorithm set up for one problem."""

    @property
    @abstractmethod
    def kernel(self) -> str:
        """Name of the kernel that does the work, and its arithmetic, for ``result.statistics``."""

    @abstractmethod
    def init(self) -> S:
        """The state before the first sweep."""

    @abstractmethod
    def step(self, state: S, n_sweeps: int, parallel: Parallel, budget: Budget) -> None:
        """At most ``n_sweeps`` more sweeps, in place. ``step(a); step(b)`` equals ``step(a + b)``, bit for bit."""

    @abstractmethod
    def outcome(self, state: S) -> StopReason | None:
        """FINISHED or CONVERGED once there is nothing more to do, else None."""

    @abstractmethod
    def fraction(self, state: S) -> float:
        """Share of the planned work that is done, 0..1; 0 if the plan is open-ended."""

    @abstractmethod
    def offer_replicas(self, state: S) -> None:
        """Offer the present replicas to the incumbents: called when a run is cut off."""

    @abstractmethod
    def parameters(self, state: S) -> dict[str, Any]:
        """Parameters in effect, under the names of the parameterized target."""

    def statistics(self, state: S) -> dict[str, Any]:
        """What else there is to tell in ``result.statistics``, as JSON values; nothing unless a solver says more."""
        return {}
