"""Members at the same time, on whatever runs them: which ones run again, and when all of them end."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import structs

from qiosk.contract.jobs import JobProgress
from qiosk.errors import ServiceUnavailable
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.members.merge import IDLE, is_enough
from qiosk.solvers.members.progress import merge_progress
from qiosk.solvers.result import Result

MOST_RERUNS = 4
"""So often a lost member is run again."""
POLL_S = 0.05
"""How often the caller is told the progress, and asked whether it cancels."""
GRACE_S = 10.0
"""How long members that are to stop may take to hand over what they have."""

log = logging.getLogger(__name__)


class LostMember(Exception):
    """The run of a member has ended without a result, and its solver is not to blame."""


class Tasks(Protocol):
    """Runs members, which are known by their indices."""

    def start(self, index: int) -> None:
        """Run a member; the one before has ended."""
        ...

    def ended(self, running: Iterable[int], seconds: float) -> Sequence[int]:
        """Those of the running members that have ended; waits at most so long for one."""
        ...

    def result(self, index: int) -> Result:
        """What a member that has ended found. Raises LostMember, and what its solver raised."""
        ...

    def stop(self, index: int) -> None:
        """Let a member end early; it has a result if its solver has begun."""
        ...

    def kill(self, index: int) -> None:
        """End a member at once."""
        ...


@dataclass(slots=True)
class AtOnce:
    """As many members as there are ``nodes``, and what is known of them.

    When a member has found enough, or the caller cancels, the others stop, and what they hand over counts. Progress is
    that of members that have ended.
    """

    nodes: int
    tasks: Tasks
    hooks: Hooks
    found: dict[int, Result] = field(default_factory=dict)
    was_cancelled: bool = False
    _running: set[int] = field(default_factory=set)
    _losses: Counter[int] = field(default_factory=Counter)
    _progress: dict[int, JobProgress] = field(default_factory=dict)
    _stopped_at: float | None = None

    def run(self) -> None:
        """Run all members. None runs any more when this returns, or raises: ServiceUnavailable, or as their solvers."""
        began = time.monotonic()
        try:
            for index in range(self.nodes):
                self._start(index)
            while self._running and not self._is_overdue():
                for index in self.tasks.ended(sorted(self._running), POLL_S):
                    self._running.remove(index)
                    self._take(index, time.monotonic() - began)
                self._follow(time.monotonic() - began)
        finally:
            for index in self._running:
                self.tasks.kill(index)

    def _start(self, index: int) -> None:
        self.tasks.start(index)
        self._running.add(index)

    def _is_overdue(self) -> bool:
        return self._stopped_at is not None and time.monotonic() - self._stopped_at > GRACE_S

    def _take(self, index: int, seconds: float) -> None:
        """Take what a member has found; one that was lost runs again, unless all are to stop."""
        try:
            result = self.tasks.result(index)
        except LostMember as error:
            if self._stopped_at is None:
                self._rerun(index, error)
            return
        self.found[index] = result
        self._progress[index] = JobProgress(
            fraction=1.0,
            sweeps=result.statistics["sweeps"],
            best_cost=None if result.statistics.get(IDLE) else result.cost,
            seconds=seconds,
            bound=result.bound,
        )
        if is_enough(result.stop_reason):
            self._stop()

    def _rerun(self, index: int, error: LostMember) -> None:
        self._losses[index] += 1
        if self._losses[index] > MOST_RERUNS:
            raise ServiceUnavailable(
                f"member {index}: was lost {self._losses[index]} times, at last: {error}"
            ) from error
        log.warning("member %d was lost, running it again: %s", index, error)
        self._start(index)

    def _follow(self, seconds: float) -> None:
        """Tell the progress, and stop if the caller cancels."""
        self.hooks.on_progress(structs.replace(merge_progress(self._progress, self.nodes), seconds=seconds))
        if self._running and self._stopped_at is None and self.hooks.is_cancelled():
            self.was_cancelled = True
            self._stop()

    def _stop(self) -> None:
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            for index in self._running:
                self.tasks.stop(index)
