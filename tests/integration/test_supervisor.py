"""Jobs in processes: how they run, end, crash, and are stopped."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import psutil
import pytest

import homes
from patience import HANG_S, eventually
from qiosk.adapters.home.heartbeat import Heartbeat
from qiosk.adapters.home.home import Home
from qiosk.adapters.home.launcher import SupervisorLauncher
from qiosk.contract.jobs import ExtendJob, JobQuery, JobStatus
from qiosk.errors import SupervisorUnavailable
from qiosk.service.jobs.job import JobKey
from qiosk.supervisor.__main__ import rotate_log

TESTS = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module", autouse=True)
def _fake_runners_are_importable():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        yield


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("home")
    yield path
    homes.close_home(path)


@pytest.fixture(scope="module")
def service(shared_path):
    """One home for all tests that leave its supervisor alone."""
    opened = homes.open_home(shared_path, cancel_seconds=1.0, memory_limit=500_000_000, max_attempts=3)
    yield opened
    opened.close()


@pytest.fixture
def path(tmp_path):
    yield tmp_path / "home"
    homes.close_home(tmp_path / "home")


@pytest.fixture
def gate(tmp_path):
    """A file that a job waits for before it ends, so that it cannot be faster than the test."""
    return tmp_path / "gate"


def test_a_job_runs_in_a_process_of_its_own(service, shared_path):
    view = homes.finished(service, homes.submit(service, {"chunks": 3}).id)
    assert (view.status, view.attempts, view.has_results) == (JobStatus.SUCCEEDED, 1, True)
    results = json.loads(service.results(view.id))
    assert results["cost"] == -3
    assert results["pid"] not in (os.getpid(), homes.supervisor_pid(shared_path))
    assert [point.cost for point in service.trace(view.id)] == [-1, -2, -3]
    assert view.begin_execution_time <= view.end_execution_time


def test_who_watches_a_job_is_told_what_it_does_before_it_searches(service):
    view = homes.submit(service, {"activity": "compiling kernels (once)…", "seconds": 0.5, "chunks": 3})
    updates = list(service.updates(view.id, timeout_s=HANG_S))
    assert "compiling kernels (once)…" in [update.progress.activity for update in updates]
    assert updates[-1].progress.activity is None


def test_the_supervisor_goes_on_while_its_fork_server_loads(path, gate, monkeypatch):
    monkeypatch.setenv("SLOW_RUNNERS_GATE", str(gate))
    service = homes.open_home(path, runner="slow_runners:run")
    try:
        first = homes.submit(service, {"chunks": 1})
        homes.wait_until(service, first.id, lambda view: view.progress.activity is not None)
        heart = Heartbeat(Home(path).heartbeat)
        before = heart.pulse()
        assert eventually(lambda: heart.pulse() != before), "the heart beats"
        service.cancel(first.id)
        assert homes.finished(service, first.id).status is JobStatus.CANCELLED
        second = homes.submit(service, {"chunks": 1})
        homes.wait_until(service, second.id, lambda view: view.status is JobStatus.EXECUTING)
        gate.touch()
        view = homes.finished(service, second.id)
        assert (view.status, view.attempts, view.progress.activity) == (JobStatus.SUCCEEDED, 1, None)
        processes = [process for process in homes.processes_of(path) if process.pid != homes.supervisor_pid(path)]
        assert eventually(lambda: sum(process.is_running() for process in processes) <= 2), "the cancelled one is gone"
    finally:
        service.close()


def test_a_job_has_a_log_of_its_own(service):
    view = homes.finished(service, homes.submit(service, {"log": "strange numbers", "do": "killed_always"}).id)
    lines = service.log(view.id)
    texts = [line.text for line in lines]
    assert texts[0].startswith("attempt 1 runs as process ")
    assert texts.count("strange numbers") == view.attempts == 3
    assert texts.count("attempt 1 ended, the job waits again") == 1
    assert texts[-2].startswith("the job's process was lost: ")
    assert texts[-1].startswith("attempt 3 ended: Failed: InternalError: ")
    times = [line.time for line in lines if line.text != "strange numbers"]  # those may come before others were read
    assert times == sorted(times)
    failed = homes.finished(service, homes.submit(service, {"do": "bug"}).id)
    assert any("Traceback" in line.text for line in service.log(failed.id))


def test_progress_trace_and_best_can_be_watched(service):
    view = homes.submit(service, {"chunks": 10_000})
    view = homes.wait_until(service, view.id, lambda seen: seen.progress.sweeps > 0)
    assert 0 < view.progress.fraction < 1
    assert len(service.trace(view.id)) >= 10
    best = homes.eventually(lambda: service.best(view.id) is not None)
    assert best
    assert json.loads(service.best(view.id))["cost"] < 0
    service.cancel(view.id)
    ended = homes.finished(service, view.id)
    assert (ended.status, ended.has_results) == (JobStatus.CANCELLED, True)
    assert json.loads(service.results(view.id))["cost"] < -10


def test_a_job_that_ignores_its_cancellation_is_killed_and_keeps_its_best(service):
    view = homes.submit(service, {"chunks": 10_000, "is_deaf": True})
    homes.wait_until(service, view.id, lambda seen: service.best(seen.id) is not None)
    assert service.cancel(view.id).is_cancelling
    ended = homes.finished(service, view.id)
    assert (ended.status, ended.has_results) == (JobStatus.CANCELLED, True)
    assert -10_000 < json.loads(service.results(view.id))["cost"] < 0, "it was not left to its end"


@pytest.mark.parametrize(
    ("deed", "code", "message"),
    [
        ("segfault", "InternalError", "the job's process ended without results: signal SIGSEGV"),
        ("exit", "InternalError", "the job's process ended without results: exit status 3"),
        ("bug", "InternalError", "ZeroDivisionError: division by zero"),
        ("refuse", "InvalidInputData", "_AZQ107 parameter `x`: must be greater than 0, found -1"),
        ("killed_always", "InternalError", "the job's process vanished 3 times, at last: signal SIGKILL"),
    ],
)
def test_a_crash_ends_its_own_job_and_no_other(service, shared_path, deed, code, message):
    supervisor = homes.supervisor_pid(shared_path)
    other = homes.submit(service, {"chunks": 30})
    view = homes.finished(service, homes.submit(service, {"do": deed}).id)
    assert view.status is JobStatus.FAILED
    assert (view.error_data.code, view.error_data.message) == (code, message)
    assert None not in (view.begin_execution_time, view.end_execution_time)
    assert homes.finished(service, other.id).status is JobStatus.SUCCEEDED
    assert supervisor in (None, homes.supervisor_pid(shared_path))


def test_a_job_that_wants_too_much_memory_fails_with_azq001(service):
    view = homes.finished(service, homes.submit(service, {"do": "allocate", "bytes": 600_000_000}).id)
    assert (view.status, view.error_data.code) == (JobStatus.FAILED, "InsufficientResources")
    assert "AZQ001" in view.error_data.message
    less = homes.finished(service, homes.submit(service, {"do": "allocate", "bytes": 300_000_000}).id)
    assert less.status is JobStatus.SUCCEEDED


def test_a_killed_process_is_replaced_by_another_one(service, tmp_path):
    order = {"do": "killed_once", "marker": str(tmp_path / "marker"), "chunks": 1}
    view = homes.finished(service, homes.submit(service, order).id)
    assert (view.status, view.attempts) == (JobStatus.SUCCEEDED, 2)
    assert view.output_data_uri.endswith("/rawOutputData-2")
    assert json.loads(service.results(view.id))["fence"] == 2


def test_a_job_that_meets_a_shortage_once_succeeds_without_a_loss(service, tmp_path):
    order = {"do": "short_once", "marker": str(tmp_path / "marker"), "chunks": 1}
    view = homes.finished(service, homes.submit(service, order).id)
    assert (view.status, view.attempts) == (JobStatus.SUCCEEDED, 2), view.error_data


def test_no_more_jobs_run_at_once_than_there_are_slots(service, shared_path):
    views = [homes.submit(service, {"chunks": 40}) for _ in range(5)]
    ended = [homes.finished(service, view.id) for view in views]
    assert {view.status for view in ended} == {JobStatus.SUCCEEDED}
    begun = [(view.begin_execution_time, 1) for view in ended]
    changes = sorted(begun + [(view.end_execution_time, -1) for view in ended])
    assert max(accumulate(change for _, change in changes)) == 2


def test_deleting_a_running_job_leaves_nothing(service):
    view = homes.submit(service, {"chunks": 10_000})
    homes.wait_until(service, view.id, lambda seen: seen.status is JobStatus.EXECUTING)
    service.delete(view.id)
    assert list(service.list_blobs(f"job-{view.id}")) == []
    assert view.id not in [seen.id for seen in service.list(JobQuery())]


def test_workspaces_of_one_home_share_its_supervisor_and_no_jobs(service, shared_path):
    with_other = homes.open_home(shared_path, workspace="/subscriptions/a/b")
    mine, other = homes.submit(service, {}), homes.submit(with_other, {}, id="elsewhere")
    assert homes.finished(service, mine.id).status is JobStatus.SUCCEEDED
    assert homes.finished(with_other, other.id).status is JobStatus.SUCCEEDED
    assert [view.id for view in with_other.list(JobQuery())] == ["elsewhere"]
    assert "elsewhere" not in [view.id for view in service.list(JobQuery())]
    with_other.close()


def test_two_processes_may_use_one_home(service, shared_path):
    program = (
        "import sys, pathlib, homes\n"
        "service = homes.open_home(pathlib.Path(sys.argv[1]))\n"
        "for number in range(10):\n"
        "    homes.submit(service, {'chunks': 1}, id=f'{sys.argv[2]}-{number}')\n"
        "service.close()\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", program, str(shared_path), name]) for name in ("x", "y")]
    assert [other.wait(HANG_S) for other in others] == [0, 0]
    for name in ("x", "y"):
        for number in range(10):
            view = homes.finished(service, f"{name}-{number}")
            assert (view.status, view.attempts) == (JobStatus.SUCCEEDED, 1)


def test_a_submitter_may_leave_at_once(path):
    program = (
        "import sys, pathlib, homes; homes.submit(homes.open_home(pathlib.Path(sys.argv[1])), {'chunks': 20}, id='j')"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=HANG_S)
    reader = homes.open_home(path)
    assert homes.finished(reader, "j").status is JobStatus.SUCCEEDED
    reader.close()


def test_a_supervisor_goes_when_it_is_idle_and_comes_back_for_work(path):
    opened = homes.open_home(path, idle_seconds=0.3)
    for _ in range(2):
        view = homes.finished(opened, homes.submit(opened).id)
        assert view.status is JobStatus.SUCCEEDED
        assert homes.eventually(lambda: not homes.processes_of(path))
    assert "supervisor exits" in (path / "supervisor.log").read_text()
    opened.close()


def test_jobs_that_arrive_while_the_supervisor_leaves_are_run(path):
    opened = homes.open_home(path, idle_seconds=0.0)
    for _ in range(5):
        assert homes.finished(opened, homes.submit(opened).id).status is JobStatus.SUCCEEDED
    opened.close()


def test_the_next_call_finds_what_a_killed_supervisor_left(path, gate):
    opened = homes.open_home(path)
    running = homes.submit(opened, {"chunks": 150, "gate": str(gate)})
    waiting = [homes.submit(opened, {"chunks": 1}) for _ in range(3)]
    cancelled = homes.submit(opened, {"chunks": 10_000, "is_deaf": True}, priority="High")
    for view in (running, cancelled):
        homes.wait_until(opened, view.id, lambda seen: seen.progress.sweeps > 0)
    opened.cancel(cancelled.id)
    os.kill(homes.supervisor_pid(path), signal.SIGKILL)
    assert homes.eventually(lambda: not homes.processes_of(path)), "job processes outlived the supervisor"
    assert opened.get(running.id).status in (JobStatus.EXECUTING, JobStatus.WAITING)
    gate.touch()
    ended = homes.finished(opened, running.id)
    assert (ended.status, ended.attempts) == (JobStatus.SUCCEEDED, 2)
    assert {homes.finished(opened, view.id).status for view in waiting} == {JobStatus.SUCCEEDED}
    kept = homes.finished(opened, cancelled.id)
    assert (kept.status, kept.has_results) == (JobStatus.CANCELLED, True)
    opened.close()


def test_a_lost_run_is_resumed_from_its_checkpoint(path, gate):
    opened = homes.open_home(path)
    view = homes.submit(opened, {"chunks": 350, "gate": str(gate)})
    homes.wait_until(opened, view.id, lambda seen: "checkpoint" in opened.list_blobs(f"job-{seen.id}"))
    pid = homes.supervisor_pid(path)
    job_process = psutil.Process(pid).children(recursive=True)[-1]
    job_process.kill()
    gate.touch()
    ended = homes.finished(opened, view.id)
    assert (ended.status, ended.attempts) == (JobStatus.SUCCEEDED, 2)
    assert json.loads(opened.results(view.id))["resumed"] > 0
    assert [point.sweep for point in opened.trace(view.id)] == list(range(1, 351))
    kept = ["inputData", "rawOutputData-2"]  # the rest goes once the job has ended
    assert homes.eventually(lambda: list(opened.list_blobs(f"job-{view.id}")) == kept)
    opened.close()


def test_an_extended_job_that_is_killed_goes_on_from_the_checkpoint_of_its_parent(path, gate):
    opened = homes.open_home(path)
    parent = homes.submit(opened, {"chunks": 10_000, "gate": str(gate)})
    homes.wait_until(opened, parent.id, lambda seen: "checkpoint" in opened.list_blobs(f"job-{seen.id}"))
    opened.cancel(parent.id)
    ended = homes.finished(opened, parent.id)
    assert (ended.status, ended.can_extend) == (JobStatus.CANCELLED, True)
    done = ended.progress.sweeps
    view = opened.extend(parent.id, ExtendJob(timeout=HANG_S))
    homes.wait_until(opened, view.id, lambda seen: seen.progress.sweeps >= done)
    job_process = psutil.Process(homes.supervisor_pid(path)).children(recursive=True)[-1]
    job_process.kill()

    def resumed():
        return [line.text for line in opened.log(view.id) if "resumes from checkpoint" in line.text]

    assert homes.eventually(lambda: len(resumed()) == 2)
    opened.cancel(view.id)
    again = homes.finished(opened, view.id)
    assert (again.status, again.attempts, again.parent_id) == (JobStatus.CANCELLED, 2, parent.id)
    assert resumed()[0].endswith("checkpoint-0")
    points = opened.trace(view.id)
    assert len(points) >= done
    assert [point.sweep for point in points] == list(range(1, len(points) + 1))
    assert homes.eventually(lambda: "checkpoint-0" not in opened.list_blobs(f"job-{view.id}"))
    opened.close()


def test_a_shortage_of_file_descriptors_uses_up_no_attempts(path):
    opened = homes.open_home(path, max_attempts=1)
    homes.finished(opened, homes.submit(opened).id)
    supervisor = psutil.Process(homes.supervisor_pid(path))
    _, hard = before = supervisor.rlimit(psutil.RLIMIT_NOFILE)
    supervisor.rlimit(psutil.RLIMIT_NOFILE, (supervisor.num_fds(), hard))
    views = [homes.submit(opened, {"chunks": 2}) for _ in range(4)]
    log = path / "supervisor.log"
    assert homes.eventually(lambda: log.read_text().count("trying again") >= 3)
    supervisor.rlimit(psutil.RLIMIT_NOFILE, before)
    ended = [homes.finished(opened, view.id) for view in views]
    assert {view.status for view in ended} == {JobStatus.SUCCEEDED}
    assert {opened._jobs.get(JobKey("default", view.id)).losses for view in views} == {0}
    assert homes.supervisor_pid(path) == supervisor.pid
    opened.close()


def test_a_silent_job_is_given_up(path):
    opened = homes.open_home(path, hang_seconds=1.0, max_attempts=2)
    view = homes.finished(opened, homes.submit(opened, {"do": "hang"}).id)
    assert (view.status, view.attempts) == (JobStatus.FAILED, 2)
    assert view.error_data.message.endswith("at last: it sent no message for 1 s")
    opened.close()


def test_a_supervisor_that_is_told_to_stop_leaves_its_jobs_waiting(path, gate):
    opened = homes.open_home(path)
    view = homes.submit(opened, {"chunks": 200, "gate": str(gate)})
    homes.wait_until(opened, view.id, lambda seen: seen.status is JobStatus.EXECUTING)
    os.kill(homes.supervisor_pid(path), signal.SIGTERM)
    assert homes.eventually(lambda: not homes.processes_of(path))
    gate.touch()
    ended = homes.finished(opened, view.id)
    assert (ended.status, ended.attempts) == (JobStatus.SUCCEEDED, 2)
    opened.close()


def test_jobs_save_their_state_before_a_supervisor_stops(path, gate):
    opened = homes.open_home(path)
    view = homes.submit(opened, {"chunks": 150, "gate": str(gate)})
    homes.wait_until(opened, view.id, lambda seen: seen.progress.sweeps > 20)
    os.kill(homes.supervisor_pid(path), signal.SIGTERM)
    assert homes.eventually(lambda: not homes.processes_of(path))
    assert "checkpoint" in opened.list_blobs(f"job-{view.id}"), "its time for a regular one had not come"
    gate.touch()
    ended = homes.finished(opened, view.id)
    assert (ended.status, ended.attempts) == (JobStatus.SUCCEEDED, 2)
    assert json.loads(opened.results(view.id))["resumed"] > 20
    assert [point.sweep for point in opened.trace(view.id)] == list(range(1, 151))
    opened.close()


def test_a_supervisor_that_stops_does_not_wait_for_the_deaf(path):
    opened = homes.open_home(path, stop_seconds=0.3)
    view = homes.submit(opened, {"do": "hang"})
    homes.wait_until(opened, view.id, lambda seen: seen.status is JobStatus.EXECUTING)
    os.kill(homes.supervisor_pid(path), signal.SIGTERM)
    assert homes.eventually(lambda: not homes.processes_of(path))
    assert opened._jobs.get(JobKey("default", view.id)).supervisor_deaths == 0
    opened.delete(view.id)
    opened.close()


@pytest.mark.slow
def test_a_job_that_kills_supervisors_fails_and_the_queue_goes_on(path):
    opened = homes.open_home(path)
    poisoned = homes.submit(opened, {"do": "kill_supervisor"})
    others = [homes.submit(opened, {"chunks": 30}) for _ in range(3)]
    ended = homes.finished(opened, poisoned.id)
    assert (ended.status, ended.attempts) == (JobStatus.FAILED, 10)
    assert ended.error_data.message == "10 supervisors died while the job ran"
    assert {homes.finished(opened, view.id).status for view in others} == {JobStatus.SUCCEEDED}
    deaths = [opened._jobs.get(JobKey("default", view.id)).supervisor_deaths for view in others]
    assert max(deaths) <= 4, "it ran alone when it was known"
    opened.close()


def test_a_supervisor_whose_home_was_removed_goes(tmp_path):
    opened = homes.open_home(tmp_path / "home")
    homes.finished(opened, homes.submit(opened).id)
    log = homes.processes_of(tmp_path / "home")
    assert log
    opened.close()
    (tmp_path / "home").rename(tmp_path / "elsewhere")
    assert homes.eventually(lambda: not any(process.is_running() for process in log))


def test_a_second_supervisor_leaves_at_once(service, shared_path):
    homes.finished(service, homes.submit(service).id)
    command = [sys.executable, "-m", "qiosk.supervisor", "--home", str(shared_path)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert second.returncode == 0
    assert "another supervisor runs" in second.stderr


def test_a_home_is_for_its_owner_alone(service, shared_path, tmp_path):
    homes.open_home(tmp_path / "new" / "home").close()
    assert (tmp_path / "new" / "home").stat().st_mode & 0o777 == 0o700


def test_supervisors_that_cannot_start_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr("qiosk.adapters.home.launcher.LAUNCH_INTERVAL_S", 0.0)
    opened = homes.open_home(tmp_path / "home")
    for _ in range(4):
        homes.submit(opened)
    with pytest.raises(SupervisorUnavailable, match=r"4 were started and none is running; see .*supervisor\.log"):
        homes.submit(opened)
    assert len(list(opened._jobs.page("default", JobQuery(), None, 100))) == 5, "the jobs wait for better times"
    opened.close()


def test_a_missing_shell_is_reported(tmp_path, monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError("/bin/sh")

    monkeypatch.setattr(subprocess, "run", missing)
    opened = homes.open_home(tmp_path / "home")
    with pytest.raises(SupervisorUnavailable, match="supervisor: cannot be started: /bin/sh"):
        homes.submit(opened)
    opened.close()
    assert isinstance(opened._executor, SupervisorLauncher)


def test_the_log_is_moved_aside_when_it_has_grown(tmp_path):
    log = tmp_path / "supervisor.log"
    with log.open("a") as writer:
        writer.write("x" * 99)
        writer.flush()
        rotate_log(log, 100)
        assert log.stat().st_size == 99
        writer.write("yy")
        writer.flush()
        rotate_log(log, 100)
        writer.write("after")
    assert log.read_text() == "after"
    assert (tmp_path / "supervisor.log.1").read_text() == "x" * 99 + "yy"
    rotate_log(tmp_path / "missing.log", 100)


def test_a_log_that_cannot_be_kept_is_bounded_all_the_same(tmp_path, monkeypatch, caplog):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    log = tmp_path / "supervisor.log"
    log.write_text("x" * 101)
    rotate_log(log, 100)
    assert log.read_text() == ""
    assert "No space left on device" in caplog.text


def test_the_submitting_process_loads_no_compiler(tmp_path):
    program = (
        "import sys, pathlib, homes\n"
        "service = homes.open_home(pathlib.Path(sys.argv[1]))\n"
        "view = homes.submit(service)\n"
        "service.cancel(view.id)\n"
        "print([name for name in ('numba', 'llvmlite', 'qiosk.kernels') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "home")], capture_output=True, text=True, timeout=HANG_S
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
    homes.close_home(tmp_path / "home")
