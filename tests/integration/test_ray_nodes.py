"""Jobs over several nodes of a Ray cluster find what one process finds, wherever their members ran."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import homes
from patience import eventually
from qiosk.contract.jobs import JobStatus, JobView
from qiosk.formats.qio import json_codec
from qiosk.service.jobs.job_service import JobService
from qiosk.service.names import CHECKPOINT_BLOB
from ray_clusters import RayCluster, ray_cluster
from strategies import cost_function

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the nodes are process trees"),
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.slow,
]


def glass(n: int, pairs: int) -> bytes:
    """Couplings of random pairs, as a document."""
    rng = np.random.default_rng(3)
    drawn = sorted({tuple(sorted(rng.choice(n, 2, replace=False).tolist())) for _ in range(pairs)})
    terms = [(float(rng.integers(1, 4) * rng.choice([-1, 1])), list(pair)) for pair in drawn]
    return json_codec.write(cost_function("ising", terms))


PROBLEM = glass(90, 300)
SEARCHES = {
    "microsoft.simulatedannealing.cpu": {"sweeps": 6, "restarts": 600, "number_of_solutions": 3},
    "microsoft.paralleltempering.cpu": {"sweeps": 6, "replicas": 4},
}
LONG = {"sweeps": 400_000, "restarts": 600}
"""Takes some seconds."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[RayCluster]:
    with ray_cluster(tmp_path_factory.mktemp("ray"), 2) as made:
        yield made


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Iterator[JobService]:
    path = tmp_path_factory.mktemp("local")
    service = homes.open_home(path, runner=None)
    yield service
    service.close()
    homes.close_home(path)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("remote")


@pytest.fixture(scope="module")
def remote(cluster, home) -> Iterator[JobService]:
    given = {
        "executor": "ray",
        "ray_address": cluster.address,
        "concurrent_jobs": None,
        "threads": 1,
        "idle_seconds": 300.0,
    }
    service = homes.open_home(home, runner=None, **given)
    yield service
    service.close()
    homes.close_home(home)


def submit(service: JobService, target: str, params: dict) -> JobView:
    return homes.submit(service, target=target, input_params={"params": params}, input_data=PROBLEM)


def found(service: JobService, view: JobView) -> dict:
    """What does not depend on time in the results of a job."""
    ended = homes.finished(service, view.id)
    assert ended.status is JobStatus.SUCCEEDED, service.log(view.id)
    document = json.loads(service.results(view.id))
    provenance = document["provenance"]
    members = [(m["index"], m["seed"], m["cost"]) for m in provenance["statistics"].get("members", ())]
    assert [point.cost for point in service.trace(view.id)][-1] == document["cost"]
    names = ("cost", "configuration", "solutions", "parameters")
    return {name: document[name] for name in names if name in document} | {
        "seed": provenance["seed"],
        "given": provenance["given"],
        "spin_updates": provenance["statistics"]["spin_updates"],
        "members": members,
    }


def blobs_of_members(home: Path) -> list[str]:
    return sorted(path.name for path in home.rglob("member*"))


def checkpoints(home: Path) -> list[str]:
    return [name for name in blobs_of_members(home) if name.endswith(f"-{CHECKPOINT_BLOB}")]


def test_results_are_those_of_one_process_whatever_number_of_nodes_there_is(local, remote, cluster, home):
    for count in (1, 2):
        if count == 2:
            cluster.add_node(2)
        for target, params in SEARCHES.items():
            for nodes in (1, 2, 3):
                given = {**params, "seed": 5, "nodes": nodes}
                ours, theirs = submit(local, target, given), submit(remote, target, given)
                expected = found(local, ours)
                assert found(remote, theirs) == expected
    assert eventually(lambda: not blobs_of_members(home)), "they are removed when a job has ended"


@pytest.mark.long
def test_a_job_is_suspended_with_its_supervisor_and_its_members_go_on(local, remote, cluster, home):
    """With the results of a search that was not interrupted, and without what its members had done by then."""
    order = {**LONG, "seed": 6, "nodes": 3}
    view = submit(remote, "microsoft.simulatedannealing.cpu", order)
    homes.wait_until(remote, view.id, lambda seen: seen.status.is_final or len(checkpoints(home)) >= 2)
    os.kill(homes.supervisor_pid(home), signal.SIGTERM)
    assert eventually(lambda: not homes.is_supervised(home))
    assert remote.get(view.id).status is JobStatus.WAITING
    assert (remote.find(view.id).losses, remote.find(view.id).supervisor_deaths) == (0, 0)
    expected = found(local, submit(local, "microsoft.simulatedannealing.cpu", order))
    assert found(remote, view) == expected
    assert remote.get(view.id).attempts == 2
    lines = [line.text for line in remote.log(view.id)]
    assert any("resum" in line or "continu" in line for line in lines), lines


def test_a_job_goes_on_when_a_node_dies(local, remote, cluster, home):
    """And one of its members is lost, which runs again on another node."""
    while len(cluster.nodes) < 2:
        cluster.add_node(2)
    view = submit(remote, "microsoft.simulatedannealing.cpu", {**LONG, "seed": 5, "nodes": 4})
    assert eventually(lambda: len(blobs_of_members(home)) >= 4), remote.log(view.id)
    doomed = cluster.nodes.pop(0)
    doomed.kill()
    expected = found(local, submit(local, "microsoft.simulatedannealing.cpu", {**LONG, "seed": 5, "nodes": 4}))
    assert found(remote, view) == expected
    lines = [line.text for line in remote.log(view.id)]
    assert any("was lost, running it again" in line for line in lines), lines
    assert remote.get(view.id).attempts == 1
    assert eventually(lambda: not blobs_of_members(home)), "they are removed when a job has ended"
