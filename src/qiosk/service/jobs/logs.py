"""A job's own log: what its supervisors and its processes logged about it.

**The way of a line.** A process sends what it logs through its pipe at once, so that the lines are there if it is
killed. Its supervisor keeps them, and its own, in memory and stores them with the next update, with the end of the
claim, or within a second. So no line costs a transaction of its own, and a supervisor that dies loses those of one
second.

**What is kept.** A store keeps the last ``MAX_LOG_BYTES`` of a job's log. Lines that could not be stored for long, or
that a process logs faster than they can be sent, are dropped, the oldest first; a line tells how many.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import final

from qiosk.contract.logs import LogLine, log_line
from qiosk.service.jobs.runs import RunUpdate

MAX_WAITING = 500
"""Lines that wait to be stored or sent; when there are more, the oldest are dropped."""
SENT_PER_S = 100
"""Lines that a process sends at once in a second; further ones are sent later."""


@final
class WaitingLines:
    """Lines that wait to be stored, or sent. Used by one thread, or under a lock."""

    def __init__(self) -> None:
        self._lines: deque[LogLine] = deque()
        self._dropped = 0

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, lines: Iterable[LogLine]) -> None:
        """Append lines."""
        self._lines.extend(lines)
        self._drop()

    def take(self) -> Sequence[LogLine]:
        """All lines, which do not wait any more."""
        lines = list(self._lines)
        if self._dropped:
            lines.insert(0, dropped_line(lines[0].time, f"{self._dropped} lines"))
        self._lines.clear()
        self._dropped = 0
        return lines

    def put_back(self, lines: Sequence[LogLine]) -> None:
        """Let lines wait again that were taken, before those that were added since."""
        self._lines.extendleft(reversed(lines))
        self._drop()

    def _drop(self) -> None:
        while len(self._lines) > MAX_WAITING:
            self._lines.popleft()
            self._dropped += 1


def dropped_line(at: datetime, what: str) -> LogLine:
    """The line that stands where others are missing."""
    return log_line(at, logging.WARNING, f"{what} before this one were dropped")


@final
class JobLogHandler(logging.Handler):
    """Sends what a job's process logs: Qiosk's own records from INFO on, and those of libraries from WARNING on."""

    def __init__(
        self,
        job_id: str,
        send: Callable[[RunUpdate], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(logging.INFO)
        self._prefix = f"job {job_id}: "
        self._send = send
        self._monotonic = monotonic
        self._lines = WaitingLines()
        self._lines_lock = threading.Lock()
        self._second, self._sent = -1, 0
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, or keep it for later if there were many in this second."""
        if record.levelno < logging.WARNING and not record.name.startswith("qiosk."):
            return
        try:
            text = self.format(record).removeprefix(self._prefix)
            line = log_line(datetime.fromtimestamp(record.created, UTC), record.levelno, text)
            with self._lines_lock:
                self._lines.add([line])
            if self._may_send():
                self.flush()
        except Exception:  # noqa: BLE001 - what a logging handler does with its own errors
            self.handleError(record)

    def flush(self) -> None:
        """Send the lines that wait."""
        with self._lines_lock:
            lines = self._lines.take() if self._lines else ()
        if lines:
            self._send(RunUpdate(log=tuple(lines)))

    def _may_send(self) -> bool:
        second = int(self._monotonic())
        if second != self._second:
            self._second, self._sent = second, 0
        self._sent += 1
        return self._sent <= SENT_PER_S
