"""The machine's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import final


@final
class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Aware UTC wall time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        time.sleep(seconds)
