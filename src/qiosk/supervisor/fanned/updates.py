"""What the members of a job report, as updates of the job."""

from __future__ import annotations

from dataclasses import replace
from typing import final

from msgspec import structs

from qiosk.contract.jobs import JobProgress, TracePoint
from qiosk.contract.logs import LogLine, log_line
from qiosk.contract.provenance import Provenance
from qiosk.service.jobs.runs import JobSpec, RunUpdate
from qiosk.solvers.members.progress import merge_progress, merge_traces


@final
class MergedUpdates:
    """The latest of each of the ``nodes`` members of a job. Times in progress and trace are since each member began."""

    def __init__(self, spec: JobSpec, nodes: int) -> None:
        self.best_blob = spec.best_blob
        self.best_cost = spec.best_cost
        self._nodes = nodes
        self._before = spec.progress
        self._progress: dict[int, JobProgress] = {}
        self._traces: dict[int, list[TracePoint]] = {}
        self._sent: list[TracePoint] = []
        self._pending: RunUpdate | None = None

    @property
    def progress(self) -> JobProgress:
        """Progress of the job: no worse than that of its earlier attempts in what was found."""
        merged = merge_progress(self._progress, self._nodes)
        costs = [cost for cost in (merged.best_cost, self._before.best_cost) if cost is not None]
        bounds = [bound for bound in (merged.bound, self._before.bound) if bound is not None]
        seconds = max(merged.seconds, self._before.seconds)
        return structs.replace(
            merged, best_cost=min(costs, default=None), bound=max(bounds, default=None), seconds=seconds
        )

    def take(self, index: int, update: RunUpdate) -> None:
        """Member number ``index`` has sent an update, which is a part of the next one of the job."""
        own = RunUpdate(log=tuple(_named(index, line) for line in update.log))
        if update.progress is not None:
            self._progress[index] = update.progress
        if update.trace_start is not None:
            self._traces.setdefault(index, [])[update.trace_start :] = update.trace
        if update.best_cost is not None and (self.best_cost is None or update.best_cost < self.best_cost):
            self.best_blob, self.best_cost = update.best_blob, update.best_cost
            own = replace(own, best_blob=update.best_blob, best_cost=update.best_cost)
        if update.provenance is not None and index == 0:  # whose seed is that of the job
            own = replace(own, provenance=self._of_all(update.provenance))
        self._pending = own if self._pending is None else self._pending.then(own)

    def end(self, index: int) -> None:
        """A member has come to its end."""
        self._progress[index] = structs.replace(self._progress.get(index, JobProgress()), fraction=1.0, activity=None)

    def update(self) -> RunUpdate | None:
        """What has changed since this was asked for last; None: nothing."""
        pending, self._pending = self._pending, None
        if pending is None:
            return None
        trace = merge_traces(self._traces.values())
        same = 0
        while same < min(len(trace), len(self._sent)) and trace[same] == self._sent[same]:
            same += 1
        if same < max(len(trace), len(self._sent)):
            self._sent = trace
            pending = replace(pending, trace=tuple(trace[same:]), trace_start=same)
        return replace(pending, progress=self.progress)

    def _of_all(self, provenance: Provenance) -> Provenance:
        nodes = {"nodes": self._nodes}
        return structs.replace(
            provenance, given={**provenance.given, **nodes}, parameters={**provenance.parameters, **nodes}
        )


def _named(index: int, line: LogLine) -> LogLine:
    """A line of a member's log, which tells whose it is."""
    return structs.replace(line, text=log_line(line.time, 0, f"member {index}: {line.text}").text)
