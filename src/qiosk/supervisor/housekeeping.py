"""What a supervisor looks after besides its jobs: the database's log, sessions, what is old. In a thread of its own.

Jobs do not wait for it: looking through the blobs of a large home takes minutes. Whatever is interrupted or fails is
done the next time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import final

from qiosk.service.blobs import Storage
from qiosk.service.ports import Clock, JobStore
from qiosk.service.retention import prune
from qiosk.service.sessions import SessionStore, sweep

SWEEP_S = 1.0
"""How often sessions are looked at: how long the jobs of one that is aborted may run on. And what is written to the
database by then survives a power cut."""
PRUNE_S = 3600.0
"""How often old things are removed; for the first time ``FIRST_PRUNE_S`` after the start."""
FIRST_PRUNE_S = 30.0
_PATIENCE_S = 5.0

log = logging.getLogger(__name__)


@final
class Housekeeping:
    """A context manager: works as long as it is open. ``checkpoint`` is the database's; ``retention`` None: nothing is
    ever old.
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
        self._said: str | None = None
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def __enter__(self) -> Housekeeping:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_PATIENCE_S)  # one that is in the middle of pruning ends with the process

    def _run(self) -> None:
        while not self._stop.wait(self._sweep_s):
            try:
                self._work()
                self._said = None
            except Exception as error:
                if str(error) != self._said:
                    self._said = str(error)
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
            log.info("removed what is older than %s: %s", self._retention, removed)
