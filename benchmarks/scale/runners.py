"""Job runners for the measurements: the solvers' with a log of the time that it takes, and one that sleeps."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from qiosk.contract.jobs import TracePoint
from qiosk.contract.provenance import Provenance, environment
from qiosk.service.jobs.runs import JobSpec
from qiosk.solvers.result import Result
from qiosk.supervisor.processes import solver_runner, warm_solvers

PRELOADED = (warm_solvers,)
"""What the fork server has loaded for real jobs, so that its children are as large."""
SLEEPING = "benchmarks.scale.runners:sleep"
TIMED = "benchmarks.scale.runners:timed"
USED = "began, processor seconds:"
"""What the line of ``timed`` begins with."""

_log = logging.getLogger("qiosk.benchmarks.scale")


def timed(spec: JobSpec, data: bytes, **hooks: Any) -> Result:
    """As the solvers' runner; when it began, and the processor time of this process before and after, are logged."""
    began, before = time.perf_counter(), time.process_time()
    result = solver_runner.run(spec, data, **hooks)
    _log.info("%s %r %r %r", USED, began, before, time.process_time())
    return result


@dataclass(frozen=True)
class Slept:
    """The result of a job that has slept."""

    cost: float = 0.0
    stop_reason: str = "finished"
    trace: Sequence[TracePoint] = ()
    covers_earlier_runs: bool = False
    bound: float | None = None

    @property
    def provenance(self) -> Provenance:
        """Where it comes from."""
        return structs.replace(environment(), stop_reason=self.stop_reason)

    def receipt(self) -> None:
        """There is no proof."""

    def to_json(self) -> str:
        """The content of the results blob."""
        return json.dumps({"solutions": []})


def sleep(spec: JobSpec, data: bytes, *, is_cancelled: Callable[[], bool], **_: Any) -> Slept:
    """Sleep for as many seconds as the input says, or until the job is cancelled."""
    end = time.monotonic() + json.loads(data)["seconds"]
    while (left := end - time.monotonic()) > 0 and not is_cancelled():
        time.sleep(min(left, 0.2 if left > 0.2 else left))
    return Slept()
