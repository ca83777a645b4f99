"""Routes of jobs."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from qiosk.contract.http import requests
from qiosk.contract.jobs import ExtendJob, JobView, PatchJob
from qiosk.contract.logs import LogLine
from qiosk.errors import ServiceUnavailable
from qiosk.server.auth.access import Access, Reading, Writing
from qiosk.server.blobs.bodies import SMALL
from qiosk.server.blobs.replies import BlobResponse
from qiosk.server.routes.changes import Changes
from qiosk.server.routes.listing import AFTER, AFTER_LINE, PAGING, page_reply, read_count, window
from qiosk.server.web.bodies import request_body
from qiosk.server.web.openapi import answers, pages, takes
from qiosk.server.web.replies import JSON, reply_from
from qiosk.server.web.routing import Routes
from qiosk.service.blobs.store import BlobReader
from qiosk.service.filters import job_query
from qiosk.service.jobs.job_service import DELETE_PATIENCE_S, not_stopped

router = Routes("Jobs")

OCTETS = "application/octet-stream"

_JOB = answers(JobView)
_RECEIPT = answers(bytes, or_nothing=True, media_type=OCTETS)
_PATCH = takes(PatchJob | list[requests.PatchOperation])


@router.put("/jobs/{job_id}", operation_id="createJob", **_JOB, **takes(requests.PutJob))
async def create_job(request: Request, job_id: str, access: Writing) -> Response:
    """Queue a job.

    Repeating a request has no further effect; another request with the same id is rejected with 409. A job with
    mistakes in its problem or its solver parameters is accepted, and ends `Failed`.
    """
    body = await request_body(request, access.settings)
    return await reply_from(lambda: access.jobs.submit(requests.decode_submission(body, job_id)))


@router.get("/jobs/{job_id}", operation_id="getJob", **_JOB)
async def get_job(job_id: str, access: Reading) -> Response:
    """The job as it is now."""
    return await reply_from(lambda: access.jobs.get(job_id))


@router.get("/jobs", operation_id="listJobs", **pages(JobView), **PAGING)
async def list_jobs(request: Request, access: Reading) -> Response:
    """Jobs, by default newest first, in pages. `nextLink` is the URL of the next page."""
    return await page_reply(request, access.base, window(request), job_query, access.jobs.page)


@router.delete("/jobs/{job_id}", operation_id="cancelJobByDelete", **answers(None, status=204))
async def delete_job(job_id: str, access: Writing) -> Response:
    """Cancel a job. The job stays listed; `:purge` removes it."""
    await run_in_threadpool(access.jobs.cancel, job_id)
    return Response(status_code=204)


@router.post("/jobs/{job_id}:cancel", operation_id="cancelJob", **_JOB)
async def cancel_job(job_id: str, access: Writing) -> Response:
    """Cancel a job. A waiting job ends at once, a running one soon; one that has ended does not change."""
    return await reply_from(lambda: access.jobs.cancel(job_id))


@router.post("/jobs/{job_id}:extend", operation_id="extendJob", **_JOB, **takes(ExtendJob))
async def extend_job(request: Request, job_id: str, access: Writing) -> Response:
    """Queue a job that goes on where a job has ended because of a time limit or a cancellation, for some seconds more.

    409 `Conflict` if the job has not ended, has ended by itself, or has no checkpoint. Repeating a request that names
    the new job's `id` has no further effect.
    """
    body = await request_body(request, access.settings)
    return await reply_from(lambda: access.jobs.extend(job_id, requests.decode_request(ExtendJob, body)))


@router.post("/jobs/{job_id}:purge", operation_id="purgeJob", **answers(None, status=204))
async def purge_job(request: Request, job_id: str, access: Writing) -> Response:
    """Remove a job and its data; a running job is cancelled first."""
    view = await run_in_threadpool(access.jobs.cancel, job_id)
    if not view.status.is_final:
        await _end_of(job_id, access, request.app.state.changes)
    await run_in_threadpool(access.jobs.delete, job_id)
    return Response(status_code=204)


@router.patch("/jobs/{job_id}", operation_id="updateJob", **_JOB, **_PATCH)
async def update_job(request: Request, job_id: str, access: Writing) -> Response:
    """Change name, tags or priority, by a merge patch or a list of RFC 6902 operations."""
    body = await request_body(request, access.settings)
    return await reply_from(lambda: access.jobs.update(job_id, requests.decode_patch(body)))


@router.get("/jobs/{job_id}/results", operation_id="getResults", **answers(dict[str, Any]))
async def get_results(job_id: str, access: Reading) -> Response:
    """The results as the job's solver wrote them; 404 `BlobNotFound` if there are none yet."""
    return await run_in_threadpool(_results, access, job_id)


@router.get("/jobs/{job_id}/best", operation_id="getBest", **answers(dict[str, Any], or_nothing=True))
async def get_best(job_id: str, access: Reading) -> Response:
    """The best solution so far in the format of results, also of a running job; 204 if there is none yet."""
    return await run_in_threadpool(_best, access, job_id)


@router.get("/jobs/{job_id}/receipt", operation_id="getReceipt", **_RECEIPT)
async def get_receipt(job_id: str, access: Reading) -> Response:
    """What proves the bound of the results, an npz file for `qiosk verify`; 204 if there is none."""
    return await run_in_threadpool(_receipt, access, job_id)


@router.get("/jobs/{job_id}/trace", operation_id="getTrace", **answers(list[tuple[float, int, float]]), **AFTER)
async def get_trace(request: Request, job_id: str, access: Reading) -> Response:
    """Improvements of the best cost in order, as rows of seconds, sweep and cost, from number `after` on."""
    after = read_count("after", request.query_params.get("after", "0"))
    return await reply_from(lambda: access.jobs.trace(job_id, after))


@router.get("/jobs/{job_id}/log", operation_id="getLog", **answers(list[LogLine]), **AFTER_LINE)
async def get_log(request: Request, job_id: str, access: Reading) -> Response:
    """What the server and the job's processes logged about the job, from position `after` on: the last 64 KiB."""
    after = read_count("after", request.query_params.get("after", "0"))
    return await reply_from(lambda: access.jobs.log(job_id, after))


async def _end_of(job_id: str, access: Access, changes: Changes) -> None:
    """Wait in the event loop until a cancelled job has ended. Raises Conflict if it takes too long."""
    deadline = time.monotonic() + DELETE_PATIENCE_S
    async with changes.followed():
        while True:
            count = changes.count
            view = await run_in_threadpool(access.jobs.get, job_id)
            if view.status.is_final:
                return
            if changes.is_stopped:
                raise ServiceUnavailable(f"job {job_id}: is being cancelled, and the server stops: ask again")
            if time.monotonic() >= deadline:
                raise not_stopped(job_id)
            await changes.wait(count, deadline - time.monotonic())
            await asyncio.sleep(changes.pace_s)


def _results(access: Access, job_id: str) -> Response:
    """The results of a job; large ones are sent in pieces, as blobs are."""
    return _sent(access.jobs.open_results(job_id), JSON)


def _receipt(access: Access, job_id: str) -> Response:
    reader = access.jobs.open_receipt(job_id)
    return Response(status_code=204) if reader is None else _sent(reader, OCTETS)


def _sent(reader: BlobReader, media_type: str) -> Response:
    if reader.properties.size_bytes > SMALL:
        return BlobResponse(reader, None, {"Content-Type": media_type})
    with closing(reader):
        return Response(b"".join(reader.pieces()), media_type=media_type)


def _best(access: Access, job_id: str) -> Response:
    """The best solution of a job, sent as results are."""
    reader = access.jobs.open_best(job_id)
    if reader is None:
        return Response(status_code=204)
    if reader.properties.size_bytes > SMALL:
        return BlobResponse(reader, None, {"Content-Type": JSON})
    reader.close()
    best = access.jobs.best(job_id)  # read at once, since a better one may replace it
    return Response(status_code=204) if best is None else Response(best, media_type=JSON)
