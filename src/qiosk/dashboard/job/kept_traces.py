"""Traces that are kept between requests, so that a live page reads what is new only."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, final

from qiosk.contract.jobs import TracePoint
from qiosk.service.jobs.job_service import JobService

KEPT_POINTS: Final = 400_000
"""Most points that are kept, of all jobs together."""


@final
class KeptTraces:
    """The traces that were shown last. Used by several threads at once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], Sequence[TracePoint]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, workspace: str, jobs: JobService, job_id: str) -> Sequence[TracePoint]:
        """The whole trace of a job. Raises JobNotFound.

        A run that continues from a checkpoint may replace the last points. So the last one that is kept is read again:
        if it is another one by now, the whole trace is.
        """
        key = (workspace, job_id)
        with self._lock:
            known = self._kept.get(key, ())
        tail = jobs.trace(job_id, max(0, len(known) - 1))
        if known and tail and tail[0] == known[-1]:
            points: Sequence[TracePoint] = known if len(tail) == 1 else [*known, *tail[1:]]
        else:
            points = jobs.trace(job_id) if known else tail
        with self._lock:
            self._kept[key] = points
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > KEPT_POINTS:
                self._kept.popitem(last=False)
        return points
