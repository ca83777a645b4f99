"""Job runners for the measurements: the solvers' with a log of the time that it takes, and one that sleeps."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from qiosk.service.jobs.runs import JobSpec, RunResult
from qiosk.solvers.result import Result
from qiosk.supervisor.processes import solver_runner, warm_solvers
from qiosk.testing import answering

PRELOADED = (warm_solvers,)
"""What the fork server has loaded for real jobs, so that its children are as large."""
SLEEPING = "benchmarks.scale.runners:sleep"
TIMED = "benchmarks.scale.runners:timed"
USED = "began, processor seconds:"
"""What the line of ``timed`` begins with."""

_ended = answering({}, cost=0.0)
_log = logging.getLogger("qiosk.benchmarks.scale")


def timed(spec: JobSpec, data: bytes, **hooks: Any) -> Result:
    """As the solvers' runner; when it began, and the processor time of this process before and after, are logged."""
    began, before = time.perf_counter(), time.process_time()
    result = solver_runner.run(spec, data, **hooks)
    _log.info("%s %r %r %r", USED, began, before, time.process_time())
    return result


def sleep(spec: JobSpec, data: bytes, *, is_cancelled: Callable[[], bool], **hooks: Any) -> RunResult:
    """Sleep for as many seconds as the input says, or until the job is cancelled."""
    end = time.monotonic() + json.loads(data)["seconds"]
    while (left := end - time.monotonic()) > 0 and not is_cancelled():
        time.sleep(min(left, 0.2 if left > 0.2 else left))
    return _ended(spec, data, **hooks)
