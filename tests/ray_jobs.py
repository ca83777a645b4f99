"""Jobs of a home that run on a Ray cluster of the tests: where they are, and how they end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import homes
from patience import eventually
from qiosk.contract.jobs import JobStatus, JobView
from qiosk.service.jobs.job_service import JobService
from ray_clusters import RayCluster, RayNode

LONG = {"chunks": 1_000_000}
"""What ends only when it is cancelled."""
CHUNKS = 100


def open_ray_home(path: Path, cluster: RayCluster, **members) -> JobService:
    given = {"executor": "ray", "ray_address": cluster.address, "concurrent_jobs": None, "threads": 1, **members}
    return homes.open_home(path, **given)


def texts(service: JobService, view: JobView) -> list[str]:
    return [line.text for line in service.log(view.id)]


def pid_of(service: JobService, view: JobView) -> int | None:
    """The process of the job's last attempt that has begun."""
    found = [match for text in texts(service, view) if (match := re.search(r"runs as process (\d+) on", text))]
    return int(found[-1][1]) if found else None


def node_of(cluster: RayCluster, pid: int | None) -> RayNode | None:
    """The node that a process belongs to."""
    for node in cluster.nodes:
        if pid in {process.pid for process in node.processes()}:
            return node
    return None


def placed(service: JobService, cluster: RayCluster, view: JobView) -> RayNode:
    """The node on which a job runs, as soon as it has stored a checkpoint."""
    homes.wait_until(service, view.id, lambda _: service.find(view.id).checkpoint_blob is not None)
    assert eventually(lambda: node_of(cluster, pid_of(service, view)) is not None)
    node = node_of(cluster, pid_of(service, view))
    assert node is not None
    return node


def gated(folder: Path) -> dict:
    """A job that ends when ``open_gate`` is called, or resumes from its end."""
    return {"chunks": CHUNKS, "gate": str(folder / "gate")}


def open_gate(folder: Path) -> None:
    (folder / "gate").touch()


def lost(service: JobService, found: dict[str, RayNode], node: RayNode) -> None:
    """Wait until the jobs of a node were lost."""
    for job_id in found:
        if found[job_id] is node:
            assert eventually(lambda: service.find(job_id).losses == 1)  # noqa: B023


def spread(service: JobService, cluster: RayCluster, order: dict, count: int = 4) -> dict[str, RayNode]:
    """The nodes of so many jobs of one kind that run on both nodes at once."""
    views = [homes.submit(service, order) for _ in range(count)]
    found = {view.id: placed(service, cluster, view) for view in views}
    assert len(set(map(id, found.values()))) == 2
    return found


def succeeded(service: JobService, job_id: str) -> dict:
    """The results of a job, which has ended once."""
    view = homes.finished(service, job_id)
    assert view.status is JobStatus.SUCCEEDED, view.error
    ends = [text for text in texts(service, view) if re.search(r"ended: (Succeeded|Failed|Cancelled)", text, re.I)]
    assert len(ends) == 1
    return json.loads(service.results(job_id))


def ended_elsewhere(service: JobService, found: dict[str, RayNode], gone: RayNode) -> None:
    """Every job has ended once with its results; those of the node that is gone from their checkpoints."""
    for job_id, node in found.items():
        result = succeeded(service, job_id)
        assert result["cost"] == -CHUNKS
        assert service.find(job_id).losses == (node is gone)
        if node is gone:
            assert result["resumed"] > 0, "from its checkpoint"
            assert any("process was lost: node " in text for text in texts(service, service.get(job_id)))


def uses(service: JobService, cluster: RayCluster, node: RayNode) -> bool:
    views = [homes.submit(service, {"chunks": 30}) for _ in range(4)]
    parents = [succeeded(service, view.id)["parent"] for view in views]
    return any(node_of(cluster, parent) is node for parent in parents)
