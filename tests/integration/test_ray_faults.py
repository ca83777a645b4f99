"""Faults of a Ray cluster: nodes, the head, the supervisor or its gateway die or freeze, and every job ends once."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec

import psutil
import pytest

import databases
import homes
import storages
from patience import eventually
from qiosk.adapters.home.heartbeat import Heartbeat
from qiosk.adapters.home.home import Home
from qiosk.contract.jobs import JobStatus
from qiosk.service.jobs.job_service import JobService
from qiosk.version import __version__
from ray_clusters import RayCluster, RayNode, ray_cluster
from ray_jobs import (
    CHUNKS,
    LONG,
    ended_elsewhere,
    gated,
    lost,
    node_of,
    open_gate,
    open_ray_home,
    pid_of,
    placed,
    spread,
    succeeded,
    texts,
    uses,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[RayCluster]:
    with ray_cluster(tmp_path_factory.mktemp("ray")) as cluster:
        yield cluster


@pytest.fixture
def nodes(cluster) -> list[RayNode]:
    """Two nodes of two CPUs that live, and a head that does."""
    if not cluster.head.processes():
        cluster.start_head()
    cluster.nodes = [node for node in cluster.nodes if node.processes()]
    while len(cluster.nodes) < 2:
        cluster.add_node()
    return cluster.nodes


@pytest.fixture
def home(cluster, nodes, tmp_path) -> Iterator[JobService]:
    path = tmp_path / "home"
    opened = open_ray_home(path, cluster)
    yield opened
    opened.close()
    homes.close_home(path)
    assert eventually(lambda: not agents(cluster)), "agents outlived their supervisor"


def agents(cluster: RayCluster) -> list[psutil.Process]:
    """The agents on all nodes."""
    return [process for node in cluster.nodes for process in homes.titled(node.processes(), "NodeAgent")]


def test_jobs_of_a_killed_node_resume_on_the_other(home, cluster, tmp_path) -> None:
    found = spread(home, cluster, gated(tmp_path))
    killed = cluster.nodes[0]
    killed.kill()
    lost(home, found, killed)
    open_gate(tmp_path)
    ended_elsewhere(home, found, killed)


def test_jobs_of_a_frozen_node_run_on_the_other_and_it_is_used_again(home, cluster, tmp_path) -> None:
    found = spread(home, cluster, gated(tmp_path))
    frozen = cluster.nodes[0]
    old = [psutil.Process(pid_of(home, home.get(job_id))) for job_id, node in found.items() if node is frozen]
    frozen.freeze()
    try:
        lost(home, found, frozen)
        open_gate(tmp_path)
        for job_id, node in found.items():
            assert succeeded(home, job_id)["cost"] == -CHUNKS
            assert home.find(job_id).losses == (node is frozen)
        later = [homes.submit(home, {"chunks": 3}) for _ in range(4)]
        for view in later:
            assert node_of(cluster, succeeded(home, view.id)["parent"]) is not frozen
    finally:
        frozen.thaw()
    assert eventually(lambda: not any(process.is_running() for process in old)), "its old processes end"
    assert eventually(lambda: uses(home, cluster, frozen))
    assert {home.find(job_id).fence for job_id in found} == {1, 2}


@pytest.mark.long
@pytest.mark.parametrize("part", ["raylet", "agent"])
def test_a_part_of_a_node_that_is_frozen_is_as_good_as_all_of_it(home, cluster, tmp_path, part) -> None:
    found = spread(home, cluster, gated(tmp_path))
    node = cluster.nodes[0]
    title = {"raylet": "/raylet/raylet ", "agent": "NodeAgent"}[part]
    frozen = homes.titled(node.processes(), title)
    assert frozen
    for process in frozen:
        process.suspend()
    try:
        lost(home, found, node)
        open_gate(tmp_path)
        for job_id in found:
            assert succeeded(home, job_id)["cost"] == -CHUNKS
            assert home.find(job_id).losses == (found[job_id] is node)
        assert succeeded(home, homes.submit(home, {"chunks": 3}).id)["cost"] == -3
    finally:
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()
    assert eventually(lambda: uses(home, cluster, node))


@pytest.mark.long
def test_everything_is_killed_with_the_supervisor_and_the_next_one_runs_the_jobs(home, cluster, tmp_path) -> None:
    found = spread(home, cluster, gated(tmp_path))
    old = [pid_of(home, home.get(job_id)) for job_id in found]
    ended = [*agents(cluster), *(psutil.Process(pid) for pid in old)]
    supervisor = homes.supervisor_pid(tmp_path / "home")
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    assert eventually(lambda: not any(process.is_running() for process in ended))
    open_gate(tmp_path)
    for job_id in found:
        result = succeeded(home, job_id)
        assert result["resumed"] > 0
        assert result["pid"] not in old
        assert (home.find(job_id).supervisor_deaths, home.find(job_id).losses) == (1, 0)


@pytest.mark.long
def test_jobs_are_not_blamed_when_the_gateway_is_killed(home, cluster, tmp_path) -> None:
    found = spread(home, cluster, gated(tmp_path))
    waiting = homes.submit(home, {"chunks": 3})
    homes.titled(homes.processes_of(tmp_path / "home"), "cluster.gateway")[0].kill()
    assert eventually(lambda: all(home.find(job_id).fence == 2 for job_id in found))
    open_gate(tmp_path)
    for job_id in found:
        assert succeeded(home, job_id)["resumed"] > 0
        job = home.find(job_id)
        assert (job.fence, job.losses, job.supervisor_deaths) == (2, 0, 0)
        assert any("connection to the Ray cluster was lost" in text for text in texts(home, home.get(job_id)))
    assert succeeded(home, waiting.id)["cost"] == -3
    assert home.find(waiting.id).losses == 0


@pytest.mark.long
def test_jobs_run_to_their_ends_when_the_head_was_started_again(home, cluster, tmp_path) -> None:
    found = spread(home, cluster, gated(tmp_path))
    beat = Heartbeat(Home(tmp_path / "home").heartbeat)
    cluster.head.kill()
    assert eventually(lambda: "Ray cluster" in beat.trouble())
    for node in cluster.nodes:
        node.kill()
    view = homes.submit(home, {"chunks": 3})
    open_gate(tmp_path)
    cluster.start_head()
    cluster.nodes = []
    cluster.add_node()
    for job_id in found:
        assert succeeded(home, job_id)["cost"] == -CHUNKS
        assert home.find(job_id).losses == 0
    assert succeeded(home, view.id)["cost"] == -3
    assert eventually(lambda: beat.trouble() == "")


def test_a_deaf_job_is_killed_soon_after_it_was_cancelled(cluster, nodes, tmp_path) -> None:
    path = tmp_path / "home"
    home = open_ray_home(path, cluster, cancel_seconds=0.5)
    try:
        deaf, gone = homes.submit(home, {**LONG, "is_deaf": True}), homes.submit(home, {**LONG, "is_deaf": True})
        for view in (deaf, gone):
            placed(home, cluster, view)
        pids = [pid_of(home, view) for view in (deaf, gone)]
        home.delete(gone.id)
        home.cancel(deaf.id)
        ended = homes.finished(home, deaf.id)
        assert ended.status is JobStatus.CANCELLED
        assert json.loads(home.best(deaf.id) or b"{}")["cost"] < 0, "its best solution stays"
        assert eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids if pid is not None))
    finally:
        home.close()
        homes.close_home(path)


def test_a_job_that_waits_for_a_place_is_cancelled_without_one(home, cluster) -> None:
    running = spread(home, cluster, LONG)
    waits = homes.submit(home, LONG)
    homes.wait_until(home, waits.id, lambda view: "waiting for a node" in (view.progress.activity or ""))
    home.cancel(waits.id)
    assert homes.finished(home, waits.id).status is JobStatus.CANCELLED
    assert pid_of(home, waits) is None
    for job_id in running:
        home.cancel(job_id)
    for job_id in running:
        view = homes.finished(home, job_id)
        assert (view.status, view.has_results) == (JobStatus.CANCELLED, True)


def test_a_node_runs_no_more_jobs_than_it_has_cpus(home, cluster, tmp_path) -> None:
    running = spread(home, cluster, gated(tmp_path))
    waits = homes.submit(home, gated(tmp_path))
    homes.wait_until(home, waits.id, lambda view: "waiting for a node" in (view.progress.activity or ""))
    for _ in range(30):
        assert pid_of(home, home.wait(waits.id, 0.1)) is None, "Ray has given the CPUs of a job to another one"
    open_gate(tmp_path)
    for job_id in (*running, waits.id):
        assert succeeded(home, job_id)["cost"] == -CHUNKS


@pytest.mark.long
def test_another_home_takes_the_jobs_of_a_stopped_supervisor(cluster, nodes, tmp_path) -> None:
    with databases.postgres_schema() as url:
        shared = {"database": url, "storage": (tmp_path / "blobs").as_uri()}
        one = open_ray_home(tmp_path / "one", cluster, **shared)
        two = None
        try:
            views = [homes.submit(one, gated(tmp_path)) for _ in range(4)]
            for view in views:
                placed(one, cluster, view)
            stopped = homes.supervisor_pid(tmp_path / "one")
            assert stopped is not None
            one.close()  # it would tell its supervisor to go on
            os.kill(stopped, signal.SIGSTOP)
            two = open_ray_home(tmp_path / "two", cluster, **shared)
            homes.submit(two, {"chunks": 3})
            try:
                assert eventually(lambda: all(two.find(view.id).supervisor_deaths == 1 for view in views))
                open_gate(tmp_path)
                results = [succeeded(two, view.id) for view in views]
            finally:
                os.kill(stopped, signal.SIGCONT)
            assert all(result["resumed"] > 0 for result in results)
            assert {two.find(view.id).supervisor_deaths for view in views} == {1}
        finally:
            if two is not None:
                two.close()
            for name in ("one", "two"):
                homes.close_home(tmp_path / name)


def test_a_problem_reaches_each_node_once(cluster, nodes, tmp_path, monkeypatch) -> None:
    from moto.s3.responses import S3Response

    reads: list[str] = []
    get = S3Response.get_object

    def counted(self):
        reads.append(self.path)
        return get(self)

    monkeypatch.setattr(S3Response, "get_object", counted)
    with storages.s3_environment() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        home = open_ray_home(tmp_path / "home", cluster, storage="s3://bucket/qiosk")
        try:
            uri = home.put_blob("problems", "input", json.dumps(gated(tmp_path)).encode())
            views = [homes.submit(home, input_data=None, input_data_uri=uri) for _ in range(6)]
            for view in views[:4]:
                placed(home, cluster, view)
            open_gate(tmp_path)
            forks = {succeeded(home, view.id)["parent"] for view in views}
        finally:
            home.close()
            homes.close_home(tmp_path / "home")
    assert len(forks) == 2
    assert len([path for path in reads if path.partition("?")[0].endswith("/input")]) == 2, reads


@pytest.mark.long
def test_a_node_with_another_qiosk_gets_no_jobs(cluster, nodes, tmp_path, monkeypatch) -> None:
    other = tmp_path / "other"
    (other / "qiosk").mkdir(parents=True)
    (other / "qiosk" / "__init__.py").touch()
    (other / "qiosk" / "version.py").write_text('__version__ = "0.0.1"')
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(other))
        foreign = cluster.add_node(8)
    home = open_ray_home(tmp_path / "home", cluster)
    said = f"has Qiosk 0.0.1 and Python {sys.version_info[0]}.{sys.version_info[1]}, but this server on"
    log, beat = Home(tmp_path / "home").log, Heartbeat(Home(tmp_path / "home").heartbeat)
    try:
        views = [homes.submit(home, {"chunks": 30}) for _ in range(8)]
        assert eventually(lambda: said in log.read_text())
        for view in views:
            assert node_of(cluster, succeeded(home, view.id)["parent"]) is not foreign
        assert f"has Qiosk {__version__} and Python" in log.read_text()
        for node in cluster.nodes:
            if node is not foreign:
                node.kill()
        assert eventually(lambda: said in beat.trouble())
    finally:
        home.close()
        homes.close_home(tmp_path / "home")
        foreign.kill()


@pytest.mark.long
def test_a_cluster_without_nodes_gets_one_job_so_that_its_autoscaler_sees_demand(tmp_path) -> None:
    with ray_cluster(tmp_path) as empty:
        service = open_ray_home(tmp_path / "home", empty)
        try:
            first, second = (homes.submit(service, {"chunks": 3}) for _ in range(2))
            homes.wait_until(service, first.id, lambda view: "waiting for a node" in (view.progress.activity or ""))
            assert service.get(second.id).status is JobStatus.WAITING
            empty.add_node()
            for view in (first, second):
                assert succeeded(service, view.id)["cost"] == -3
        finally:
            service.close()
            homes.close_home(tmp_path / "home")
