"""The supervisor's second thread: database checkpoints, sessions, and the removal of old jobs and data.

It has its own thread because going through the blobs of a large home takes minutes. Work that is interrupted or fails
is repeated in the next round.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import final

from qiosk.service.blobs.store import Storage
from qiosk.service.jobs.retention import prune
from qiosk.service.ports import Clock, JobStore
from qiosk.service.sessions.session import SessionStore, sweep

SWEEP_S = 1.0
"""How often sessions are settled and SQLite's log is copied into its file: how long jobs of an aborted session may run
on, and after how long a write survives a power cut."""
PRUNE_S = 3600.0
"""How often old jobs and data are removed; the first time is ``FIRST_PRUNE_S`` after the start."""
FIRST_PRUNE_S = 30.0
_JOIN_TIMEOUT_S = 5.0

log = logging.getLogger(__name__)


@final
class Housekeeping:
    """A context manager that works while it is open. ``checkpoint`` is the database's.

    With ``retention`` None nothing is removed.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
        sessions: SessionStore,
        storage: Storage,
        checkpoint: Callable[[], None],
        clock: Clock,
        retention: timedelta | None,
        sweep_s: float = SWEEP_S,
        first_prune_s: float = FIRST_PRUNE_S,
    ) -> None:
        self._jobs = jobs
        self._sessions = sessions
        self._storage = storage
        self._checkpoint = checkpoint
        self._clock = clock
        self._retention = retention
        self._sweep_s = sweep_s
        self._prune_at = clock.monotonic() + first_prune_s
        self._stop = threading.Event()
        self._last_error: str | None = None
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def __enter__(self) -> Housekeeping:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_JOIN_TIMEOUT_S)  # a thread that is pruning ends with the process

    def _run(self) -> None:
        while not self._stop.wait(self._sweep_s):
            try:
                self._work()
                self._last_error = None
            except Exception as error:
                if str(error) != self._last_error:
                    self._last_error = str(error)
                    log.warning("housekeeping: %s", error, exc_info=True)

    def _work(self) -> None:
        self._checkpoint()
        sweep(self._sessions, self._jobs, self._clock.now())
        if self._retention is not None and self._clock.monotonic() >= self._prune_at:
            self._prune_at = self._clock.monotonic() + PRUNE_S
            removed = prune(
                self._retention,
                now=self._clock.now(),
                jobs=self._jobs,
                sessions=self._sessions,
                storage=self._storage,
            )
            log.info("removed jobs and data older than %s: %s", self._retention, removed)
