"""What a job's process writes and says, with its clock in our hands."""

from __future__ import annotations

import errno
import functools
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

import fake_runners
from job_specs import a_spec
from qiosk.contract.jobs import ErrorData, JobProgress, TracePoint
from qiosk.contract.provenance import Provenance, environment
from qiosk.errors import BlobNotFound, NotEnoughMemory, StorageFull
from qiosk.service.jobs.job import BlobRef
from qiosk.service.jobs.runs import JobRunner, JobSpec, NotStarted, RunOutcome, RunUpdate, Shortage, Suspended
from qiosk.service.jobs.worker import CHECKPOINT_S, LONGEST_RETRY_S, REPORT_S, STORAGE_PATIENCE_S, Reporter, run_job
from qiosk.testing import ManualClock, MemoryBlobStore


@dataclass
class Report:
    clock: ManualClock
    progress: JobProgress
    new_trace: tuple[TracePoint, ...] = ()
    blob_s: float = 0.0
    is_last: bool = False

    def best(self) -> bytes:
        self.clock.sleep(self.blob_s)
        return b"best %d" % self.progress.best_cost

    def checkpoint(self) -> bytes:
        return b"checkpoint %d" % self.progress.sweeps

    def provenance(self) -> Provenance:
        return structs.replace(environment(), seed=self.progress.sweeps)


@dataclass
class Result:
    cost: float = -9.0
    stop_reason: str = "finished"
    trace: tuple[TracePoint, ...] = ()
    provenance: Provenance = field(default_factory=environment)
    covers_earlier_runs: bool = False
    bound: float | None = None
    proof: bytes | None = None

    def receipt(self) -> bytes | None:
        if self.proof == b"too large":
            raise MemoryError
        return self.proof

    def to_json(self) -> str:
        return json.dumps({"cost": self.cost})


@dataclass
class Desk:
    """A reporter, and everything it writes to."""

    spec: JobSpec = field(default_factory=a_spec)
    clock: ManualClock = field(default_factory=ManualClock)
    blobs: MemoryBlobStore = field(default_factory=MemoryBlobStore)
    sent: list[RunUpdate] = field(default_factory=list)
    is_suspending: bool = False

    def __post_init__(self) -> None:
        self.reporter = Reporter(
            self.spec,
            self.blobs,
            send=self.sent.append,
            monotonic=self.clock.monotonic,
            is_suspending=lambda: self.is_suspending,
            sleep=self.clock.sleep,
        )

    def chunk(self, number: int, seconds: float, *, cost: float | None = None, blob_s: float = 0.0) -> None:
        self.clock.sleep(seconds)
        best = -float(number) if cost is None else cost
        point = TracePoint(self.clock.monotonic(), number, best)
        progress = JobProgress(fraction=0.5, sweeps=number, best_cost=best, seconds=self.clock.monotonic())
        self.reporter(Report(self.clock, progress, (point,), blob_s))

    def run(self, runner: JobRunner, **arguments: Callable[[], bool]) -> RunOutcome | ErrorData | Suspended:
        """The last word of a whole run."""
        return run_job(
            self.spec,
            self.blobs,
            runner,
            send=self.sent.append,
            is_cancelled=lambda: False,
            monotonic=self.clock.monotonic,
            **arguments,
        )

    def blob(self, name: str) -> bytes:
        return self.blobs.get(BlobRef("job-j", name))


def test_reports_are_rare_however_many_chunks_there_are():
    desk = Desk()
    for number in range(1, 1001):
        desk.chunk(number, 0.002)
    assert len(desk.sent) == pytest.approx(2.0 / REPORT_S, abs=1)


def test_reports_hold_the_whole_trace_without_gaps():
    desk = Desk()
    for number in range(1, 101):
        desk.chunk(number, 0.03)
    trace: list[TracePoint] = []
    for update in desk.sent:
        assert update.trace_start == len(trace)
        trace += update.trace
    assert [point.sweep for point in trace] == list(range(1, len(trace) + 1))
    assert len(trace) > 90


def test_a_best_is_stored_when_it_is_better_than_all_before():
    desk = Desk()
    desk.chunk(1, 1.0, cost=-5.0)
    desk.chunk(2, 1.0, cost=-5.0)
    desk.chunk(3, 1.0, cost=-4.0)
    assert [update.best_blob for update in desk.sent] == ["bestSoFar", None, None]
    assert desk.blob("bestSoFar") == b"best -5"
    desk.chunk(4, 1.0, cost=-6.0)
    assert desk.blob("bestSoFar") == b"best -6"


def test_an_earlier_runs_best_is_not_replaced_by_a_worse_one():
    desk = Desk(a_spec(fence=2, best_blob="bestSoFar", best_cost=-5.0))
    desk.chunk(1, 1.0, cost=-4.0)
    assert desk.sent[-1].best_blob is None
    desk.chunk(2, 1.0, cost=-6.0)
    assert (desk.sent[-1].best_blob, desk.sent[-1].best_cost) == ("bestSoFar-2", -6.0)


def test_a_solver_without_a_configuration_yet_reports_none():
    desk = Desk()
    desk.clock.sleep(1.0)
    desk.reporter(Report(desk.clock, JobProgress()))
    known = structs.replace(environment(), seed=0)
    assert desk.sent == [RunUpdate(progress=JobProgress(), trace=(), trace_start=0, provenance=known)]


def test_blobs_of_the_best_take_little_of_the_time():
    desk = Desk()
    for number in range(1, 201):
        desk.chunk(number, 0.5, blob_s=0.5)
    stored = sum(update.best_blob is not None for update in desk.sent)
    assert stored >= 5
    assert stored * 0.5 <= 0.06 * desk.clock.monotonic()


def test_checkpoints_come_every_few_seconds():
    desk = Desk()
    for number in range(1, 61):
        desk.chunk(number, 0.5)
    stored = sum(update.checkpoint_blob is not None for update in desk.sent)
    assert stored == pytest.approx(30 / CHECKPOINT_S, abs=1)
    assert desk.blob("checkpoint").startswith(b"checkpoint ")


def test_a_run_gets_the_checkpoint_of_its_predecessor():
    desk = Desk(a_spec(fence=3, checkpoint_blob="checkpoint-2"))
    desk.blobs.put(BlobRef("job-j", "inputData"), b"problem")
    desk.blobs.put(BlobRef("job-j", "checkpoint-2"), b"state")

    def runner(spec, data, *, is_cancelled, on_chunk, resume, **_):
        assert (spec, data, resume) == (desk.spec, b"problem", b"state")
        return Result()

    assert desk.run(runner) == RunOutcome(output_blob="rawOutputData-3", stop_reason="finished")


def test_what_a_run_does_instead_of_searching_is_sent_at_once_and_keeps_the_earlier_progress():
    earlier = JobProgress(fraction=0.5, sweeps=7)
    desk = Desk(a_spec(progress=earlier))
    desk.reporter.on_activity("compiling")
    assert desk.sent == [RunUpdate(progress=structs.replace(earlier, activity="compiling"))]
    desk.clock.sleep(1.0)
    desk.reporter(Report(desk.clock, JobProgress(fraction=0.6)))
    assert desk.sent[-1].progress == JobProgress(fraction=0.6)


def test_a_run_whose_checkpoint_is_gone_begins_anew(caplog):
    desk = Desk(a_spec(fence=3, checkpoint_blob="checkpoint-2"))
    desk.blobs.put(BlobRef("job-j", "inputData"), b"problem")

    def runner(*_, resume, **__):
        assert resume is None
        return Result()

    assert desk.run(runner) == RunOutcome(output_blob="rawOutputData-3", stop_reason="finished")
    assert "job j: starts without its checkpoint: blob job-j/checkpoint-2 was not found" in caplog.text


def test_a_run_without_input_is_refused():
    desk = Desk()
    last_word = desk.run(lambda *_, **__: Result())
    assert last_word == ErrorData(code="InvalidInputData", message="input data: blob job-j/inputData was not found")


def test_the_last_report_is_complete():
    desk = Desk()
    desk.chunk(1, 0.01)
    trace = (TracePoint(0.01, 1, -1.0), TracePoint(0.02, 2, -9.0))
    outcome = desk.reporter.finish(Result(trace=trace))
    assert outcome.output_blob == "rawOutputData"
    assert json.loads(desk.blob("rawOutputData")) == {"cost": -9.0}
    (last,) = desk.sent
    assert (last.trace, last.trace_start) == (trace, 0)
    assert (last.progress.fraction, last.progress.best_cost, last.progress.sweeps) == (1.0, -9.0, 1)


def test_a_receipt_is_stored_beside_the_results_of_its_run():
    desk = Desk(a_spec(fence=2))
    desk.reporter.finish(Result(bound=-9.5, proof=b"proof"))
    assert desk.blob("receipt-2") == b"proof"
    assert desk.sent[-1].progress.bound == -9.5
    assert desk.reporter.finish(Result()).output_blob == "rawOutputData-2"


def test_a_receipt_that_cannot_be_made_keeps_no_results_back(caplog):
    desk = Desk()
    assert desk.reporter.finish(Result(proof=b"too large")).output_blob == "rawOutputData"
    assert "job j: no receipt was made" in caplog.text
    with pytest.raises(BlobNotFound):
        desk.blob("receipt")


def test_a_cancelled_run_yields_its_result_or_an_earlier_better_one():
    desk = Desk(a_spec(fence=2, best_blob="bestSoFar", best_cost=-5.0))
    desk.chunk(1, 1.0, cost=-4.0)
    assert desk.reporter.finish(Result(-4.0, "cancelled")).output_blob == "bestSoFar"
    assert desk.sent[-1].progress.fraction == 0.5
    assert desk.reporter.finish(Result(-6.0, "cancelled")).output_blob == "rawOutputData-2"
    assert desk.reporter.finish(Result(-4.0, "finished")).output_blob == "rawOutputData-2"
    knowing = Result(-4.0, "cancelled", covers_earlier_runs=True)
    assert desk.reporter.finish(knowing).output_blob == "rawOutputData-2"


def test_a_run_that_shall_leave_saves_everything_before_it_goes():
    desk = Desk()
    desk.chunk(1, 1.0)
    desk.is_suspending = True
    with pytest.raises(BaseException) as caught:
        desk.chunk(2, 0.001)
    assert not isinstance(caught.value, Exception), "a solver that catches its errors must not keep the run"
    update = desk.sent[-1]
    assert (update.best_blob, update.checkpoint_blob, update.best_cost) == ("bestSoFar", "checkpoint", -2.0)
    assert desk.blob("checkpoint") == b"checkpoint 2"
    assert [point.sweep for sent in desk.sent for point in sent.trace] == [1, 2]


def test_a_run_that_leaves_says_so():
    desk = Desk()
    desk.blobs.put(BlobRef("job-j", "inputData"), b'{"chunks": 1000}')
    chunks = iter(range(10**6))
    assert desk.run(fake_runners.run, is_suspending=lambda: next(chunks) == 3) == Suspended()
    assert desk.blob("checkpoint") == b"4"


updates = st.builds(
    lambda start, length, number, members: (
        RunUpdate(
            trace=tuple(TracePoint(float(number), start + i, 0.0) for i in range(length)),
            trace_start=None if start is None else start,
            **{name: f"{name}-{number}" for name in members},
        )
        if start is not None
        else RunUpdate(**{name: f"{name}-{number}" for name in members})
    ),
    st.none() | st.integers(0, 5),
    st.integers(0, 4),
    st.integers(0, 10**6),
    st.sets(st.sampled_from(["best_blob", "checkpoint_blob"])),
)


@given(said=st.lists(updates, min_size=1, max_size=6))
def test_updates_that_are_joined_say_what_they_said_one_after_the_other(said):
    apart, joined = AppliedUpdates(), AppliedUpdates()
    contiguous = []
    for update in said:
        if update.trace_start is None or update.trace_start <= len(apart.trace):
            contiguous.append(update)
            apart.apply(update)
    if contiguous:
        joined.apply(functools.reduce(RunUpdate.then, contiguous))
    assert joined == apart


@dataclass
class AppliedUpdates:
    """What a store makes of updates."""

    trace: list[TracePoint] = field(default_factory=list)
    blobs: dict[str, str] = field(default_factory=dict)

    def apply(self, update: RunUpdate) -> None:
        if update.trace_start is not None:
            self.trace[update.trace_start :] = update.trace
        for name in ("best_blob", "checkpoint_blob"):
            if getattr(update, name) is not None:
                self.blobs[name] = getattr(update, name)


class FullStorage:
    """Blobs on a disk that has no room until a time comes."""

    def __init__(self, blobs: MemoryBlobStore, clock: ManualClock, until: float) -> None:
        self.blobs = blobs
        self.clock = clock
        self.until = until

    def put(self, ref: BlobRef, data: bytes, **arguments) -> None:
        if self.clock.monotonic() < self.until:
            raise OSError(28, "No space left on device")
        self.blobs.put(ref, data, **arguments)


def full_desk(until: float) -> Desk:
    desk = Desk()
    desk.reporter._blobs = FullStorage(desk.blobs, desk.clock, until)
    return desk


def test_a_full_disk_costs_a_run_its_checkpoints_but_not_its_results():
    desk = full_desk(until=10.0)
    for number in range(1, 6):
        desk.chunk(number, 1.0)
    assert {(update.best_blob, update.checkpoint_blob) for update in desk.sent} == {(None, None)}
    assert desk.sent[-1].trace, "the rest is said all the same"
    outcome = desk.reporter.finish(Result())
    assert desk.clock.monotonic() >= 10.0
    assert outcome.output_blob == "rawOutputData"
    assert desk.blob("rawOutputData") == b'{"cost": -9.0}'


def test_a_best_is_stored_as_soon_as_there_is_room():
    desk = full_desk(until=2.5)
    for number in range(1, 6):
        desk.chunk(number, 1.0, cost=-5.0)
    assert [update.best_blob for update in desk.sent] == [None, None, "bestSoFar", None, None]


def test_results_are_kept_however_long_the_disk_is_full():
    desk = full_desk(until=86_400.0)
    outcome = desk.reporter.finish(Result())
    assert (outcome.output_blob, desk.blob("rawOutputData")) == ("rawOutputData", b'{"cost": -9.0}')
    assert 86_400.0 <= desk.clock.monotonic() <= 86_400.0 + LONGEST_RETRY_S
    assert desk.sent[0].is_solved, "so that no limit of time ends it"
    assert len(desk.sent) > 86_000, "it shows that it lives"


def test_results_that_do_not_fit_into_memory_for_long_are_given_up():
    desk = Desk()
    result = Result()
    result.to_json = no_memory
    with pytest.raises(MemoryError):
        desk.reporter.finish(result)
    assert STORAGE_PATIENCE_S <= desk.clock.monotonic() <= STORAGE_PATIENCE_S + LONGEST_RETRY_S


def no_memory(*_, **__):
    raise MemoryError


def test_a_best_and_a_checkpoint_that_memory_is_too_small_for_end_no_run(monkeypatch):
    monkeypatch.setattr(Report, "best", no_memory)
    monkeypatch.setattr(Report, "checkpoint", no_memory)
    desk = Desk()
    desk.chunk(1, CHECKPOINT_S)
    assert (desk.sent[-1].best_blob, desk.sent[-1].checkpoint_blob) == (None, None)


TOO_LARGE = NotEnoughMemory("problem of 9 variables and 9 terms does not fit memory")
CAUSED = NotEnoughMemory("problem of 9 variables and 9 terms does not fit memory")
CAUSED.__cause__ = MemoryError()


@pytest.mark.parametrize(
    ("error", "is_passing", "is_of_memory"),
    [
        (MemoryError(), True, True),
        (CAUSED, True, True),
        (TOO_LARGE, False, False),
        (OSError(errno.EMFILE, "Too many open files"), True, False),
        (OSError(errno.ENOSPC, "No space left on device"), True, False),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), True, False),
        (RuntimeError("can't start new thread"), True, False),
        (StorageFull("disk: full"), True, False),
        (OSError(errno.EACCES, "Permission denied"), False, False),
        (RuntimeError("a bug"), False, False),
        (ValueError("a bug"), False, False),
    ],
    ids=repr,
)
def test_a_solver_that_meets_a_shortage_has_not_failed(error, is_passing, is_of_memory):
    def run(*_, **__):
        raise error

    desk = Desk()
    desk.blobs.put(desk.spec.input, b"")
    ended = desk.run(run)
    assert isinstance(ended, Shortage) is is_passing
    if isinstance(ended, Shortage):
        assert ended.is_of_memory is is_of_memory
    assert isinstance(ended.error if is_passing else ended, ErrorData)


def test_a_run_whose_input_cannot_be_read_for_long_has_not_started(monkeypatch):
    def unreachable(*_):
        raise OSError("object storage: no route to host")

    monkeypatch.setattr(MemoryBlobStore, "get", unreachable)
    times = itertools.count(step=STORAGE_PATIENCE_S)
    ended = run_job(
        a_spec(),
        MemoryBlobStore(),
        lambda *_, **__: pytest.fail("it was started"),
        send=lambda _: None,
        is_cancelled=lambda: False,
        monotonic=lambda: next(times),
    )
    assert ended == NotStarted("its input cannot be read: object storage: no route to host", is_of_input=True)


def test_a_run_that_waits_for_room_leaves_when_it_is_asked_to():
    desk = full_desk(until=10**6)
    desk.is_suspending = True
    with pytest.raises(BaseException) as caught:
        desk.reporter.finish(Result())
    assert not isinstance(caught.value, Exception)
