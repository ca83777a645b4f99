"""Supervisors that are stopped or killed: their servers say so, and other homes finish their jobs."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

import databases
import homes
from patience import HANG_S, eventually
from qiosk.service.jobs.job import Job, JobKey
from qiosk.supervisor.watch import SEATS
from served import Served, served
from together import Together, command

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"), pytest.mark.slow]
TESTS = Path(__file__).parents[1]


def test_a_server_is_not_ready_while_its_supervisor_is_stopped(tmp_path: Path) -> None:
    with served(tmp_path / "home") as server, httpx.Client(base_url=server.url, timeout=HANG_S) as http:
        assert eventually(lambda: homes.is_supervised(server.home) and http.get("/readyz").status_code == 200)
        supervisor = psutil.Process(homes.supervisor_pid(server.home))
        answers: list[httpx.Response] = []

        def is_unready() -> bool:
            supervisor.send_signal(signal.SIGSTOP)  # each time: after ten seconds the server lets it go on
            answers.append(http.get("/readyz"))
            return answers[-1].status_code == 503

        assert eventually(is_unready)
        assert answers[-1].json()["checks"] == {"database": "ok", "storage": "ok", "supervisor": "failed"}
        reason = answers[-1].json()["reasons"]["supervisor"]
        assert re.fullmatch(r"supervisor: has not moved for \d+ s; a signal \(SIGSTOP\) has stopped it", reason)
        supervisor.send_signal(signal.SIGCONT)
        assert eventually(lambda: http.get("/readyz").status_code == 200)
        assert homes.supervisor_pid(server.home) == supervisor.pid


@pytest.fixture
def together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Together]:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    with databases.postgres_schema() as url, Together(tmp_path, url) as started:
        yield started


@contextmanager
def frozen(server: Served) -> Iterator[psutil.Process]:
    """A server and its supervisor, both stopped while this context lasts; yields the supervisor."""
    supervisor = psutil.Process(homes.supervisor_pid(server.home))
    server.process.send_signal(signal.SIGSTOP)  # else it lets the supervisor go on
    supervisor.send_signal(signal.SIGSTOP)
    try:
        yield supervisor
    finally:
        supervisor.send_signal(signal.SIGCONT)
        server.process.send_signal(signal.SIGCONT)


def supervisor_log(server: Served) -> str:
    return (server.home / "supervisor.log").read_text()


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_jobs_of_stopped_and_killed_homes_end_once_in_another_home(together: Together, tmp_path: Path) -> None:
    stopped = together.start("stopped", concurrent_jobs="2")
    (workspace,) = together.workspaces()

    def submit(name: str, home: str) -> None:
        workspace.submit(command({"chunks": 300, "gate": str(tmp_path / f"gate-{name}")}, id=name))
        assert eventually(lambda: together.runs(name) == [home])
        assert eventually(lambda: row(name).checkpoint_blob is not None)

    def row(name: str) -> Job:
        return together.store.get(JobKey("sub/group/any", name))

    for name in ("late", "later"):
        submit(name, "stopped")
    killed = together.start("killed", concurrent_jobs="1")
    submit("orphan", "killed")
    together.start("alive", concurrent_jobs="3")
    pids = {
        name: int(re.search(rf"job {name}: attempt 1 runs as process (\d+)", supervisor_log(stopped))[1])
        for name in ("late", "later")
    }
    with frozen(stopped):
        (tmp_path / "gate-later").touch()
        assert eventually(lambda: is_gone(pids["later"])), "it has stored its results, and sent that to its supervisor"
        killed.process.kill()
        os.kill(homes.supervisor_pid(killed.home), signal.SIGKILL)
        expected = {"late": ["stopped", "alive"], "later": ["stopped", "alive"], "orphan": ["killed", "alive"]}
        assert eventually(lambda: {name: together.runs(name) for name in expected} == expected)
        (tmp_path / "gate-orphan").touch()
        for name in ("later", "orphan"):
            assert eventually(lambda name=name: row(name).state.is_final)
        assert not is_gone(pids["late"])
        ended = row("later")
    log = re.compile(r"job (\w+): attempt 1 is not the current one")
    assert eventually(lambda: set(log.findall(supervisor_log(stopped))) == {"late", "later"})
    assert eventually(lambda: is_gone(pids["late"]))
    assert row("later") == ended
    assert not row("late").state.is_final
    (tmp_path / "gate-late").touch()
    for name in expected:
        assert eventually(lambda name=name: row(name).state.is_final)
        found = json.loads(together.workspaces()[-1].api.results(name))
        assert (found["cost"], found["fence"], found["resumed"] > 0) == (-300, 2, True)
        assert (row(name).state, row(name).fence, row(name).supervisor_deaths) == ("Succeeded", 2, 1)
        lines = [line.text for line in together.store.log(row(name).key, 0)]
        assert [line for line in lines if line.startswith("attempt")][-1] == "attempt 2 ended: Succeeded"
        assert lines.count("attempt 2 ended: Succeeded") == 1
    assert row("later") == ended


@pytest.mark.long
def test_jobs_of_all_who_watched_are_taken_over_by_a_home_that_did_not(together: Together, tmp_path: Path) -> None:
    """If all supervisors die at once that look at the claims of others, another one notices that and looks."""
    doomed = [f"home{number}" for number in range(SEATS)]
    for name in doomed:
        together.start(name)
        order = {"chunks": 300, "gate": str(tmp_path / "gate")}
        together.workspaces()[0].submit(command(order, id=f"job-{name}"))
        assert eventually(lambda name=name: together.runs(f"job-{name}") == [name])
    watching = [homes.supervisor_pid(together.servers[name].home) for name in doomed]
    assert eventually(lambda: len(together.watchers.all()) == SEATS)
    together.start("other", concurrent_jobs=str(SEATS))
    assert eventually(lambda: homes.is_supervised(together.servers["other"].home))
    before = together.watchers.all()
    for name, pid in zip(doomed, watching, strict=True):
        together.servers[name].process.kill()
        os.kill(pid, signal.SIGKILL)
    for name in doomed:
        assert eventually(lambda name=name: together.runs(f"job-{name}") == [name, "other"])
    assert {each.worker for each in together.watchers.all()} != {each.worker for each in before}
    (tmp_path / "gate").touch()
    for name in doomed:
        key = JobKey("sub/group/any", f"job-{name}")
        assert eventually(lambda key=key: together.store.get(key).state.is_final)
        assert (together.store.get(key).state, together.store.get(key).fence) == ("Succeeded", 2)
