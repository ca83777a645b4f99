"""A job runner that says when it began."""

from __future__ import annotations

import time

from qiosk.errors import QioskError
from qiosk.service.jobs.runs import JobSpec


def run(spec: JobSpec, data: bytes, **_: object) -> None:
    """Report the monotonic clock through the only way out there is without a result: an error."""
    raise QioskError(repr(time.monotonic()))
