"""The supervisor's heartbeat: a file beside its lock, whose time changes while the supervisor's loop turns.

An observer compares what it reads with what it read before, by its own monotonic time, so that no clocks are compared.
The file contains why the supervisor cannot work at the moment, if it cannot.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import final

from qiosk.adapters import private

Pulse = tuple[int, int, int]
"""What changes with every beat."""

LONGEST_STEP_S = 15.0
"""Between two looks at a heart at most so much time counts."""


@final
class Heartbeat:
    """The heartbeat of a home's supervisor: beaten by that, and looked at by others."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._trouble: str | None = None
        self._seen: tuple[str, Pulse | None] | None = None
        self._still_s = 0.0
        self._looked_at = 0.0

    def beat(self, trouble: str = "") -> None:
        """Show that the supervisor's loop turns. Raises OSError."""
        now = time.time_ns()
        try:
            os.utime(self._path, ns=(now, now))  # which needs neither room on the disk nor a file descriptor
        except FileNotFoundError:
            self._trouble = None
        if trouble != self._trouble:
            private.write_text(self._path, trouble)
            self._trouble = trouble

    def pulse(self) -> Pulse | None:
        """Something that is different after each beat; None before the first one."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def still_s(self, supervisor: str) -> float:
        """For how many seconds calls of this method have seen the same beat of the same supervisor.

        Between two calls at most ``LONGEST_STEP_S`` count: after a longer pause both processes may have been stopped.
        """
        now, seen = time.monotonic(), (supervisor, self.pulse())
        self._still_s = self._still_s + min(now - self._looked_at, LONGEST_STEP_S) if seen == self._seen else 0.0
        self._seen, self._looked_at = seen, now
        return self._still_s

    def trouble(self) -> str:
        """Why the supervisor cannot work; empty if it can."""
        try:
            return self._path.read_text()
        except FileNotFoundError:
            return ""
