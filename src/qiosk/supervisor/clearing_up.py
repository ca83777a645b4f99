"""Removing the leftovers of jobs that have ended, in a thread of its own.

An object store may take long to answer, or not answer at all. The supervisor's loop must not wait for it: the leases of
all its jobs would run out. What is left when the supervisor ends is removed with the job, or when old data are.
"""

from __future__ import annotations

import logging
import threading
from queue import Queue
from typing import final

from qiosk.service.blobs.store import BlobStore
from qiosk.service.jobs.job import Job
from qiosk.service.jobs.removal import remove_leftovers

log = logging.getLogger(__name__)


@final
class ClearingUp:
    """Jobs whose leftovers are to be removed."""

    def __init__(self) -> None:
        self._jobs: Queue[tuple[BlobStore, Job]] = Queue()
        self._thread: threading.Thread | None = None

    def add(self, blobs: BlobStore, job: Job) -> None:
        """Remove the leftovers of a job soon."""
        self._jobs.put((blobs, job))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="clearing up", daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait until all is removed, or so long; returns whether it is."""
        with self._jobs.all_tasks_done:
            return self._jobs.all_tasks_done.wait_for(lambda: not self._jobs.unfinished_tasks, seconds)

    def _work(self) -> None:
        while True:
            blobs, job = self._jobs.get()
            try:
                remove_leftovers(blobs, job)
            except Exception as error:  # noqa: BLE001 - storages raise many kinds, and other jobs go on
                log.warning("job %s: its leftovers were not removed: %s", job.id, error)
            finally:
                self._jobs.task_done()
