"""Growing pauses between tries of something that fails."""

from __future__ import annotations

from typing import final


@final
class GrowingPause:
    """A pause that doubles with each failure in a row, from ``first_s`` to ``longest_s``. Times are monotonic."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._until = 0.0
        self.failures = 0

    def note_failure(self, now: float) -> float:
        """Begin the next pause; returns its length."""
        length = min(self._first_s * 2.0 ** min(self.failures, 30), self._longest_s)
        self.failures += 1
        self._until = now + length
        return length

    def note_success(self) -> None:
        """The next failure is the first one again."""
        self.failures = 0

    def is_on(self, now: float) -> bool:
        """Whether the pause after the last failure, if there was one, has not ended yet."""
        return self.failures > 0 and now < self._until
