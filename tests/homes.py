"""Homes for tests that start supervisors, and what has to be true when they are left."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from patience import HANG_S, eventually
from qiosk.adapters.home.home import Home, SupervisorLock
from qiosk.bootstrap import open_embedded
from qiosk.contract.jobs import JobView, SubmitJob
from qiosk.service.jobs.job_service import JobService
from qiosk.settings import Settings

FAKE = "fake_runners:run"
TARGET = "microsoft.simulatedannealing.cpu"


def open_home(path: Path, *, workspace: str = "default", runner: str | None = FAKE, **members) -> JobService:
    settings = Settings(home=path, **{"idle_seconds": 30.0, "concurrent_jobs": 2, **members})
    return open_embedded(settings=settings, workspace=workspace, runner=runner)


def submit(service: JobService, order: dict | None = None, **members) -> JobView:
    data = json.dumps(order or {}).encode()
    given = {"name": "a", "provider_id": "Microsoft", "target": TARGET, "input_data": data}
    return service.submit(SubmitJob(**{**given, **members}))


def wait_until(service: JobService, job_id: str, is_there: Callable[[JobView], bool]) -> JobView:
    deadline = time.monotonic() + HANG_S
    view = service.get(job_id)
    while not is_there(view):
        assert time.monotonic() < deadline, f"still {view.status} after {HANG_S} s"
        view = service.wait(job_id, 1.0)
    return view


def finished(service: JobService, job_id: str) -> JobView:
    return wait_until(service, job_id, lambda view: view.status.is_final)


def is_supervised(path: Path) -> bool:
    return SupervisorLock(path / "supervisor.lock").is_held()


def supervisor_pid(path: Path) -> int | None:
    """Process id of the living supervisor."""
    return SupervisorLock(path / "supervisor.lock").holder() if is_supervised(path) else None


def stop_supervisor(path: Path) -> psutil.Process:
    """Stop the living supervisor (SIGSTOP), but not in a transaction, in which it would keep others from writing."""
    supervisor = psutil.Process(supervisor_pid(path))
    with closing(sqlite3.connect(Home(path).database, timeout=0.1, isolation_level=None)) as database:
        for _ in range(100):
            supervisor.send_signal(signal.SIGSTOP)
            with suppress(sqlite3.OperationalError):
                database.execute("BEGIN IMMEDIATE").execute("ROLLBACK")
                return supervisor
            supervisor.send_signal(signal.SIGCONT)
            time.sleep(0.05)
    raise AssertionError("the supervisor is in a transaction each time it is stopped")


def titled(processes: Iterable[psutil.Process], text: str) -> list[psutil.Process]:
    """Those with a text in their command lines; not those that end meanwhile."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if text in " ".join(process.cmdline()):
                found.append(process)
    return found


def processes_of(path: Path) -> list[psutil.Process]:
    """Supervisor, fork server and job processes of a home: they all have the home's log as their stderr."""
    found = []
    log = str(Home(path).log)
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and os.readlink(f"/proc/{process.pid}/fd/2") == log:
                found.append(process)
    return found


@contextmanager
def shared_home(path: Path) -> Iterator[Path]:
    """A home of tests and their programs, which find it in their environment. One supervisor runs the jobs of all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QIOSK_HOME", str(path))
        patch.setenv("QIOSK_IDLE_SECONDS", "60")
        yield path
    if path.exists():
        close_home(path)


def close_home(path: Path) -> None:
    """End a home's supervisor, and make sure that nothing of it stays."""
    left = eventually(lambda: _is_deserted(path))
    for process in processes_of(path):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert left, "processes outlived their supervisor"


def _is_deserted(path: Path) -> bool:
    """Whether no process of a home is left; a supervisor is told to go, also one that was only just starting."""
    if (pid := supervisor_pid(path)) is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)  # a test that failed may have left it stopped
    return not processes_of(path)
