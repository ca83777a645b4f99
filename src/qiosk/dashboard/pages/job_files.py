"""Files of a job to download, and the data of its chart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from qiosk.contract.jobs import JobView, TracePoint
from qiosk.dashboard.job import configurations, traces
from qiosk.dashboard.job.kept_traces import KeptTraces
from qiosk.dashboard.job.problems import converted, file_name, suffix_of
from qiosk.dashboard.visits import Visit, visited
from qiosk.errors import BlobNotFound, InvalidFilter
from qiosk.formats.files import by_name
from qiosk.formats.qio.results import ResultsDocument
from qiosk.server.blobs.replies import BlobResponse
from qiosk.service.blobs.store import BlobReader
from qiosk.service.jobs.job import BlobRef

AS_SUBMITTED: Final = "submitted"
"""The choice of no other format for the problem."""
MAX_BUCKETS: Final = 4000
_CSV: Final = "text/csv; charset=utf-8"
_OCTETS: Final = "application/octet-stream"
_HEAD_BYTES: Final = 64


@visited
async def send_curves(visit: Visit) -> Response:
    """The curves of the chart as JSON: ``points`` is its width in pixels, ``time`` its scale, linear or log."""
    given = visit.request.query_params
    text = given.get("points", "1000")
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= MAX_BUCKETS):
        raise InvalidFilter(f"points: must be 1 to {MAX_BUCKETS}, found {text[:100]!r}")

    def work() -> bytes:
        jobs, job_id = visit.access.unsigned_jobs, visit.request.path_params["job_id"]
        progress = jobs.get(job_id).progress
        found = traces.curves(read_trace(visit), progress, buckets=int(text), is_log=given.get("time") == "log")
        return msgspec.json.encode(found)

    return Response(await run_in_threadpool(work), media_type="application/json")


@visited
async def send_problem(visit: Visit) -> Response:
    """The problem, in the format of the query, or as it was submitted."""
    name = visit.request.query_params.get("format", AS_SUBMITTED)
    form = None if name == AS_SUBMITTED else by_name(name)
    view, reader = await run_in_threadpool(_open_problem, visit)
    if form is None:
        head = await run_in_threadpool(_head, reader)
        return _sent(reader, file_name(view, f"problem{suffix_of(head)}"), _OCTETS)
    limiter: CapacityLimiter = visit.request.app.state.problem_limiter
    content = await to_thread.run_sync(converted, reader, view.input_data_format, form, limiter=limiter)
    return attached(Response(content, media_type=_OCTETS), file_name(view, f"problem{form.suffixes[0]}"))


def _open_problem(visit: Visit) -> tuple[JobView, BlobReader]:
    access, job_id = visit.access, visit.request.path_params["job_id"]
    jobs = access.unsigned_jobs
    ref: BlobRef = jobs.find(job_id).input
    return jobs.get(job_id), access.parts.storage.blobs(access.workspace).open(ref)


def _head(reader: BlobReader) -> bytes:
    return b"".join(reader.pieces(0, min(_HEAD_BYTES, reader.properties.size_bytes)))


@visited
async def send_results(visit: Visit) -> Response:
    """The results as the solver wrote them."""
    jobs, job_id = visit.access.unsigned_jobs, visit.request.path_params["job_id"]
    view = await run_in_threadpool(jobs.get, job_id)
    reader = await run_in_threadpool(jobs.open_results, job_id)
    return _sent(reader, file_name(view, "results.json"), "application/json")


@visited
async def send_receipt(visit: Visit) -> Response:
    """What proves the bound, for ``qiosk verify``."""
    jobs, job_id = visit.access.unsigned_jobs, visit.request.path_params["job_id"]
    view = await run_in_threadpool(jobs.get, job_id)
    reader = await run_in_threadpool(jobs.open_receipt, job_id)
    if reader is None:
        raise BlobNotFound(f"job {job_id}: has no receipt, since it has no results or nothing was proved")
    return _sent(reader, file_name(view, "receipt.npz"), _OCTETS)


@visited
async def send_solutions(visit: Visit) -> Response:
    """All solutions as CSV: a row each, with its cost and a column for each variable."""
    view, document = await run_in_threadpool(read_document, visit)
    return attached(StreamingResponse(_solution_rows(document), media_type=_CSV), file_name(view, "solutions.csv"))


def _solution_rows(document: ResultsDocument) -> Iterator[str]:
    if document.solutions:
        yield "cost," + ",".join(map(str, document.solutions[0][0].tolist())) + "\n"
    for _, values, cost in document.solutions:
        yield f"{cost!r}," + ",".join(map(str, values.tolist())) + "\n"


@visited
async def send_trace(visit: Visit) -> Response:
    """All improvements of the best cost as CSV."""
    jobs, job_id = visit.access.unsigned_jobs, visit.request.path_params["job_id"]
    view = await run_in_threadpool(jobs.get, job_id)
    points = await run_in_threadpool(read_trace, visit)
    lines = ("seconds,sweep,cost\n", *(f"{p.seconds!r},{p.sweep},{p.cost!r}\n" for p in points))
    return attached(StreamingResponse(_joined(lines), media_type=_CSV), file_name(view, "trace.csv"))


@visited
async def send_log(visit: Visit) -> Response:
    """All lines that are kept of the job's log, as text."""
    jobs, job_id = visit.access.unsigned_jobs, visit.request.path_params["job_id"]
    view = await run_in_threadpool(jobs.get, job_id)
    lines = await run_in_threadpool(jobs.log, job_id)
    text = "".join(f"{line.time.isoformat()} {line.level:<8} {line.text}\n" for line in lines)
    return attached(Response(text, media_type="text/plain"), file_name(view, "log.txt"))


@visited
async def send_picture(visit: Visit) -> Response:
    """The values of a solution as a PNG."""
    _, document = await run_in_threadpool(read_document, visit)
    solution = configurations.chosen(document.solutions, visit.request.query_params.get("solution"))
    return Response(await run_in_threadpool(configurations.picture, solution[1]), media_type="image/png")


def read_document(visit: Visit) -> tuple[JobView, ResultsDocument]:
    """The job of a page, and its results or its best solution so far. Raises BlobNotFound if there is none."""
    assert visit.workspace is not None
    jobs, job_id = visit.access.unsigned_jobs, visit.request.path_params["job_id"]
    view = jobs.get(job_id)
    document: ResultsDocument | None = visit.request.app.state.documents.read(visit.workspace, jobs, job_id)
    if document is None:
        raise BlobNotFound(f"job {job_id}: has no solution, it is {view.status}")
    return view, document


def read_trace(visit: Visit) -> Sequence[TracePoint]:
    """The trace of the job of a page. Raises JobNotFound."""
    kept: KeptTraces = visit.request.app.state.traces
    access = visit.access
    return kept.read(access.workspace, access.unsigned_jobs, visit.request.path_params["job_id"])


def _joined(lines: Iterable[str], size: int = 1000) -> Iterator[str]:
    """The same text in larger pieces."""
    piece: list[str] = []
    for line in lines:
        piece.append(line)
        if len(piece) == size:
            yield "".join(piece)
            piece.clear()
    yield "".join(piece)


def _sent(reader: BlobReader, name: str, media_type: str) -> Response:
    """A blob as an attachment, in pieces."""
    return attached(BlobResponse(reader, None, {"Content-Type": media_type}), name)


def attached(response: Response, name: str) -> Response:
    """The response as a file to save. It is not compressed on the way: that would hold up other requests."""
    response.headers["Content-Encoding"] = "identity"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


routes: Final[list[BaseRoute]] = [
    Route("/jobs/{job_id}/trace.json", send_curves),
    Route("/jobs/{job_id}/problem", send_problem),
    Route("/jobs/{job_id}/results.json", send_results),
    Route("/jobs/{job_id}/receipt.npz", send_receipt),
    Route("/jobs/{job_id}/solutions.csv", send_solutions),
    Route("/jobs/{job_id}/trace.csv", send_trace),
    Route("/jobs/{job_id}/log.txt", send_log),
    Route("/jobs/{job_id}/values.png", send_picture),
]
