"""Members one after the other, in this process: what a cluster does at the same time.

A checkpoint has the results of the members that have come to their end, and the checkpoint of the one that runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from msgspec import structs

from qiosk.contract.jobs import BoundPoint, JobProgress, TracePoint
from qiosk.contract.provenance import Provenance
from qiosk.errors import InvalidValue, UnreadableCheckpoint
from qiosk.solvers.checkpoint import pack, unpack
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.members.carried import result_from_bytes, result_to_bytes
from qiosk.solvers.members.merge import IDLE, is_enough
from qiosk.solvers.members.progress import merge_progress
from qiosk.solvers.provenance import RunFacts
from qiosk.solvers.reports import ChunkReport
from qiosk.solvers.result import Result

Run = Callable[[int, int, Hooks], Result]
"""Runs the member of an index in a solve of this seed."""


@dataclass(slots=True)
class InTurn:
    """Members that run one after the other, and what is known of them.

    ``nodes`` is their number. The time in traces and progress is that since the first one began.
    """

    nodes: int
    facts: RunFacts
    hooks: Hooks
    found: dict[int, Result] = field(default_factory=dict)
    was_cancelled: bool = False
    _elapsed: float = 0.0  # by members that have come to their end [s]
    _running: bytes | None = None  # checkpoint of the member to go on with
    _progress: dict[int, JobProgress] = field(default_factory=dict)
    _trace: list[TracePoint] = field(default_factory=list)
    _reported: int = 0  # points of the trace

    def run(self, run: Run) -> None:
        """Run all members, unless one of them finds enough, or the caller cancels."""
        if self.hooks.resume is not None:
            self._resume(self.hooks.resume)
        began = time.monotonic()
        for index in range(len(self.found), self.nodes):
            if any(is_enough(result.stop_reason) for result in self.found.values()):
                return
            if self.found and self.hooks.is_cancelled():
                self.was_cancelled = True
                return
            self._end(index, run(index, self.facts.seed, self._hooks_of(index, time.monotonic() - began)))

    def _hooks_of(self, index: int, spent: float) -> Hooks:
        """Those of a member, before which this run has spent so many seconds."""
        resume, self._running = self._running, None
        most = self.hooks.max_seconds
        return replace(
            self.hooks,
            resume=resume,
            is_extension=False,
            max_seconds=None if most is None else max(0.0, most - spent),
            start=self.hooks.start if not self.found else None,
            on_chunk=self._follow(index),
        )

    def _end(self, index: int, result: Result) -> None:
        points = [p.seconds for p in result.trace] + [p.seconds for p in result.bounds]
        last = self._progress.get(index, JobProgress(seconds=self._elapsed))
        is_idle = result.statistics.get(IDLE, False)  # what it has is a configuration that it did not search for
        self._progress[index] = structs.replace(
            last,
            fraction=1.0,
            best_cost=None if is_idle else result.cost,
            bound=result.bound,
            seconds=max(last.seconds, self._elapsed + max(points, default=0.0)),
            activity=None,
        )
        self.found[index] = _shifted(result, self._elapsed)
        if not is_idle:
            self._extend(self.found[index].trace)
        self._elapsed = self._progress[index].seconds

    def _follow(self, index: int) -> Callable[[ChunkReport], None]:
        """The hook of a member."""
        before = self._elapsed
        searched = [result for result in self.found.values() if not result.statistics.get(IDLE)]
        best = min(searched, key=lambda result: (len(result.violated or ()), result.cost), default=None)

        def follow(report: ChunkReport) -> None:
            own = report.progress
            self._progress[index] = structs.replace(
                own,
                seconds=before + own.seconds,
                bounds=tuple(BoundPoint(before + p.seconds, p.bound) for p in own.bounds),
            )
            self._extend(TracePoint(before + p.seconds, p.sweep, p.cost) for p in report.new_trace)
            new, self._reported = self._trace[self._reported :], len(self._trace)
            is_best = best is None or (own.best_cost is not None and own.best_cost < best.cost)
            self.hooks.on_chunk(
                replace(
                    report,
                    progress=merge_progress(self._progress, self.nodes),
                    new_trace=new,
                    best=report.best if is_best or best is None else lambda: best.to_json().encode(),
                    solutions=report.solutions if is_best or best is None else lambda: best.solutions,
                    checkpoint=lambda: self._checkpoint(report.checkpoint()),
                    provenance=lambda: self._provenance(report.provenance()),
                )
            )

        return follow

    def _extend(self, points: Iterable[TracePoint]) -> None:
        """Add the points that are better than all before."""
        for point in points:
            if not self._trace or point.cost < self._trace[-1].cost:
                self._trace.append(point)

    def _provenance(self, own: Provenance) -> Provenance:
        """That of the whole, from that of a member."""
        return self.facts.so_far({**own.parameters, "seed": self.facts.seed, "nodes": self.nodes})

    def _checkpoint(self, running: bytes) -> bytes:
        return pack(
            {
                "members": self.nodes,
                "seed": self.facts.seed,
                "found": [np.frombuffer(result_to_bytes(self.found[k]), np.uint8) for k in sorted(self.found)],
                "running": np.frombuffer(running, np.uint8),
                "elapsed": self._elapsed,
            }
        )

    def _resume(self, data: bytes) -> None:
        if self.hooks.is_extension:
            raise InvalidValue("parameter `nodes`: a job over several nodes cannot be extended: run it with more time")
        saved = unpack(data, without="state")
        if not isinstance(saved, Mapping) or saved.get("members") != self.nodes:
            raise UnreadableCheckpoint(f"checkpoint: must be of a run over {self.nodes} nodes")
        if saved["seed"] != self.facts.seed:
            self.facts = replace(self.facts, seed=saved["seed"], given={**self.facts.given, "seed": saved["seed"]})
        for index, member in enumerate(saved["found"]):
            result = result_from_bytes(member.tobytes(), self.facts.cost_function)
            self.found[index] = result
            is_idle, sweeps = result.statistics.get(IDLE, False), result.statistics["sweeps"]
            cost = None if is_idle else result.cost
            self._progress[index] = JobProgress(fraction=1.0, sweeps=sweeps, best_cost=cost, bound=result.bound)
            if not is_idle:
                self._extend(result.trace)
        self._running, self._elapsed = saved["running"].tobytes(), saved["elapsed"]


def _shifted(result: Result, seconds: float) -> Result:
    """A result whose member began after so many seconds [s]."""
    trace = [TracePoint(seconds + p.seconds, p.sweep, p.cost) for p in result.trace]
    return replace(result, trace=trace, bounds=[BoundPoint(seconds + p.seconds, p.bound) for p in result.bounds])
