"""Starts that take long: where no kernel was compiled yet, the fork server compiles some before it starts a process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import structs

from qiosk.errors import ServiceUnavailable, StorageFull
from qiosk.service.jobs.attempts import Attempt
from qiosk.service.jobs.runs import RunUpdate

SLOW_START_S = 1.0
"""After so many seconds the job's progress tells why it has not begun."""
ACTIVITY = "loading solvers, and compiling kernels (once)…"


@contextmanager
def told_if_slow(attempt: Attempt) -> Iterator[None]:
    """Within this context, in which the caller starts the job's process and leaves the attempt alone."""
    timer = threading.Timer(SLOW_START_S, _tell, (attempt,))
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError as error:  # no thread can be started: then there is no such progress
        logging.getLogger(__name__).info("job %s: %s", attempt.job.id, error)
        yield
        return
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _tell(attempt: Attempt) -> None:
    progress = structs.replace(attempt.job.progress, activity=ACTIVITY)
    try:
        attempt.note(logging.INFO, ACTIVITY)
        attempt.report(RunUpdate(progress=progress))
    except (ServiceUnavailable, StorageFull, OSError) as error:
        attempt.note(logging.WARNING, f"its progress was not stored: {error}")
