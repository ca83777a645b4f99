"""Supervisors that cannot start, do not move, are told to stop while they start, or live in another container."""

from __future__ import annotations

import errno
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import homes
from patience import HANG_S
from qiosk.adapters.home import holder as holder_module
from qiosk.adapters.home import launcher as launcher_module
from qiosk.adapters.home.holder import holder_of, send, this_process
from qiosk.adapters.home.home import Home, StopRequest, SupervisorLock
from qiosk.adapters.home.launcher import SupervisorLauncher
from qiosk.contract.jobs import JobStatus
from qiosk.errors import SupervisorUnavailable
from qiosk.service.jobs.job import JobKey

TESTS = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(autouse=True)
def _fake_runners_are_importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


@pytest.fixture
def path(tmp_path):
    yield tmp_path / "home"
    homes.close_home(tmp_path / "home")


@pytest.fixture
def no_temporary_folder(tmp_path, monkeypatch):
    """Every process of the supervisor finds no place for temporary files."""
    (tmp_path / "custom").mkdir()
    (tmp_path / "custom" / "sitecustomize.py").write_text(
        "import tempfile\ntempfile._candidate_tempdir_list = lambda: ['/nonexistent']\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'custom'}:{TESTS}")


@pytest.mark.parametrize("name", ["home", "a" * 120], ids=["short", "longer than the path of a socket"])
def test_a_home_is_all_that_has_to_be_writable(tmp_path, no_temporary_folder, name):
    opened = homes.open_home(tmp_path / name)
    assert homes.finished(opened, homes.submit(opened).id).status is JobStatus.SUCCEEDED
    opened.close()
    homes.close_home(tmp_path / name)


def test_jobs_are_started_after_the_temporary_folder_was_cleaned(path, tmp_path, monkeypatch):
    usual = tmp_path / "temporary"
    usual.mkdir()
    monkeypatch.setenv("TMPDIR", str(usual))
    opened = homes.open_home(path)
    assert homes.finished(opened, homes.submit(opened).id).status is JobStatus.SUCCEEDED
    supervisor = homes.supervisor_pid(path)
    shutil.rmtree(usual)
    assert homes.finished(opened, homes.submit(opened).id).status is JobStatus.SUCCEEDED
    assert homes.supervisor_pid(path) == supervisor
    opened.close()


def test_a_supervisor_that_dies_with_the_lock_is_reported_with_the_reason(path, no_temporary_folder, monkeypatch):
    monkeypatch.setattr(launcher_module, "LAUNCH_INTERVAL_S", 0.5)
    opened = homes.open_home(path)
    (path / "supervisor.tmp").write_text("")  # in the way of the folder
    view = homes.submit(opened)

    def error_of(call) -> str:
        try:
            call()
        except SupervisorUnavailable as error:
            return str(error)
        return ""

    assert homes.eventually(lambda: "No usable temporary" in error_of(lambda: opened.get(view.id)))
    with pytest.raises(SupervisorUnavailable, match="none is running"):
        opened._executor.check()
    (path / "supervisor.tmp").unlink()
    assert homes.eventually(lambda: error_of(opened._executor.check) == ""), "it is tried again"
    assert homes.finished(opened, view.id).status is JobStatus.SUCCEEDED
    opened.close()


def test_a_shortage_of_processes_where_a_supervisor_is_started_may_pass(path, monkeypatch):
    monkeypatch.setattr(launcher_module, "LAUNCH_INTERVAL_S", 0.0)
    opened = homes.open_home(path)
    with monkeypatch.context() as patch:

        def refuse(*_, **__):
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

        patch.setattr(subprocess, "run", refuse)
        view = homes.submit(opened)
        for _ in range(launcher_module.MAX_LAUNCHES - 1):
            opened._executor.wake()
        with pytest.raises(SupervisorUnavailable, match="Resource temporarily unavailable"):
            opened._executor.wake()
    monkeypatch.setattr(launcher_module, "LAUNCH_INTERVAL_S", 60.0)
    monkeypatch.setattr(launcher_module, "MAX_LAUNCHES", 1000)
    opened._executor._launched_at = float("-inf")
    assert homes.finished(opened, view.id).status is JobStatus.SUCCEEDED
    opened.close()


def test_a_shortage_of_processes_harms_neither_waiting_nor_running_jobs(path, tmp_path, monkeypatch):
    marker = tmp_path / "no-processes"
    (tmp_path / "custom").mkdir()
    (tmp_path / "custom" / "sitecustomize.py").write_text(
        "import os\n"
        "before = os.fork\n"
        "def fork():\n"
        f"    if os.path.exists({str(marker)!r}):\n"
        "        raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "    return before()\n"
        "os.fork = fork\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'custom'}:{TESTS}")
    opened = homes.open_home(path, max_attempts=1)
    running = homes.submit(opened, {"chunks": 100})
    homes.wait_until(opened, running.id, lambda seen: seen.progress.sweeps > 0)
    marker.touch()
    waiting = [homes.submit(opened, {"chunks": 1}) for _ in range(3)]
    log = path / "supervisor.log"
    assert homes.eventually(lambda: log.read_text().count("trying again") >= 3)
    marker.unlink()
    for view in (running, *waiting):
        assert homes.finished(opened, view.id).status is JobStatus.SUCCEEDED
        assert opened._jobs.get(JobKey("default", view.id)).losses == 0
    opened.close()


def test_a_stopped_supervisor_is_noticed_and_revived_by_the_next_server(path, monkeypatch):
    monkeypatch.setattr(launcher_module, "STALL_S", 0.5)
    opened = homes.open_home(path)
    homes.finished(opened, homes.submit(opened).id)
    homes.stop_supervisor(path)
    monkeypatch.setattr(launcher_module, "send", lambda *_: False)

    def is_well() -> bool:
        try:
            opened._executor.check()
        except SupervisorUnavailable as error:
            assert "has not moved for" in str(error)
            return False
        return True

    assert homes.eventually(lambda: not is_well())
    monkeypatch.setattr(launcher_module, "send", send)
    SupervisorLauncher(Home(path), {}).revive()
    monkeypatch.setattr(launcher_module, "STALL_S", 30.0)
    assert homes.eventually(is_well)
    assert homes.finished(opened, homes.submit(opened).id).status is JobStatus.SUCCEEDED
    opened.close()


def test_a_client_that_waits_lets_a_stopped_supervisor_go_on(path, monkeypatch):
    monkeypatch.setattr(launcher_module, "REVIVE_S", 1.5)
    opened = homes.open_home(path)
    homes.finished(opened, homes.submit(opened).id)
    homes.stop_supervisor(path)
    assert homes.finished(opened, homes.submit(opened).id).status is JobStatus.SUCCEEDED
    opened.close()


def test_a_client_does_not_wait_for_a_supervisor_that_hangs(path, monkeypatch):
    opened = homes.open_home(path)
    homes.finished(opened, homes.submit(opened).id)
    supervisor = homes.stop_supervisor(path)
    monkeypatch.setattr(launcher_module, "STALL_S", 0.5)
    monkeypatch.setattr(launcher_module, "HOPELESS_S", 1.0)
    monkeypatch.setattr(launcher_module, "send", lambda *_: False)
    job_id = homes.submit(opened).id
    with pytest.raises(SupervisorUnavailable, match=f"process {supervisor.pid} has not moved for . s; jobs go on when"):
        homes.finished(opened, job_id)
    supervisor.kill()
    monkeypatch.setattr(launcher_module, "HOPELESS_S", 1000.0)
    assert homes.finished(opened, job_id).status is JobStatus.SUCCEEDED
    opened.close()


def test_a_stopped_supervisor_can_be_told_to_end(path):
    opened = homes.open_home(path)
    homes.finished(opened, homes.submit(opened).id)
    homes.stop_supervisor(path)
    assert opened._executor.stop(HANG_S)
    assert homes.eventually(lambda: not homes.processes_of(path))
    opened.close()


def test_a_supervisor_that_does_not_move_is_killed(path, monkeypatch):
    def deaf_to_all_but_one(holder, *numbers):
        return signal.SIGKILL in numbers and send(holder, *numbers)

    monkeypatch.setattr(launcher_module, "REVIVE_S", 0.0)
    monkeypatch.setattr(launcher_module, "send", deaf_to_all_but_one)
    opened = homes.open_home(path)
    homes.finished(opened, homes.submit(opened).id)
    homes.stop_supervisor(path)
    assert opened._executor.stop(0.5)
    assert homes.eventually(lambda: not homes.processes_of(path))
    opened.close()


@pytest.mark.parametrize("is_near", [True, False])
def test_a_supervisor_that_is_only_starting_is_stopped_as_well(path, monkeypatch, is_near):
    if not is_near:
        monkeypatch.setattr(launcher_module, "send", lambda *_: False)  # as if it were in another container
    opened = homes.open_home(path, idle_seconds=1e6)
    opened._executor.wake()
    assert opened._executor.stop(HANG_S)
    assert homes.eventually(lambda: not homes.processes_of(path))
    opened._executor.wake()
    assert not homes.processes_of(path), "who has stopped it starts no other one"
    opened.close()


def test_no_process_is_signalled_that_is_not_proven_to_hold_the_lock(tmp_path, monkeypatch):
    home = Home(tmp_path)
    lock = SupervisorLock(home.lock)
    assert lock.acquire()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        true = replace(this_process(), pid=innocent.pid, started=holder_module._started(innocent.pid))
        for lie in ({"namespace": "pid:[1]"}, {"boot": "b"}, {"started": "1"}, {"started": ""}, {"namespace": ""}):
            home.lock.write_text(replace(true, **lie).to_text())
            assert not SupervisorLauncher(home, {}).stop(0.0)
            assert StopRequest(home.stop_request).is_for(true.token), "it is asked through the home"
            home.stop_request.unlink()
        home.lock.write_text(f"{innocent.pid}\n")  # of an older version
        assert not SupervisorLauncher(home, {}).stop(0.0)
        assert innocent.poll() is None
        assert send(true, signal.SIGTERM)
        assert innocent.wait(HANG_S) == -signal.SIGTERM
        assert not send(true, signal.SIGTERM)
    lock.release()


def test_a_request_is_for_the_supervisor_that_it_names(tmp_path):
    home = Home(tmp_path)
    lock, request = SupervisorLock(home.lock), StopRequest(home.stop_request)
    assert lock.acquire()
    assert holder_of(home.lock.read_text()).token == lock.token
    request.make(lock.token)
    assert request.is_for(lock.token)
    lock.release()
    assert lock.acquire()
    assert not request.is_for(lock.token)
    request.clear()
    lock.release()
    assert lock.holder() is None
