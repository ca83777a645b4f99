"""The page of a job: what it is, how it does, what it found; and what can be done with it."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qiosk.contract.jobs import ExtendJob, JobQuery, JobView
from qiosk.dashboard.forms import text_of
from qiosk.dashboard.job import configurations, models, shown, traces
from qiosk.dashboard.job.reruns import run_again
from qiosk.dashboard.job.timeline import timeline
from qiosk.dashboard.pages.errors import anchor_of
from qiosk.dashboard.pages.job_files import read_trace
from qiosk.dashboard.pages.jobs import duration_s
from qiosk.dashboard.visits import Visit, changed, visited
from qiosk.errors import InvalidFilter, InvalidInput, InvalidValue
from qiosk.formats.files import FORMATS
from qiosk.formats.qio.results import ResultsDocument
from qiosk.service.jobs.job_service import JobService
from qiosk.service.names import is_job_id

MAX_LINES: Final = 200
"""Lines of the log that the page shows; the download has all."""
SHOWN_SOLUTIONS: Final = 100
"""Rows of the table of solutions."""
_EXTENSIONS: Final = 20


@visited
async def show_job(visit: Visit) -> Response:
    """The page of the job."""
    job_id = visit.request.path_params["job_id"]
    given = visit.request.query_params
    content = await run_in_threadpool(_content, visit, job_id)
    return visit.page(
        "job.html",
        is_log=given.get("time") == "log",
        bound_choice=given.get("bound") if given.get("bound") in ("show", "hide") else "",
        formats=[form.name for form in FORMATS],
        new_id=str(uuid4()),
        **content,
    )


def _content(visit: Visit, job_id: str) -> dict[str, Any]:
    jobs = visit.access.unsigned_jobs
    view = jobs.get(job_id)
    lines = jobs.log(job_id)
    points = read_trace(visit)
    results, trouble = _results(visit, jobs, view)
    extra = results.extra if results else {}
    best = results.solutions[0] if results and results.solutions else None
    bound, gap, _ = shown.bound_of(view, extra)
    return {
        "job": view,
        "lines": lines[-MAX_LINES:],
        "n_lines": len(lines),
        "moments": timeline(view, lines),
        "n_points": len(points),
        "first": points[0] if points else None,
        "last": points[-1] if points else None,
        "rows": traces.table(points),
        "results": results,
        "trouble": trouble,
        "solutions": results.solutions[:SHOWN_SOLUTIONS] if results else (),
        "distances": configurations.distances(results.solutions[:SHOWN_SOLUTIONS]) if results else (),
        "counts": configurations.counts(best) if best else {},
        "model": models.model_of(extra),
        "violated": models.violations_of(extra),
        "bound": bound,
        "gap": gap,
        "duration": duration_s(view, visit.request.app.state.parts.now()),
        "updates_per_s": shown.updates_per_s(view),
        "parameters": shown.parameters(view),
        "has_found": shown.has_found_parameters(view),
        "takes_seed": shown.takes_seed(view),
        "statistics": shown.statistics(view, extra),
        "portfolio": shown.portfolio(view),
        "extensions": jobs.page(JobQuery(parent_id=job_id), top=_EXTENSIONS).items,
        "error_anchor": anchor_of(view.error_data.code, view.error_data.message) if view.error_data else None,
        "has_receipt": _has_receipt(jobs, view),
        "text_of": shown.text_of,
        "is_job_id": is_job_id,
    }


def _results(visit: Visit, jobs: JobService, view: JobView) -> tuple[ResultsDocument | None, str | None]:
    """The results of a job that has ended, and why they cannot be shown."""
    if not view.has_results:
        return None, None
    assert visit.workspace is not None
    try:
        return visit.request.app.state.documents.read(visit.workspace, jobs, view.id), None
    except InvalidInput as error:
        return None, error.message


def _has_receipt(jobs: JobService, view: JobView) -> bool:
    reader = jobs.open_receipt(view.id) if view.has_results else None
    if reader is not None:
        reader.close()
    return reader is not None


@changed
async def change_job(visit: Visit, form: FormData) -> Response:
    """Cancel, delete, extend the job, or run it again with another seed."""
    job_id = visit.request.path_params["job_id"]
    action = text_of(form, "action")
    work = _ACTIONS.get(action)
    if work is None:
        raise InvalidFilter(f"action: must be one of {', '.join(_ACTIONS)}, found {action[:100]!r}")
    jobs = visit.access.unsigned_jobs.submitted_by(visit.access.label)
    path = await run_in_threadpool(work, jobs, job_id, form)
    return visit.go(visit.link(path))


def _cancel(jobs: JobService, job_id: str, _form: FormData) -> str:
    jobs.cancel(job_id)
    return f"/jobs/{job_id}"


def _delete(jobs: JobService, job_id: str, _form: FormData) -> str:
    jobs.delete(job_id)
    return "/jobs"


def _extend(jobs: JobService, job_id: str, form: FormData) -> str:
    text = text_of(form, "timeout")
    try:
        timeout = float(text)
    except ValueError:
        raise InvalidValue(f"timeout: must be a number of seconds, found {text[:100]!r}") from None
    return f"/jobs/{jobs.extend(job_id, ExtendJob(timeout=timeout, id=_new_id(form))).id}"


def _rerun(jobs: JobService, job_id: str, form: FormData) -> str:
    return f"/jobs/{run_again(jobs, job_id, _new_id(form))}"


def _new_id(form: FormData) -> str:
    return text_of(form, "new_id") or str(uuid4())


_ACTIONS: Final = {"cancel": _cancel, "delete": _delete, "extend": _extend, "rerun": _rerun}

routes: Final[list[BaseRoute]] = [
    Route("/jobs/{job_id}", show_job, methods=["GET"]),
    Route("/jobs/{job_id}", change_job, methods=["POST"]),
]
