"""A server whose jobs run on a Ray cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from patience import HANG_S, eventually
from qiosk import Workspace, solve
from qiosk.optimization import Problem, ProblemType, SimulatedAnnealing, Term
from ray_clusters import RayCluster, ray_cluster
from served import Served, served

pytestmark = [pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"), pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    with ray_cluster(tmp_path_factory.mktemp("ray"), 2) as made:
        yield made


@pytest.fixture(scope="module")
def server(cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("served") / "home"
    with served(home, "--executor", "ray", "--ray-address", cluster.address) as made:
        yield made


def a_problem() -> Problem:
    terms = [Term(c=float(i % 5 - 2), indices=[i, (i * 7 + 3) % 40]) for i in range(40) if i != (i * 7 + 3) % 40]
    return Problem("ring", problem_type=ProblemType.ising, terms=terms)


def is_ready(url: str) -> bool:
    return httpx.get(f"{url}/readyz", timeout=HANG_S).status_code == 200


def test_a_job_of_a_server_runs_on_the_cluster_with_the_result_of_one_machine(server: Served) -> None:
    assert eventually(lambda: is_ready(server.url)), server.log.read_text()[-3000:]
    workspace = Workspace(url=server.url)
    solver = SimulatedAnnealing(workspace, sweeps=50, restarts=8, seed=7)
    job = solver.submit(a_problem())
    results = job.get_results()
    here = solve(a_problem(), "microsoft.simulatedannealing.cpu", sweeps=50, restarts=8, seed=7)
    assert results["configuration"] == {str(name): value for name, value in here.configuration.items()}
    assert results["cost"] == here.cost
    assert any("runs as process" in line.text for line in job.logs())


@pytest.mark.long
def test_a_server_is_not_ready_while_its_cluster_is_gone(server: Served, cluster: RayCluster) -> None:
    assert eventually(lambda: is_ready(server.url)), server.log.read_text()[-3000:]
    for node in (*cluster.nodes, cluster.head):
        node.kill()
    assert eventually(lambda: not is_ready(server.url))
    assert eventually(lambda: "cannot start jobs: " in server.log.read_text())
    cluster.start_head()
    cluster.nodes[:] = [cluster.add_node()]
    assert eventually(lambda: is_ready(server.url))
    workspace = Workspace(url=server.url)
    assert SimulatedAnnealing(workspace, sweeps=5, seed=7).submit(a_problem()).get_results()["cost"] < 0


@pytest.mark.long
def test_a_cluster_with_another_version_is_refused_at_the_start(tmp_path: Path) -> None:
    other = tmp_path / "other" / "qiosk"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    (other / "version.py").write_text('__version__ = "9.8.7"\n')
    with ray_cluster(tmp_path) as cluster:
        cluster.add_node(1, PYTHONPATH=str(other.parent))
        command = [sys.executable, "-m", "qiosk", "serve", "--executor", "ray", "--ray-address", cluster.address]
        options = ["--home", str(tmp_path / "home"), "--port", "0"]
        done = subprocess.run(
            [*command, *options], capture_output=True, text=True, timeout=HANG_S, check=False, env=dict(os.environ)
        )
    assert done.returncode == 1
    assert "has Qiosk 9.8.7 and Python 3." in done.stderr
    assert "this server" in done.stderr
    assert "they must be the same" in done.stderr
