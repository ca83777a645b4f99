"""Receipts beside the results of jobs, in this process and on a server."""

from __future__ import annotations

import asyncio
import json

import pytest

from qiosk import Job, Workspace, aio
from qiosk.client.solvers import Tabu
from qiosk.errors import Unauthorized
from qiosk.service.accounts.keys import KeyService
from qiosk.service.jobs.job import BlobRef
from servers import MemoryParts, listening


def solved(workspace: Workspace, memory: MemoryParts, **order: object) -> Job:
    job = Tabu(workspace, timeout=5, seed=1).submit(json.dumps({"chunks": 2, **order}).encode(), compress=False)
    assert workspace.api.receipt(job.id) is None, "it has no results yet"
    memory.run("default")
    job.refresh()
    return job


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_the_receipt_of_a_job_is_read_beside_its_results(workspace: Workspace, memory: MemoryParts, size: int) -> None:
    job = solved(workspace, memory, receipt="x" * size)
    assert job.get_receipt() == b"x" * size
    assert workspace.api.list_blobs(job.container_name) == ["inputData", "rawOutputData", "receipt"]
    job.delete()
    assert memory.storage.blobs("default").list(job.container_name) == []


def test_jobs_without_a_receipt_have_none(workspace: Workspace, memory: MemoryParts) -> None:
    job = solved(workspace, memory)
    assert job.get_receipt() is None
    lost = solved(workspace, memory, receipt="x")
    memory.storage.blobs("default").delete(BlobRef(lost.container_name, "receipt"))
    assert lost.get_receipt() is None


def test_those_who_may_read_results_may_read_receipts(memory: MemoryParts) -> None:
    keys = KeyService(memory.keys, memory.clock)
    secrets = {name: keys.create(name, is_read_only=name == "reader")[1] for name in ("owner", "reader")}
    with listening(memory.parts) as url:
        with Workspace(url, api_key=secrets["owner"]) as workspace:
            job = solved(workspace, memory, receipt="x")
        with Workspace(url, api_key=secrets["reader"]) as workspace:
            assert workspace.get_job(job.id).get_receipt() == b"x"
        with Workspace(url, api_key="wrong") as workspace, pytest.raises(Unauthorized):
            workspace.api.receipt(job.id)


def test_the_asynchronous_job_reads_it_too(memory: MemoryParts) -> None:
    async def read(url: str, job_id: str) -> bytes | None:
        async with aio.Workspace(url) as workspace:
            return await (await workspace.get_job(job_id)).get_receipt()

    with listening(memory.parts) as url:
        with Workspace(url) as workspace:
            job = solved(workspace, memory, receipt="x")
        assert asyncio.run(read(url, job.id)) == b"x"
