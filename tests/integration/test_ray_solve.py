"""``solve`` on the nodes of a Ray cluster finds what it finds in one process."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import psutil
import pytest

import homes
import qiosk
from qiosk.cluster.versions import Versions
from qiosk.contract.jobs import JobProgress
from qiosk.errors import Conflict, InvalidInitialConfiguration, InvalidValue, ServiceUnavailable
from qiosk.solvers.result import Result
from ray_clusters import RayCluster, ray_cluster
from strategies import cost_function

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the nodes are process trees"),
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.slow,
]


def glass(n: int, pairs: int):
    """Couplings of random pairs."""
    rng = np.random.default_rng(3)
    drawn = sorted({tuple(sorted(rng.choice(n, 2, replace=False).tolist())) for _ in range(pairs)})
    return cost_function("ising", [(float(rng.integers(1, 4) * rng.choice([-1, 1])), list(pair)) for pair in drawn])


GLASS = glass(90, 300)
ANNEALING = "microsoft.simulatedannealing.cpu"
SEARCHES = {
    ANNEALING: {"sweeps": 6, "restarts": 600, "number_of_solutions": 3},
    "microsoft.paralleltempering.cpu": {"sweeps": 6, "replicas": 4},
}
LONG = {"sweeps": 20_000, "restarts": 600}
"""Takes some seconds."""
ENDLESS = {"sweeps": 20, "restarts": 10_000_000}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[RayCluster]:
    with ray_cluster(tmp_path_factory.mktemp("ray"), 2) as made:
        yield made


def found(result: Result) -> dict[str, Any]:
    """What does not depend on time."""
    members = [(m["index"], m["seed"], m["cost"]) for m in result.statistics.get("members", ())]
    return {
        "solutions": [(solution.cost, solution.values.tolist()) for solution in result.solutions],
        "parameters": result.parameters,
        "given": result.facts.given,
        "seed": result.facts.seed,
        "stop_reason": result.stop_reason,
        "spin_updates": result.statistics["spin_updates"],
        "members": members,
    }


def running(cluster: RayCluster) -> list[psutil.Process]:
    """The processes of members, which are named after them while they run."""
    return [process for node in cluster.nodes for process in homes.titled(node.processes(), "qiosk member")]


@pytest.mark.parametrize("target", SEARCHES)
def test_results_are_those_of_one_process(cluster, target):
    for nodes in (None, 3):
        given = {**SEARCHES[target], "seed": 5, "nodes": nodes, "threads": 1}
        assert found(qiosk.solve(GLASS, target, **given, ray_address=cluster.address)) == found(
            qiosk.solve(GLASS, target, **given)
        )


@dataclass
class Killer:
    """Follows a solve, and kills the first process of a member that it sees."""

    cluster: RayCluster
    killed: list[psutil.Process] = field(default_factory=list)

    def __call__(self, progress: JobProgress) -> None:
        if not self.killed:
            self.killed = running(self.cluster)[:1]
            for process in self.killed:
                process.kill()


def test_a_lost_member_runs_again(cluster, caplog):
    given = {**LONG, "seed": 5, "nodes": 3, "threads": 1}
    killer = Killer(cluster)
    result = qiosk.solve(GLASS, ANNEALING, **given, ray_address=cluster.address, progress=killer)
    assert len(killer.killed) == 1
    assert "was lost, running it again" in caplog.text
    assert found(result) == found(qiosk.solve(GLASS, ANNEALING, **given))


def test_a_caller_who_stops_gets_what_members_have_found(cluster):
    looks = []

    def stop(progress: JobProgress) -> bool:
        if running(cluster):
            looks.append(progress)
        return len(looks) < 40  # solvers have begun

    result = qiosk.solve(GLASS, ANNEALING, **ENDLESS, nodes=4, seed=1, ray_address=cluster.address, progress=stop)
    assert result.stop_reason == "cancelled"
    assert all(0 <= each["index"] < 4 for each in result.statistics["members"])


def test_a_member_that_reaches_the_target_cost_stops_the_others(cluster):
    cost = qiosk.solve(GLASS, ANNEALING, **SEARCHES[ANNEALING], seed=5).cost
    result = qiosk.solve(GLASS, ANNEALING, **ENDLESS, nodes=2, seed=1, target_cost=cost, ray_address=cluster.address)
    assert result.stop_reason == "target"
    assert result.cost <= cost


def test_errors_of_members_are_those_of_one_process(cluster):
    wrong = replace(GLASS, initial_configuration={7000: 1})
    with pytest.raises(InvalidInitialConfiguration) as here:
        qiosk.solve(wrong, "microsoft.tabu.cpu", sweeps=5, nodes=2)
    with pytest.raises(InvalidInitialConfiguration) as there:
        qiosk.solve(wrong, "microsoft.tabu.cpu", sweeps=5, nodes=2, ray_address=cluster.address)
    assert str(there.value) == str(here.value)


def test_nodes_with_another_version_are_refused(cluster, monkeypatch):
    monkeypatch.setattr("qiosk.solvers.members.on_ray.own_versions", lambda: Versions("0.0.1", "3.11"))
    with pytest.raises(Conflict, match=rf"node .* has Qiosk {re.escape(qiosk.__version__)} .* has Qiosk 0\.0\.1"):
        qiosk.solve(GLASS, ANNEALING, sweeps=1, ray_address=cluster.address)


def test_addresses_that_are_none_and_clusters_that_are_not_there():
    with pytest.raises(InvalidValue, match="ray_address: must be HOST:PORT"):
        qiosk.solve(GLASS, ANNEALING, sweeps=1, ray_address="nowhere")
    with pytest.raises(ServiceUnavailable, match="cannot be reached"):
        qiosk.solve(GLASS, ANNEALING, sweeps=1, ray_address="127.0.0.2:1")
