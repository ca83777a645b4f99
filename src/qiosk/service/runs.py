"""One run of a job, in a process of its own: what the process is given, what it sends, and what it calls to solve.

A run sends ``RunUpdate`` while it works, and at its end one of ``RunOutcome`` (there are results), ``ErrorData`` (there
are none, and another run would find none either) or ``Suspended`` (another run can continue it).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from qiosk.contract.jobs import JobProgress, TracePoint
from qiosk.service.jobs import BlobRef


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUpdate:
    """What a run has to say while it goes on. Members left at None do not change the job.

    ``trace`` replaces the stored trace from index ``trace_start`` on, so a run that resumes from a
    checkpoint drops what its predecessor found later.
    """

    progress: JobProgress | None = None
    trace: Sequence[TracePoint] = ()
    trace_start: int | None = None
    best_blob: str | None = None
    best_cost: float | None = None
    checkpoint_blob: str | None = None

    def then(self, later: RunUpdate) -> RunUpdate:
        """Both updates as one. ``later`` begins its trace, if it has any, no further on than this one ends."""
        said = {name: value for name in _LATEST if (value := getattr(later, name)) is not None}
        if later.trace_start is None:
            return replace(self, **said)
        if self.trace_start is None or later.trace_start < self.trace_start:
            return replace(self, **said, trace=later.trace, trace_start=later.trace_start)
        kept = tuple(self.trace[: later.trace_start - self.trace_start])
        return replace(self, **said, trace=kept + tuple(later.trace))


_LATEST = ("progress", "best_blob", "best_cost", "checkpoint_blob")  # of several updates the last one counts


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """A run that has a result: the blob it is in, and why the solver stopped."""

    output_blob: str
    stop_reason: str


@dataclass(frozen=True, slots=True)
class Suspended:
    """A run that left when it was asked to, and can be continued from its last checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """All that a job process is told about its job. ``threads`` None leaves the number to the solver."""

    workspace: str
    id: str
    fence: int
    container: str
    input: BlobRef
    target: str
    input_params: Any
    input_data_format: str
    output_data_format: str
    threads: int | None = None
    checkpoint_blob: str | None = None
    best_blob: str | None = None
    best_cost: float | None = None
    input_data_uri: str = ""


class ChunkReport(Protocol):
    """What a solver says between two chunks of work."""

    @property
    def progress(self) -> JobProgress:
        """How far it has come."""
        ...

    @property
    def new_trace(self) -> Sequence[TracePoint]:
        """New bests since the previous report; the first one of a resumed run begins with its checkpoint's."""
        ...

    @property
    def best(self) -> Callable[[], bytes]:
        """Makes the best solution so far, in the results format."""
        ...

    @property
    def checkpoint(self) -> Callable[[], bytes]:
        """Makes all that is needed to continue from here."""
        ...


class RunResult(Protocol):
    """What a solver returns."""

    @property
    def stop_reason(self) -> str:
        """``finished``, ``converged``, ``target``, ``timeout`` or ``cancelled``."""
        ...

    @property
    def cost(self) -> float:
        """Cost of the best solution."""
        ...

    @property
    def trace(self) -> Sequence[TracePoint]:
        """All new bests."""
        ...

    def to_json(self) -> str:
        """The results blob."""
        ...


class JobRunner(Protocol):
    """Reads a problem and solves it, in the job's own process. Found by its dotted name, so a plain function.

    Its mistakes are exceptions: a QioskError becomes the job's ``errorData``, MemoryError a lack of
    resources, anything else an internal error.
    """

    def __call__(
        self,
        spec: JobSpec,
        data: bytes,
        *,
        is_cancelled: Callable[[], bool],
        on_chunk: Callable[[ChunkReport], None],
        resume: bytes | None,
    ) -> RunResult:
        """Solve the problem in ``data``; ``resume`` is an earlier checkpoint, or None to begin afresh."""
        ...
