"""The network between a supervisor and a node of its Ray cluster is cut, and every job ends once.

The node has a network of its own, which a bridge joins to that of all others. All of them are in a network namespace
that nothing leaves, in which these tests run again; only root may make one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest

import homes
from patience import HANG_S, eventually
from ray_clusters import RayCluster, ray_cluster
from ray_jobs import ended_elsewhere, gated, lost, node_of, open_gate, open_ray_home, pid_of, spread, uses

HEAD, NODE = "10.99.0.1", "10.99.0.2"
IS_APART = "QIOSK_TEST_IS_APART"
UNSHARE = ["unshare", "--net"]


def may_unshare() -> bool:
    has_programs = all(map(which, ("ip", "nsenter", "unshare")))
    return has_programs and subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.skipif(not may_unshare(), reason="no iproute2, or no right to make a network namespace"),
]
here = pytest.mark.skipif(IS_APART in os.environ, reason="is in a network namespace")
apart = pytest.mark.skipif(IS_APART not in os.environ, reason="is in no network namespace")


@here
def test_everything_ends_once_in_a_network_of_its_own() -> None:
    command = [*UNSHARE, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(
        command, env={**os.environ, IS_APART: "1"}, capture_output=True, text=True, timeout=2 * HANG_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def ip(*arguments: str, within: int | None = None) -> None:
    prefix = [] if within is None else ["nsenter", "--net", "--target", str(within)]
    subprocess.run([*prefix, "ip", *arguments], check=True)


@contextmanager
def network() -> Iterator[int]:
    """A bridge with the head's address, and a network with the node's: the process that holds that one."""
    command = [*UNSHARE, "sh", "-c", "echo; exec sleep infinity"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            ip("link", "set", "lo", "up")
            ip("link", "add", "bridge", "type", "bridge")
            ip("address", "add", f"{HEAD}/24", "dev", "bridge")
            ip("link", "set", "bridge", "up")
            ip("link", "add", "port", "type", "veth", "peer", "name", "node", "netns", str(holder.pid))
            ip("link", "set", "port", "master", "bridge", "up")
            ip("link", "set", "lo", "up", within=holder.pid)
            ip("address", "add", f"{NODE}/24", "dev", "node", within=holder.pid)
            ip("link", "set", "node", "up", within=holder.pid)
            yield holder.pid
        finally:
            holder.kill()
            ip("link", "delete", "bridge")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RayCluster]:
    """Two nodes; the second one is in the network that can be cut."""
    with network() as holder, ray_cluster(tmp_path, 2, host=HEAD) as cluster:
        cluster.add_node(host=NODE, within=["nsenter", "--net", "--target", str(holder)])
        yield cluster


@apart
@pytest.mark.parametrize("is_mended", [True, False], ids=["for a while", "for ever"])
def test_jobs_of_a_node_that_is_cut_off_run_on_the_other(cluster: RayCluster, tmp_path: Path, is_mended: bool) -> None:
    home = open_ray_home(tmp_path / "home", cluster)
    try:
        found = spread(home, cluster, gated(tmp_path))
        cut = cluster.nodes[1]
        old = [pid_of(home, home.get(job_id)) for job_id, node in found.items() if node is cut]
        ip("link", "set", "port", "down")
        lost(home, found, cut)
        assert eventually(lambda: not any(node_of(cluster, pid) is cut for pid in old)), (
            "what nothing hears any more ends"
        )
        open_gate(tmp_path)
        ended_elsewhere(home, found, cut)
        if is_mended:
            ip("link", "set", "port", "up")
            assert eventually(lambda: not cut.processes() or uses(home, cluster, cut)), "it is used again, or ended"
    finally:
        home.close()
        homes.close_home(tmp_path / "home")
