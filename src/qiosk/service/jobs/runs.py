"""One run of a job: what its process receives, what it sends, and the solver that it calls.

A run sends ``Begun`` before it calls the solver, any number of ``RunUpdate``, and at its end one of ``RunOutcome``
(there are results), ``ErrorData`` (there are none, and another run would find none either), ``Suspended`` (another run
can continue it), ``Shortage`` (its solver did not get what it needed from the machine, which may pass) or
``NotStarted`` (its solver did not begin, because the machine or the storage could not provide what a run needs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from qiosk.contract.jobs import ErrorData, JobProgress, TracePoint
from qiosk.contract.logs import LogLine
from qiosk.contract.provenance import Provenance
from qiosk.service.jobs.job import BlobRef
from qiosk.service.jobs.members import Merge, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUpdate:
    """Changes to a job that its run reports. Members left at None do not change the job.

    ``trace`` replaces the stored trace from index ``trace_start`` on. So a run that continues from a checkpoint removes
    the improvements that the earlier run found after that checkpoint. ``is_solved``: the solver has ended, and its
    results are about to be stored, however long that takes.
    """

    progress: JobProgress | None = None
    trace: Sequence[TracePoint] = ()
    trace_start: int | None = None
    best_blob: str | None = None
    best_cost: float | None = None
    checkpoint_blob: str | None = None
    provenance: Provenance | None = None
    spent_seconds: float | None = None
    is_solved: bool = False
    log: tuple[LogLine, ...] = ()

    def then(self, later: RunUpdate) -> RunUpdate:
        """Both updates as one. The trace of ``later``, if any, starts no later than the end of this one's."""
        latest: dict[str, Any] = {name: value for name in _LATEST if (value := getattr(later, name)) is not None}
        latest["log"] = (*self.log, *later.log)
        if later.trace_start is None:
            return replace(self, **latest)
        if self.trace_start is None or later.trace_start < self.trace_start:
            return replace(self, **latest, trace=later.trace, trace_start=later.trace_start)
        kept = tuple(self.trace[: later.trace_start - self.trace_start])
        return replace(self, **latest, trace=kept + tuple(later.trace))


_LATEST = ("progress", "best_blob", "best_cost", "checkpoint_blob", "provenance", "spent_seconds")
"""Members of which the last of several updates is the valid one."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The solver begins: everything that it needs was there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """The end of a run that has results: their blob, and why the solver stopped."""

    output_blob: str
    stop_reason: str


@dataclass(frozen=True, slots=True)
class Suspended:
    """The end of a run that was asked to suspend: another run can continue from its checkpoint."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """The end of a run whose solver met a shortage of memory, threads, files or disk space after it had begun.

    Another run may continue from its checkpoint once the shortage has passed; ``error`` is what the job ends with if
    it does not pass.
    """

    error: ErrorData
    is_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The end of a run before its solver began, for a reason that has nothing to do with the job.

    With ``is_of_input`` its input could not be read for long, which may be the fault of that one blob: it counts as a
    loss of the process, so that the job does not wait forever, and other jobs are started meanwhile.
    """

    reason: str
    is_of_input: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What a job process needs to know about its job. ``threads`` None: the solver chooses their number.

    ``max_seconds`` None: the run may take any time; else it ends then with the best that the job has found.
    ``progress`` is that of the job's earlier runs. ``is_extension``: the checkpoint is that of the job that this one
    extends. ``part``: what is run is not the whole job but a member of it, or merges what the members found.
    """

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
    max_seconds: float | None = None
    checkpoint_blob: str | None = None
    is_extension: bool = False
    best_blob: str | None = None
    best_cost: float | None = None
    input_data_uri: str = ""
    progress: JobProgress = field(default_factory=JobProgress)
    part: Part | Merge | None = None


class ChunkReport(Protocol):
    """What a solver reports after a chunk of work."""

    @property
    def progress(self) -> JobProgress:
        """Progress of the run."""
        ...

    @property
    def new_trace(self) -> Sequence[TracePoint]:
        """Improvements since the previous report. The first one of a resumed run starts with its checkpoint's."""
        ...

    @property
    def best(self) -> Callable[[], bytes]:
        """Function that makes the best solution so far, in the results format."""
        ...

    @property
    def checkpoint(self) -> Callable[[], bytes]:
        """Function that makes a checkpoint from which another run can continue."""
        ...

    @property
    def is_last(self) -> bool:
        """Whether a time limit or the caller has ended the run, so that another job could go on from here."""
        ...

    @property
    def provenance(self) -> Callable[[], Provenance]:
        """Function that makes the provenance, as far as it is known during the run."""
        ...


class RunResult(Protocol):
    """What a solver returns."""

    @property
    def stop_reason(self) -> str:
        """``finished``, ``converged``, ``target``, ``timeout``, ``run_limit`` or ``cancelled``."""
        ...

    @property
    def cost(self) -> float:
        """Cost of the best solution."""
        ...

    @property
    def trace(self) -> Sequence[TracePoint]:
        """All improvements, in order."""
        ...

    @property
    def provenance(self) -> Provenance:
        """Where the result comes from."""
        ...

    @property
    def covers_earlier_runs(self) -> bool:
        """Whether it takes into account what earlier runs of the job found, so that none of that is better."""
        ...

    @property
    def bound(self) -> float | None:
        """No configuration costs less; None if that is not known."""
        ...

    def receipt(self) -> bytes | None:
        """A proof of the bound that others can check, the content of the receipt blob; None if there is none."""
        ...

    def to_json(self) -> str:
        """The content of the results blob."""
        ...


class MemberResult(RunResult, Protocol):
    """What a solver returns that ran a member of a job."""

    def to_bytes(self) -> bytes:
        """The content of the member's blob, of which a run that merges makes the results."""
        ...


class JobRunner(Protocol):
    """A function that reads a problem and solves it, in the job's own process, which imports it by its dotted name.

    Its exceptions become the job's ``errorData``: a QioskError as it is, MemoryError as a lack of resources, others as
    an internal error.
    """

    def __call__(
        self,
        spec: JobSpec,
        data: bytes,
        *,
        is_cancelled: Callable[[], bool],
        on_chunk: Callable[[ChunkReport], None],
        on_activity: Callable[[str], None],
        resume: bytes | None,
        found: Mapping[int, bytes],
    ) -> RunResult:
        """Solve the problem in ``data``; ``resume`` is an earlier checkpoint, or None to start from the beginning.

        ``found`` is what members found, by index, for a run that merges; others solve. A run of a member returns a
        ``MemberResult``.

        ``on_activity`` is called, by any thread, with what the run does instead of searching, such as compiling.
        """
        ...
