"""When to give up what cannot be interrupted at the end of a chunk: a set-up, or a sweep, that takes far too long.

A run normally ends between two chunks. Replicas by the million take long to set up and to sweep once: then the run ends
between two lane groups, and the caller gets the best that is known.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from qiosk.model.flips import cost_of
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.solver import StopReason

if TYPE_CHECKING:
    from qiosk.solvers.search.context import SearchContext

GRACE_S = 2.0
"""How long a chunk may go on after the time is over, or the run was cancelled: what it has found would be lost."""
SET_UP_GRACE_S = 0.25
"""The same of a set-up, which has found nothing yet, and of the descent that is made where it was given up."""


class Interrupted(Exception):
    """A set-up or a chunk was given up; ``reason`` says why the run ends."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Interruption:
    """Raises ``Interrupted`` from ``check``, ``grace`` [s] after the deadline or after a cancellation.

    ``deadline`` is on the same clock as ``clock``; it may change, since the compilation of kernels does not count.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        is_cancelled: Callable[[], bool],
        deadline: Callable[[], float],
        reason: StopReason,
    ) -> None:
        self.grace = SET_UP_GRACE_S
        self._clock = clock
        self._is_cancelled = is_cancelled
        self._deadline = deadline
        self._reason = reason
        self._cancelled_at: float | None = None

    def check(self) -> None:
        """Raise Interrupted if it is time to give up."""
        self._check(self.grace)

    def check_at_once(self) -> None:
        """The same without grace, for what loses nothing by it."""
        self._check(0.0)

    def _check(self, grace: float) -> None:
        now = self._clock()
        if self._cancelled_at is None and self._is_cancelled():
            self._cancelled_at = now
        if self._cancelled_at is not None and now >= self._cancelled_at + grace:
            raise Interrupted(StopReason.CANCELLED)
        if now >= self._deadline() + grace:
            raise Interrupted(self._reason)


def offer_any(context: SearchContext, found: Incumbents) -> None:
    """Offer the local minimum near a random configuration, for a search that was given up before it found any.

    If the descent takes longer than ``SET_UP_GRACE_S``, the configuration itself.
    """
    context.checks.clear()
    start, began = context.moves.random(np.random.default_rng((context.seed % 2**64, 0xA11))), time.monotonic()
    patience = Interruption(
        clock=time.monotonic, is_cancelled=lambda: False, deadline=lambda: began, reason=StopReason.TIMEOUT
    )
    context.checks.append(patience.check)
    try:
        context.improve(start, found, 0)
    except Interrupted:
        found.offer(start, cost_of(context.problem, start), 0)
