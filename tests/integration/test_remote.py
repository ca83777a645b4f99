"""A remote workspace, and what happens to its server meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from patience import HANG_S, eventually
from qiosk.client.remote.connection import Connection
from qiosk.client.remote.jobs import HttpJobs
from qiosk.client.remote.transport import RetryPolicy
from qiosk.client.solvers import SimulatedAnnealing
from qiosk.client.workspace import Workspace
from qiosk.errors import Forbidden, JobNotFound, ServiceUnavailable, Unauthorized
from qiosk.modeling import Model, total
from qiosk.problem import Problem
from served import Served, certificate, served

KEY = "an-administrators-key"


def ring(variables: int = 600) -> Problem:
    problem = Problem(name="ring")
    for i in range(variables):
        for step, sign in ((1, 1), (2, 1), (7, -1), (31, 1)):
            problem.add_term(c=sign, indices=[i, (i + step) % variables])
    return problem


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("remote") / "home", admin_key=KEY) as running:
        yield running


def test_updates_outlive_a_restart_of_the_server(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with ExitStack() as first:
        before = first.enter_context(served(home, admin_key=KEY))
        port = urlsplit(before.url).port or 0
        workspace = Workspace(before.url, api_key=KEY)
        job = SimulatedAnnealing(workspace, sweeps=10**8, restarts=8, seed=1).submit(ring())
        following = workspace.watch(job, timeout_secs=HANG_S)
        for update in following:
            if update.progress.sweeps > 0:
                break
        sweeps = update.progress.sweeps
        seen = len(job.trace)
    with pytest.raises(ServiceUnavailable):
        HttpJobs(Connection(url=before.url, api_key=KEY), retry_policy=RetryPolicy(tries=1)).targets()
    with served(home, admin_key=KEY, port=port):
        for update in following:
            if update.progress.sweeps > sweeps and update.view.attempts > 1:
                break
        assert len(job.trace) >= seen
        job.cancel()
        *_, last = following
        assert last.status == "Cancelled"
        assert job.get_results().cost <= 0
    workspace.close()


def test_many_threads_share_a_workspace(server: Served) -> None:
    workspace = Workspace(server.url, api_key=KEY)
    found: list[float] = []

    def work(seed: int) -> None:
        job = SimulatedAnnealing(workspace, sweeps=5, restarts=2, seed=seed).submit(ring(50))
        found.append(job.get_results(timeout_secs=HANG_S).cost)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    workspace.close()


def test_jobs_tell_how_their_bounds_became_better(server: Served) -> None:
    with Workspace(server.url, api_key=KEY) as workspace:
        job = SimulatedAnnealing(workspace, sweeps=100, seed=1, params={"bound": "cycles"}).submit(ring(51))
        job.wait_until_completed(timeout_secs=HANG_S, print_progress=False)
        points = job.progress.bounds
        assert [point.bound for point in points] == sorted({point.bound for point in points})
        assert points[-1].bound == job.progress.bound


def test_keys_open_what_they_are_for(server: Served) -> None:
    with pytest.raises(Unauthorized), Workspace(server.url, api_key="wrong") as stranger:
        stranger.list_jobs()
    with pytest.raises(Unauthorized), Workspace(server.url) as nobody:
        nobody.list_jobs()


def test_a_read_only_key_reads_and_does_no_more(server: Served) -> None:
    command = [sys.executable, "-m", "qiosk", "keys", "create", "--home", str(server.home), "--read-only", "reader"]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    problem = ring(10)
    with Workspace(server.url, api_key=KEY) as workspace:
        done = SimulatedAnnealing(workspace, sweeps=5, seed=1).submit(problem)
        best = done.get_results(timeout_secs=HANG_S)["cost"]
        done.upload_attachment("notes", b"read me")
        data = done.download_data(done.details.input_data_uri)
    with Workspace(server.url, api_key=made.stdout.strip()) as workspace:
        job = workspace.get_job(done.id)
        assert job.get_results()["cost"] == best
        assert {"inputData", "notes", "rawOutputData"} <= set(workspace.api.list_blobs(job.container_name))
        assert job.download_attachment("notes") == b"read me"
        assert job.download_data(job.details.input_data_uri) == data
        with pytest.raises(Forbidden):
            SimulatedAnnealing(workspace, sweeps=5).submit(problem)
        with pytest.raises(Forbidden):
            job.upload_attachment("notes", b"changed")


def test_waiting_ends_with_the_job(server: Served) -> None:
    with Workspace(server.url, api_key=KEY) as workspace:
        job = SimulatedAnnealing(workspace, sweeps=10**8, restarts=8, seed=1).submit(ring())
        asked = threading.Event()

        def cancel() -> None:
            eventually(lambda: workspace.get_job(job.id).progress.sweeps > 0)
            asked.set()
            workspace.cancel_job(job.id)

        with ThreadPoolExecutor(1) as pool:
            cancelling = pool.submit(cancel)
            job.wait_until_completed(timeout_secs=HANG_S)
            assert asked.is_set()
            cancelling.result()
        assert job.status == "Cancelled"
        with pytest.raises(JobNotFound):
            workspace.get_job("unknown")


def test_models_are_decoded_from_a_server(server: Served) -> None:
    model = Model("halves")
    sizes = (3, 1, 4, 1, 5)
    side = model.choices("side", range(5), ["left", "right"])
    model.add(total(size * side[i]["left"] for i, size in enumerate(sizes)) == 7, "even")
    with Workspace(server.url, api_key=KEY) as workspace:
        job = SimulatedAnnealing(workspace, timeout=5, seed=1).submit(model.problem())
        found = workspace.get_job(job.id).decode()
    assert found.is_feasible
    assert sum(size for i, size in enumerate(sizes) if found["side"][i] == "left") == 7


def test_commands_work_with_the_server_that_the_environment_names(server: Served, tmp_path: Path) -> None:
    file = tmp_path / "ring.json"
    file.write_text(ring(20).to_json())
    environ = {**os.environ, "QIOSK_URL": server.url, "QIOSK_API_KEY": KEY, "QIOSK_HOME": str(tmp_path / "unused")}

    def qiosk(*words: str) -> str:
        command = [sys.executable, "-m", "qiosk", *words]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=HANG_S).stdout

    job_id = qiosk("submit", str(file), "-p", "sweeps=20", "--target", "simulatedannealing", "--name", "cli").strip()
    watched = json.loads(qiosk("jobs", "watch", job_id, "--json"))
    assert watched["job"]["status"] == "Succeeded"
    assert json.loads(qiosk("jobs", "results", job_id, "--json")) == watched["results"]
    assert job_id in [job["id"] for job in json.loads(qiosk("jobs", "list", "--name", "^cli$", "--json"))]
    assert "microsoft.qmc.cpu" in qiosk("targets")
    qiosk("jobs", "delete", job_id)
    with Workspace(server.url, api_key=KEY) as workspace, pytest.raises(JobNotFound):
        workspace.get_job(job_id)
    assert not (tmp_path / "unused").exists()


def test_certificates_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = certificate(tmp_path)
    if pair is None:
        pytest.skip("openssl is missing")
    chain, key = map(str, pair)
    with served(tmp_path / "home", "--certfile", chain, "--keyfile", key) as secure:
        assert secure.url.startswith("https://")
        with Workspace(secure.url) as workspace, pytest.raises(ServiceUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            workspace.list_jobs()
        monkeypatch.setenv("SSL_CERT_FILE", chain)
        with Workspace(secure.url) as workspace:
            job = SimulatedAnnealing(workspace, sweeps=5, seed=1).submit(ring(20))
            assert job.get_results(timeout_secs=HANG_S).cost <= 0
            assert job.details.output_data_uri.startswith("https://")
