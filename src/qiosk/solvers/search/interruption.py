"""When to give up what cannot be interrupted at the end of a chunk: a set-up, or a sweep, that takes far too long.

A run normally ends between two chunks. Replicas by the million take long to set up and to sweep once: then the run ends
between two lane groups, and the caller gets the best that is known.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.stopping import Interrupted, StopReason

if TYPE_CHECKING:
    from qiosk.solvers.search.context import SearchContext

GRACE_S = 2.0
"""How long a chunk may go on after the time is over, or the run was cancelled, at most: what it has found would be
lost."""
GRACE_SHARE, LEAST_GRACE_S = 0.02, 0.02
"""The same as a share of the time limit, and what is added to that [s]."""


def grace_after(allowed: float) -> float:
    """How long a chunk may go on after ``allowed`` seconds are over, or after a cancellation."""
    return min(GRACE_S, GRACE_SHARE * allowed + LEAST_GRACE_S)


class Interruption:
    """Raises ``Interrupted`` from ``check``, ``grace`` [s] after the deadline or after a cancellation.

    ``deadline`` is on the same clock as ``clock``; it may change, since the compilation of kernels does not count. The
    grace is negative while a search is set up, and shorter in its first chunk, so that the time suffices to find
    something else.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        is_cancelled: Callable[[], bool],
        deadline: Callable[[], float],
        reason: StopReason,
    ) -> None:
        self.grace = 0.0
        self._clock = clock
        self._is_cancelled = is_cancelled
        self._deadline = deadline
        self._reason = reason
        self._cancelled_at: float | None = None

    @property
    def left(self) -> float:
        """Seconds until it is time to give up, the cancellation apart."""
        return self._deadline() + self.grace - self._clock()

    def check(self) -> None:
        """Raise Interrupted if it is time to give up."""
        now = self._clock()
        if self._cancelled_at is None and self._is_cancelled():
            self._cancelled_at = now
        if self._cancelled_at is not None and now >= self._cancelled_at + max(0.0, self.grace):
            raise Interrupted(StopReason.CANCELLED)
        if now >= self._deadline() + self.grace:
            raise Interrupted(self._reason)


def offer_any(context: SearchContext, found: Incumbents, patience: float) -> None:
    """Offer a local minimum, for a search that was given up before it found any: the last that a descent led to.

    Without any it is the one near a random configuration, or if the descent takes more than ``patience`` [s], what it
    has reached by then. A descent that was given up goes on.
    """
    context.checks.clear()
    if context.minimum is not None:
        context.offer(context.minimum, found, 0)
        return
    start = context.reached
    if start is None:
        start = context.moves.random(np.random.default_rng((context.seed % 2**64, 0xA11)))
    end = time.monotonic() + patience
    limit = Interruption(
        clock=time.monotonic, is_cancelled=lambda: False, deadline=lambda: end, reason=StopReason.TIMEOUT
    )
    context.checks.append(limit.check)
    with suppress(Interrupted):
        context.improve(start, found, 0)
