"""Jobs whose processes cannot be started: they have not failed, and must not be forgotten."""

from __future__ import annotations

import errno
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from qiosk.contract.jobs import ErrorData, JobProgress, SubmitJob
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import JobEvent, JobKey, JobState
from qiosk.service.jobs.runs import Begun, NotStarted, RunOutcome, RunUpdate, Shortage
from qiosk.settings import Settings
from qiosk.supervisor import slots as module
from qiosk.supervisor.clearing_up import ClearingUp
from qiosk.supervisor.processes import local
from qiosk.supervisor.processes.local import LOADING, LocalRun
from qiosk.supervisor.running_job import RUN_GRACE_S, claim_of
from qiosk.supervisor.shortages import Shortages
from qiosk.supervisor.slots import HELD_STARTS, JobSlots
from qiosk.testing import ManualClock, MemoryBlobStore, MemoryJobStore


class Process:
    """A job's process that sends what the test says."""

    pid: int | None = 1
    is_starting = False
    start_error: Exception | None = None

    def __init__(self, *sent) -> None:
        self.sent = list(sent)
        self.code: int | None = None
        self.is_killed = False

    def messages(self):
        while self.sent:
            yield self.sent.pop(0)

    def exit_code(self):
        return self.code

    def kill(self) -> None:
        self.is_killed = True
        if self.is_starting:
            self.code = -signal.SIGKILL

    def cancel(self) -> None:
        self.sent.append(RunUpdate())

    suspend = cancel

    def close(self) -> None:
        pass


class FakeExecutor:
    """Runs the processes that the machine says."""

    starts_at_once = 1
    shares_machine = True
    spans_machines = False

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._runs: list[LocalRun] = []

    def slots(self) -> int:
        return self._machine.slots._settings.concurrent_jobs

    def trouble(self) -> str:
        return ""

    def threads(self, runs: int) -> int:
        return 1

    def start(self, spec) -> LocalRun:
        run = LocalRun(self._machine.start(spec), self._runs)
        self._runs.append(run)
        return run


class Machine:
    """Slots, the jobs that wait for them, and what becomes of the processes that they start."""

    def __init__(self, jobs: int = 3, concurrent_jobs: int = 2) -> None:
        self.now = 100.0
        self.run_seconds: float | None = None
        self.jobs = MemoryJobStore()
        self.outcomes: list[Process | Exception] = []
        blobs, clock = MemoryBlobStore(), ManualClock()
        for number in range(jobs):
            command = SubmitJob(name="a", provider_id="Microsoft", target="t.cpu", input_data=b"{}")
            self.jobs.add(define_job(f"j{number}", command, workspace="w", blobs=blobs, at=clock.now()))
        stores = SimpleNamespace(
            jobs=self.jobs,
            clock=clock,
            storage=SimpleNamespace(blobs=lambda _: blobs),
            quotas=SimpleNamespace(concurrent_jobs=lambda _: None, run_seconds=lambda *_: self.run_seconds),
        )
        settings = Settings(home=Path("/h"), concurrent_jobs=concurrent_jobs, max_attempts=1)
        self.starts = 0
        self.slots = JobSlots(stores, settings, FakeExecutor(self), ClearingUp(), worker="h/w")

    def start(self, spec) -> Process:
        self.starts += 1
        self.spec = spec
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, OSError):
            raise outcome
        if isinstance(outcome, Exception):
            process = Starting()
            process.end_start(outcome)
            return process
        return outcome

    def step(self, seconds: float = 0.0) -> None:
        """What the supervisor does in a step, so many seconds later."""
        self.now += seconds
        for running in self.slots.running:
            running.receive()
        self.slots.store_messages()
        self.slots.take_back()
        self.slots.drop_finished()
        self.slots.fill()

    def job(self, number: int = 0):
        return self.jobs.get(JobKey("w", f"j{number}"))


@pytest.fixture
def machine(monkeypatch) -> Machine:
    made = Machine()
    made.slots._shortages = Shortages(3)
    monkeypatch.setattr(module.time, "monotonic", lambda: made.now)
    return made


class Starting(Process):
    """A process that is starting until the test lets it."""

    pid = None
    is_starting = True

    def end_start(self, error: Exception | None = None) -> None:
        self.is_starting, self.start_error, self.pid = False, error, 2
        self.code = None if error is None else 1


def test_a_start_that_takes_long_is_told_as_progress(machine):
    process = Starting()
    machine.outcomes = [process, Process(), Process()]
    machine.step()
    machine.step(0.9)
    assert machine.job().progress.activity is None
    machine.step(0.2)
    machine.step(0.2)
    assert machine.job().progress.activity == LOADING
    assert [line.text for line in machine.jobs.log(JobKey("w", "j0"), 0)].count(LOADING) == 1
    assert machine.starts == 1, "one process is started at a time"
    process.end_start()
    process.sent.append(RunUpdate(progress=JobProgress(fraction=0.5)))
    machine.step()
    assert machine.job().progress == JobProgress(fraction=0.5)
    assert machine.starts == 2


def test_the_claim_of_a_job_whose_process_is_starting_is_renewed_and_its_start_is_no_run_time(machine):
    machine.run_seconds = 50.0
    process = Starting()
    machine.outcomes = [process, Process(), Process()]
    machine.step()
    machine.step(100.0)
    before = machine.job().revision
    machine.now += 100.0
    machine.slots.renew_leases(machine.now)
    assert machine.job().revision > before
    process.end_start()
    machine.step()
    machine.slots.running[0].enforce_limits(machine.now)
    process.sent.append(RunUpdate(progress=JobProgress(fraction=0.5)))
    machine.step(10.0)
    assert (machine.job().spent_seconds, process.is_killed) == (10.0, False)


def test_a_job_whose_process_is_starting_is_cancelled_at_once(machine):
    process = Starting()
    machine.outcomes = [process, Process(), Process()]
    machine.step()
    cancelled = machine.job().on(JobEvent.CANCEL, at=ManualClock().now())
    assert machine.jobs.swap(cancelled, expected=machine.job())
    machine.slots.cancel({claim_of(cancelled)})
    machine.step()
    assert (machine.job().state, machine.job().losses, process.is_killed) == (JobState.CANCELLED, 0, True)
    assert machine.job(1).state is JobState.EXECUTING, "the next one takes its place"


def test_a_job_whose_process_is_starting_waits_again_when_the_supervisor_stops(machine):
    machine.outcomes = [Starting()]
    machine.step()
    for running in machine.slots.running:
        running.suspend()
        running.receive()
    machine.slots.store_messages()
    machine.slots.drop_finished()
    assert machine.slots.is_empty
    assert (machine.job().state, machine.job().losses) == (JobState.WAITING, 0)


def test_a_start_that_never_ends_is_no_attempt(machine):
    process = Starting()
    machine.slots._settings = Settings(home=Path("/h"), concurrent_jobs=1, hang_seconds=60.0)
    machine.outcomes = [process]
    machine.step()
    machine.step(60.0)
    machine.slots.running[0].enforce_limits(machine.now)
    machine.step()
    assert process.is_killed
    assert machine.slots.has_trouble()
    assert (machine.job().state, machine.job().losses, machine.job().fence) == (JobState.EXECUTING, 0, 1)
    assert machine.slots.held is not None


SHORTAGES = [
    OSError(errno.EMFILE, "Too many open files"),
    BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError(errno.ENOSPC, "No space left on device"),
    EOFError("unexpected EOF"),
    MemoryError(),
]


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: type(error).__name__ + str(error))
def test_what_cannot_be_started_is_no_attempt(machine, error):
    machine.outcomes = [error] * 3 + [Process(RunUpdate(), Begun(), RunOutcome(output_blob="o", stop_reason="x"))]
    machine.outcomes += [Process(), Process()]
    machine.step()
    machine.step()
    assert machine.starts == 1, "no other job is tried before the pause is over"
    for pause_s in (0.1, 0.2, 0.4):
        machine.step()
        machine.step(0.9 * pause_s)
        before = machine.starts
        machine.step(0.2 * pause_s)
        assert machine.starts == before + 1
    assert [machine.job(number).state for number in (1, 2)] == [JobState.WAITING] * 2, "one job shows what is possible"
    machine.step()
    assert (machine.job().state, machine.job().fence, machine.job().losses) == (JobState.SUCCEEDED, 1, 0)
    assert [machine.job(number).state for number in (1, 2)] == [JobState.EXECUTING] * 2


def test_a_job_whose_input_cannot_be_read_blocks_no_other(machine):
    bad = Process(RunUpdate(), NotStarted("its input cannot be read: no answer", is_of_input=True))
    machine.outcomes = [bad, Process(), Process()]
    machine.slots._settings = Settings(home=Path("/h"), concurrent_jobs=2, max_attempts=1)
    machine.step()
    machine.step()
    assert not machine.slots.has_trouble()
    assert (machine.job(0).state, machine.job(0).losses) == (JobState.FAILED, 1), "it does not wait forever"
    assert [machine.job(number).state for number in (1, 2)] == [JobState.EXECUTING] * 2


def test_a_run_that_did_not_begin_is_no_attempt(machine):
    process = Process(RunUpdate(), NotStarted("RuntimeError: can't start new thread"))
    machine.outcomes = [process, Process(RunUpdate()), Process(), Process()]
    machine.slots._settings = Settings(home=Path("/h"), concurrent_jobs=1, max_attempts=1)
    machine.step()
    machine.step()
    assert (machine.job().state, machine.starts, machine.slots.has_trouble()) == (JobState.EXECUTING, 1, True)
    machine.step(0.11)
    assert (machine.job().losses, machine.job().fence, machine.starts) == (0, 1, 2)


def test_a_process_that_exits_before_its_first_message_is_no_attempt(machine):
    dead = Process()
    dead.code = 1
    machine.outcomes = [dead, Process(), Process()]
    machine.slots._settings = Settings(home=Path("/h"), concurrent_jobs=1, max_attempts=1)
    machine.step()
    machine.step()
    machine.step(0.11)
    assert (machine.job().state, machine.job().losses, machine.starts) == (JobState.EXECUTING, 0, 2)


@pytest.mark.parametrize("is_start_noticed_first", [True, False])
def test_jobs_of_a_fork_server_that_could_not_fork_are_not_to_blame(machine, is_start_noticed_first):
    running, starting = Process(RunUpdate(), Begun()), Starting()
    machine.outcomes = [running, starting, Process(), Process(), Process()]
    machine.step()
    ends = [lambda: starting.end_start(EOFError("unexpected EOF")), lambda: setattr(running, "code", 255)]
    for end in ends if is_start_noticed_first else reversed(ends):
        end()
        machine.step()
    assert (machine.job().state, machine.job().losses) == (JobState.WAITING, 0)


def test_a_fork_server_that_died_by_itself_counts_although_another_process_is_starting(machine):
    running, starting = Process(RunUpdate(), Begun()), Starting()
    machine.outcomes = [running, starting, *(Process() for _ in range(4))]
    machine.slots._settings = Settings(home=Path("/h"), concurrent_jobs=2, max_attempts=3)
    machine.step()
    running.code = 255
    machine.step()
    assert machine.job().state is JobState.EXECUTING
    starting.end_start()
    machine.step()
    assert machine.job().losses == 1


def short(code: str = "InsufficientResources") -> Shortage:
    return Shortage(ErrorData(code=code, message="too little"))


def done() -> RunOutcome:
    return RunOutcome(output_blob="o", stop_reason="x")


def test_a_job_that_met_a_shortage_goes_on_after_a_pause_and_others_meanwhile(machine):
    machine.slots._settings = Settings(home=Path("/h"), concurrent_jobs=1)
    other = Process(Begun())
    checkpoint = RunUpdate(checkpoint_blob="c")
    machine.outcomes = [Process(Begun(), checkpoint, short()), other, Process(Begun(), short())]
    machine.outcomes += [Process(Begun(), done()), Process(Begun(), short())]
    machine.step()
    machine.step()
    assert (machine.job().state, machine.job(1).state) == (JobState.EXECUTING, JobState.EXECUTING)
    assert claim_of(machine.job()) in machine.slots.claims()
    other.sent.append(done())
    machine.step(1.1)
    assert (machine.job().state, machine.job().fence, machine.job().losses) == (JobState.EXECUTING, 2, 0)
    assert machine.spec.checkpoint_blob == "c"
    machine.step()
    machine.step()
    assert machine.job(2).state is JobState.SUCCEEDED
    machine.step(2.1)
    machine.step()
    assert (machine.job().state, machine.job().error.code) == (JobState.FAILED, "InsufficientResources")
    assert machine.job().error.message == "too little; 3 attempts ended so"
    assert machine.slots.claims() == {running.claim for running in machine.slots.running}


def test_a_job_that_was_killed_for_memory_goes_on_after_a_pause(machine, monkeypatch):
    machine.slots._settings = Settings(home=Path("/h"), concurrent_jobs=1)
    killed = [Process(Begun()) for _ in range(3)]
    machine.outcomes = [killed[0], Process(Begun(), done()), Process(Begun(), done()), killed[1], killed[2]]
    kills = iter(range(100))
    monkeypatch.setattr(local, "oom_kills", lambda: next(kills))
    machine.step()
    for process, pause_s in zip(killed, (1.0, 2.0, 0.0), strict=True):
        process.code = -signal.SIGKILL
        machine.step()
        assert machine.job().losses == 0
        for _ in range(3):
            machine.step()
        machine.step(1.1 * pause_s)
    assert (machine.job().state, machine.job().fence) == (JobState.FAILED, 3)
    assert machine.job().error.code == "InsufficientResources"
    assert machine.job().error.message.endswith("killed the job's process; 3 attempts ended so")


def test_a_cancelled_job_does_not_wait_for_the_end_of_its_pause(machine):
    machine.outcomes = [Process(Begun(), short()), *(Process() for _ in range(3))]
    machine.step()
    machine.step()
    cancelled = machine.job().on(JobEvent.CANCEL, at=ManualClock().now())
    assert machine.jobs.swap(cancelled, expected=machine.job())
    machine.slots.cancel({claim_of(cancelled)})
    assert machine.job().state is JobState.CANCELLED


def test_the_claim_of_a_job_that_pauses_is_renewed_and_handed_back(machine):
    machine.outcomes = [Process(Begun(), short()), *(Process() for _ in range(3))]
    machine.step()
    machine.step()
    before = machine.job().revision
    machine.slots.renew_leases(machine.now)
    assert machine.job().revision > before
    assert [claim_of(attempt.job) for attempt in machine.slots.hand_back()] == [claim_of(machine.job())]
    assert machine.slots.hand_back() == []


def test_a_job_that_has_results_may_store_them_as_long_as_it_takes(machine):
    machine.run_seconds = 50.0
    process = Process(Begun(), RunUpdate(is_solved=True))
    machine.outcomes = [process, Process(), Process()]
    machine.slots._settings = Settings(home=Path("/h"), concurrent_jobs=1, hang_seconds=1e6)
    machine.step()
    machine.step(10 * RUN_GRACE_S)
    machine.slots.running[0].enforce_limits(machine.now)
    assert not process.is_killed


def test_another_supervisor_may_take_what_cannot_be_started_here_for_long(machine):
    machine.outcomes = [OSError(errno.EMFILE, "Too many open files")] * (HELD_STARTS + 1)
    machine.step()
    for _ in range(HELD_STARTS):
        machine.step(10.0)
    assert machine.slots.held is None
    assert (machine.job().state, machine.job().losses) == (JobState.WAITING, 0)
    assert machine.slots.has_trouble()


@pytest.mark.parametrize(
    ("sent", "state", "output"),
    [
        ([RunUpdate(best_blob="b", best_cost=-1.0)], JobState.SUCCEEDED, "b"),
        ([RunUpdate()], JobState.FAILED, None),
    ],
)
def test_a_process_that_outlives_the_longest_run_is_killed_and_its_best_is_the_result(machine, sent, state, output):
    machine.run_seconds = 50.0
    process = Process(Begun(), *sent)
    machine.outcomes = [process, Process(), Process()]
    machine.slots._settings = Settings(home=Path("/h"), concurrent_jobs=1, hang_seconds=1e6)
    machine.step()
    assert machine.spec.max_seconds == 50.0
    machine.step(50.0 + RUN_GRACE_S - 1.0)
    running = machine.slots.running[0]
    running.enforce_limits(machine.now)
    assert not process.is_killed
    machine.now += 1.0
    running.enforce_limits(machine.now)
    assert process.is_killed
    process.code = -9
    machine.step()
    ended = machine.job()
    assert (ended.state, ended.output_blob, ended.losses) == (state, output, 0)
    if state is JobState.FAILED:
        assert ended.error.code == "InsufficientResources"
        assert ended.error.message == "the job ran for 50 s, the longest time allowed, and found no solution"


def test_the_limit_of_the_process_that_accepted_a_job_is_asked_for(machine):
    stored = machine.job()
    assert machine.jobs.swap(replace(stored, run_limit=7.0), expected=stored)
    machine.slots._stores.quotas.run_seconds = lambda workspace, run_limit: run_limit
    machine.outcomes = [Process(Begun()), Process()]
    limits = []
    start = machine.start
    machine.start = lambda spec: limits.append(spec.max_seconds) or start(spec)
    machine.step()
    assert limits == [7.0, None]


def test_attempts_that_leave_no_checkpoint_count_for_the_longest_run(machine):
    machine.run_seconds = 50.0
    machine.slots._settings = Settings(home=Path("/h"), concurrent_jobs=1)
    machine.outcomes = [first := Process(Begun()), second := Process(Begun()), Process(), Process()]
    machine.step()
    first.code = -signal.SIGKILL
    machine.step(20.0)
    assert (machine.job().losses, machine.job().spent_seconds) == (1, 20.0)
    assert machine.spec.max_seconds == 30.0
    second.code = -signal.SIGKILL
    machine.step(40.0)
    assert (machine.job().losses, machine.job().spent_seconds) == (2, 60.0)
    assert machine.spec.max_seconds == 0.0


def test_a_job_that_ends_in_its_time_is_left_alone(machine):
    machine.run_seconds = 50.0
    process = Process(Begun(), RunOutcome(output_blob="o", stop_reason="run_limit"))
    machine.outcomes = [process, Process(), Process()]
    machine.step()
    machine.step()
    machine.slots.running[0].enforce_limits(machine.now)
    assert (machine.job().state, process.is_killed) == (JobState.SUCCEEDED, False)
