"""A run of a job over several nodes: its members, and what merges them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from job_specs import a_spec
from qiosk.contract.jobs import ErrorData, JobProgress, TracePoint
from qiosk.service.jobs.members import Merge, Part
from qiosk.service.jobs.runs import Begun, JobSpec, NotStarted, RunOutcome, RunUpdate, Shortage, Suspended
from qiosk.service.names import MemberBlob, blob_name, member_blob
from qiosk.supervisor.executor import Ended, Fate
from qiosk.supervisor.fanned import run as module
from qiosk.supervisor.fanned.run import MOST_RERUNS, FannedRun

HANG_AFTER_S = 600.0
SPEC = a_spec(fence=2, input_params={}, threads=2, max_seconds=100.0)
EXITED = Ended("exit status 0", Fate.LOST)


@dataclass
class FakeRun:
    """A run that does what the test says; it obeys orders at once if ``is_obedient``."""

    spec: JobSpec
    is_starting: bool = True
    is_waiting: bool = True
    activity: str = "waiting for a node"
    start_error: Exception | None = None
    place: str = "as process 1 on alpha"
    unread: list = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    ended: Ended | None = None
    is_closed: bool = False

    @property
    def part(self) -> Part | Merge:
        return self.spec.part

    def live(self, *messages) -> FakeRun:
        self.is_starting = False
        self.unread += [RunUpdate(), Begun(), *messages]
        return self

    def leave(self, *messages, end: Ended = EXITED) -> FakeRun:
        self.is_starting = False
        self.unread += messages
        self.ended = end
        return self

    def succeed(self, reason: str = "finished", **progress) -> FakeRun:
        name = blob_name("rawOutputData", "j", "job-j", 2)
        if isinstance(self.part, Part):
            name = MemberBlob(2, self.part.index, self.part.run, f"result-{reason}").name("j", "job-j")
        update = RunUpdate(progress=JobProgress(fraction=1.0, **progress), is_solved=True)
        return self.leave(update, RunOutcome(output_blob=name, stop_reason=reason))

    def wait_on(self):
        return ()

    def messages(self):
        while self.unread:
            yield self.unread.pop(0)

    def has_ended(self) -> bool:
        return self.ended is not None

    def end(self) -> Ended | None:
        return self.ended

    def observe(self) -> None:
        self.orders.append("observe")

    def cancel(self) -> None:
        self.orders.append("cancel")

    def suspend(self) -> None:
        self.orders.append("suspend")

    def kill(self) -> None:
        self.orders.append("kill")
        self.ended = self.ended or Ended("it was killed", Fate.LOST)

    def close(self) -> None:
        self.is_closed = True


class World:
    """An executor, and one run over several nodes on it."""

    starts_at_once = 1000
    shares_machine = False
    spans_machines = True

    def __init__(self) -> None:
        self.now = 50.0
        self.most = 100
        self.problem = ""
        self.refusals: list[Exception] = []
        self.runs: list[FakeRun] = []
        self.sent: list = []

    def begin(self, nodes: int = 3, written=(), **members) -> FannedRun:
        self.fanned = FannedRun(self, replace(SPEC, **members), nodes, written, hang_seconds=HANG_AFTER_S)
        return self.fanned

    def slots(self) -> int:
        return self.most

    def trouble(self) -> str:
        return self.problem

    def start(self, spec: JobSpec) -> FakeRun:
        if self.refusals:
            raise self.refusals.pop(0)
        self.runs.append(FakeRun(spec))
        return self.runs[-1]

    def step(self, seconds: float = 1.0) -> list:
        """Look at the run as its supervisor does; returns what it has sent."""
        self.now += seconds
        self.fanned.has_ended()
        new = list(self.fanned.messages())
        self.sent += new
        return new

    def until_over(self) -> Ended:
        for _ in range(3):
            self.step()
        assert self.fanned.has_ended()
        end = self.fanned.end()
        assert end is not None
        return end

    def member(self, index: int) -> FakeRun:
        """The latest run of a member."""
        return next(run for run in reversed(self.runs) if isinstance(run.part, Part) and run.part.index == index)

    @property
    def merger(self) -> FakeRun:
        return next(run for run in reversed(self.runs) if isinstance(run.part, Merge))

    @property
    def has_merger(self) -> bool:
        return any(isinstance(run.part, Merge) for run in self.runs)

    def outcomes(self) -> list:
        return [message for message in self.sent if isinstance(message, RunOutcome)]


@pytest.fixture
def world(monkeypatch) -> World:
    made = World()
    monkeypatch.setattr(module.time, "monotonic", lambda: made.now)
    return made


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_what_members_found_is_merged_by_a_last_run_whatever_order_they_ended_in(world, order):
    fanned = world.begin(3)
    assert fanned.is_starting
    assert fanned.is_waiting
    assert [run.part for run in world.runs] == [Part(0, 0), Part(1, 0), Part(2, 0)]
    for index in order:
        world.member(index).live()
        world.step()
        assert not fanned.is_starting
    for index in order:
        assert not world.has_merger
        world.member(index).succeed()
        world.step()
    found = tuple((index, f"member-2-{index}-0-result-finished") for index in range(3))
    assert world.merger.part == Merge(found)
    assert not world.outcomes(), "results of members are none of the job"
    world.merger.live().succeed()
    world.until_over()
    assert world.outcomes() == [RunOutcome(output_blob="rawOutputData-2", stop_reason="finished")]
    assert world.sent.count(Begun()) == 1
    fanned.close()
    assert all(run.is_closed for run in world.runs)


def test_members_wait_until_there_is_room(world):
    world.most = 2
    world.begin(4)
    assert len(world.runs) == 2
    world.member(1).live().succeed()
    world.step()
    assert [run.part.index for run in world.runs] == [0, 1, 2]


def test_the_time_that_a_job_may_run_counts_from_its_first_member_on(world):
    world.most = 1
    world.begin(2)
    world.member(0).live()
    world.step()
    world.member(0).succeed()
    world.step(40.0)
    assert world.member(1).spec.max_seconds == 60.0
    assert world.member(0).spec.max_seconds == 100.0


def test_progress_traces_and_the_best_are_merged(world):
    world.begin(2, progress=JobProgress(best_cost=-1.0), best_blob="bestSoFar", best_cost=-1.0)
    points = [TracePoint(1.0, 1, -1.0), TracePoint(3.0, 3, -5.0)], [TracePoint(2.0, 2, -3.0)]
    for index, cost in ((0, -5.0), (1, -3.0)):
        progress = JobProgress(fraction=0.5, best_cost=cost, sweeps=10)
        update = RunUpdate(progress=progress, trace=points[index], trace_start=0, best_blob=f"b{index}", best_cost=cost)
        world.member(index).live(replace(update, checkpoint_blob=f"c{index}"))
    world.step()
    merged = next(message for message in world.sent if isinstance(message, RunUpdate) and message.progress is not None)
    assert (merged.progress.fraction, merged.progress.best_cost, merged.progress.sweeps) == (0.5, -5.0, 20)
    assert [point.cost for point in merged.trace] == [-1.0, -3.0, -5.0]
    assert (merged.best_blob, merged.best_cost, merged.checkpoint_blob) == ("b0", -5.0, None)
    world.member(1).unread.append(RunUpdate(trace=[TracePoint(4.0, 4, -6.0)], trace_start=1))
    later = next(message for message in world.step() if message.trace_start is not None)
    assert (later.trace_start, [point.cost for point in later.trace]) == (3, [-6.0])


@pytest.mark.parametrize(
    ("leave", "end"),
    [
        ((), Ended("its node is dead", Fate.LOST)),
        ((), Ended("the gateway ended", Fate.EXCUSED)),
        ((), Ended("it never lived", Fate.NOT_STARTED)),
        ((Shortage(ErrorData(code="InsufficientResources", message="no memory")),), EXITED),
        ((NotStarted("no thread"),), EXITED),
    ],
)
def test_a_lost_member_is_run_again_from_its_checkpoint_and_the_others_go_on(world, leave, end):
    fanned = world.begin(2)
    for index in (0, 1):
        world.member(index).live(RunUpdate(checkpoint_blob=f"c{index}"))
    world.step()
    first = world.member(1).leave(*leave, end=end)
    world.step()
    world.step()
    again = world.member(1)
    assert (again.part, again.spec.checkpoint_blob) == (Part(1, 1), "c1")
    assert again is not first
    assert first.is_closed
    assert not world.member(0).orders
    again.live().succeed()
    world.member(0).succeed()
    world.step()
    world.merger.live().succeed()
    world.until_over()
    assert len(world.outcomes()) == 1
    assert any(
        "was lost" in line.text for message in world.sent if isinstance(message, RunUpdate) for line in message.log
    )
    assert fanned.start_error is None


def test_a_member_that_is_lost_too_often_ends_the_attempt_after_the_others_have_saved_what_they_did(world):
    world.begin(2)
    world.member(0).live()
    for _ in range(MOST_RERUNS + 1):
        assert "suspend" not in world.member(0).orders
        world.member(1).live().leave(end=Ended("signal SIGKILL", Fate.LOST))
        world.step()
        world.step(20.0)
    assert world.member(0).orders == ["suspend"]
    assert not world.fanned.has_ended()
    world.member(0).leave(Suspended())
    assert world.until_over() == Ended("signal SIGKILL", Fate.LOST)
    assert not any(isinstance(message, Suspended | RunOutcome) for message in world.sent)


def test_without_a_cluster_the_attempt_ends_at_once(world):
    world.begin(2)
    for run in world.runs:
        run.live()
    world.step()
    world.problem = "the cluster does not answer"
    for run in world.runs:
        run.leave(end=Ended("the cluster does not answer", Fate.EXCUSED))
    assert world.until_over().verdict is Fate.EXCUSED


def test_a_run_that_cannot_be_started_at_all_says_so(world):
    world.problem, world.refusals = "no cluster", [OSError("no cluster")]
    with pytest.raises(OSError, match="no cluster"):
        world.begin(2)


def test_members_that_cannot_be_started_for_long_never_begin(world):
    fanned = world.begin(1)
    for _ in range(MOST_RERUNS + 1):
        world.runs[-1].start_error, world.runs[-1].is_starting = OSError("no room"), False
        world.step()
        world.step(20.0)
    assert str(fanned.start_error) == "OSError: no room"
    assert not fanned.is_starting


@pytest.mark.parametrize("reason", ["optimal", "gap", "target"])
def test_a_member_that_finds_enough_ends_the_others(world, reason):
    world.most = 3
    world.begin(4)
    world.member(0).live()
    world.member(1).live()
    world.step()
    world.member(1).succeed(reason)
    world.step()
    assert world.member(0).orders == ["cancel"]
    assert world.member(2).is_closed, "it had not begun"
    world.member(0).succeed("cancelled")
    world.step()
    assert world.merger.part == Merge(
        ((0, "member-2-0-0-result-cancelled"), (1, f"member-2-1-0-result-{reason}")), was_cancelled=False
    )
    assert len(world.runs) == 4, "the fourth member was not started"


def test_a_cancelled_job_keeps_what_its_members_have(world):
    fanned = world.begin(3)
    world.member(0).live()
    world.member(1).live()
    world.step()
    fanned.cancel()
    world.member(0).succeed("cancelled")
    world.member(1).leave(end=Ended("its node is dead", Fate.LOST))
    world.step()
    assert world.merger.part == Merge(((0, "member-2-0-0-result-cancelled"),), was_cancelled=True)
    world.merger.live().succeed("cancelled")
    world.until_over()
    assert [outcome.stop_reason for outcome in world.outcomes()] == ["cancelled"]


def test_a_suspended_job_goes_on_and_what_has_ended_is_not_run_again(world):
    fanned = world.begin(4)
    for index in (0, 1, 2):
        world.member(index).live()
    world.member(0).succeed()
    world.step()
    fanned.suspend()
    assert [world.member(index).orders for index in (1, 2)] == [["suspend"], ["suspend"]]
    world.member(1).leave(RunUpdate(checkpoint_blob="c"), Suspended())
    world.member(2).succeed()
    world.until_over()
    assert world.sent[-1] == Suspended()
    assert not world.has_merger
    written = [
        MemberBlob(1, 1, 0, "checkpoint"),
        MemberBlob(2, 1, 0, "checkpoint"),
        MemberBlob(2, 0, 0, "result-finished"),
    ]
    names = [blob.name("j", "job-j") for blob in (*written, MemberBlob(2, 2, 0, "result-finished"))]
    world.runs.clear()
    world.begin(4, [*names, "member-1-3-0-bestSoFar", "checkpoint"], fence=3)
    assert [(run.part.index, run.spec.checkpoint_blob) for run in world.runs] == [(1, names[1]), (3, None)]
    for run in list(world.runs):
        run.live().succeed()
    world.step()
    assert world.merger.part.found[0] == (0, names[2])
    assert [index for index, _ in world.merger.part.found] == [0, 1, 2, 3]


def test_an_attempt_that_was_lost_while_it_merged_merges_again(world):
    world.begin(2, [f"member-1-{index}-0-result-finished" for index in (0, 1)])
    assert [type(run.part) for run in world.runs] == [Merge]
    world.merger.live().leave(end=Ended("its node is dead", Fate.LOST))
    world.step()
    world.step()
    assert len(world.runs) == 2
    world.merger.live().succeed()
    world.until_over()
    assert len(world.outcomes()) == 1


def test_an_error_of_a_member_is_that_of_the_job(world):
    world.begin(2)
    error = ErrorData(code="InvalidInputData", message="wrong")
    world.member(0).live()
    world.member(1).live(error)
    world.step()
    assert world.member(0).orders[-1] == "kill"
    world.until_over()
    assert world.sent[-1] == error


def test_a_crash_of_a_member_is_that_of_the_job(world):
    world.begin(2)
    crash = Ended("signal SIGSEGV", ErrorData(code="InternalError", message="crashed"))
    world.member(0).live()
    world.member(1).live().leave(end=crash)
    assert world.until_over() == crash


def test_a_killed_run_ends_all_members(world):
    world.most = 2
    fanned = world.begin(3)
    world.member(0).live()
    world.step()
    fanned.kill()
    world.until_over()
    assert all(run.orders == ["kill"] for run in world.runs)
    assert len(world.runs) == 2


def test_a_silent_member_is_run_again_and_one_that_waits_is_not_silent(world):
    world.begin(2)
    world.member(0).live()
    world.step()
    world.member(0).unread.append(RunUpdate(progress=JobProgress()))
    assert RunUpdate() in world.step(HANG_AFTER_S - 1), "a member waits"
    world.step(HANG_AFTER_S)
    assert world.member(0).orders == ["kill"]
    world.step()
    world.step()
    assert world.member(0).part == Part(0, 1)
    assert world.member(1).orders == []


@pytest.mark.parametrize("container", ["job-j", "shared"])
def test_names_of_the_blobs_of_members_tell_whose_they_are(container):
    blob = MemberBlob(3, 12, 1, "result-run_limit")
    assert member_blob(blob.name("j", container), "j", container) == blob
    assert member_blob("checkpoint-3", "j", container) is None
    assert member_blob(blob.name("j2", "shared"), "j", "shared") is None
