"""What a job's process writes and says, with its clock in our hands."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from qiosk.adapters.memory import ManualClock, MemoryBlobStore
from qiosk.contract.jobs import JobProgress, TracePoint
from qiosk.errors import InvalidInput
from qiosk.service.jobs import BlobRef
from qiosk.service.ports import JobSpec, RunUpdate
from qiosk.service.worker import CHECKPOINT_S, REPORT_S, Reporter, run_job


def a_spec(**members) -> JobSpec:
    return JobSpec(
        **{
            "workspace": "default",
            "id": "j",
            "fence": 1,
            "container": "job-j",
            "input": BlobRef("job-j", "inputData"),
            "target": "t",
            "input_params": None,
            "input_data_format": "f",
            "output_data_format": "f",
            **members,
        }
    )


@dataclass
class Report:
    clock: ManualClock
    progress: JobProgress
    new_trace: tuple[TracePoint, ...] = ()
    blob_s: float = 0.0

    def best(self) -> bytes:
        self.clock.sleep(self.blob_s)
        return b"best %d" % self.progress.best_cost

    def checkpoint(self) -> bytes:
        return b"checkpoint %d" % self.progress.sweeps


@dataclass
class Result:
    cost: float = -9.0
    stop_reason: str = "finished"
    trace: tuple[TracePoint, ...] = ()

    def to_json(self) -> str:
        return json.dumps({"cost": self.cost})


@dataclass
class Desk:
    """A reporter, and everything it writes to."""

    spec: JobSpec = field(default_factory=a_spec)
    clock: ManualClock = field(default_factory=ManualClock)
    blobs: MemoryBlobStore = field(default_factory=MemoryBlobStore)
    sent: list[RunUpdate] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reporter = Reporter(self.spec, self.blobs, send=self.sent.append, monotonic=self.clock.monotonic)

    def chunk(self, number: int, seconds: float, *, cost: float | None = None, blob_s: float = 0.0) -> None:
        self.clock.sleep(seconds)
        best = -float(number) if cost is None else cost
        point = TracePoint(self.clock.monotonic(), number, best)
        progress = JobProgress(fraction=0.5, sweeps=number, best_cost=best, seconds=self.clock.monotonic())
        self.reporter(Report(self.clock, progress, (point,), blob_s))

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
    assert desk.sent == [RunUpdate(progress=JobProgress(), trace=(), trace_start=0)]


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

    def runner(spec, data, *, is_cancelled, on_chunk, resume):
        assert (spec, data, resume) == (desk.spec, b"problem", b"state")
        return Result()

    outcome = run_job(
        desk.spec,
        desk.blobs,
        runner,
        send=desk.sent.append,
        is_cancelled=lambda: False,
        monotonic=desk.clock.monotonic,
    )
    assert outcome.output_blob == "rawOutputData-3"


def test_a_run_without_input_is_refused():
    desk = Desk()
    with pytest.raises(InvalidInput, match="input data: blob job-j/inputData was not found"):
        run_job(
            desk.spec,
            desk.blobs,
            lambda *_, **__: Result(),
            send=desk.sent.append,
            is_cancelled=lambda: False,
            monotonic=desk.clock.monotonic,
        )


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


def test_a_cancelled_run_yields_its_result_or_an_earlier_better_one():
    desk = Desk(a_spec(fence=2, best_blob="bestSoFar", best_cost=-5.0))
    desk.chunk(1, 1.0, cost=-4.0)
    assert desk.reporter.finish(Result(-4.0, "cancelled")).output_blob == "bestSoFar"
    assert desk.sent[-1].progress.fraction == 0.5
    assert desk.reporter.finish(Result(-6.0, "cancelled")).output_blob == "rawOutputData-2"
    assert desk.reporter.finish(Result(-4.0, "finished")).output_blob == "rawOutputData-2"
