"""The comparison of jobs: their curves, what they found and how they differ. Jobs and choices are in its URL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qiosk.dashboard.compare import drawing, rows, tables
from qiosk.dashboard.compare.profiles import Compared, Profile, by_problem, compared, profile
from qiosk.dashboard.job.shown import text_of
from qiosk.dashboard.pages.job_files import attached
from qiosk.dashboard.visits import Visit, visited
from qiosk.errors import InvalidFilter, JobNotFound
from qiosk.service.names import is_job_id

FEWEST: Final = 2
MOST: Final = 8
"""Most jobs that are compared: there are as many colours."""
_KEPT: Final = 50
"""Jobs that stay selected on the way back to the list."""
_CHOICES: Final = {"axis": ("time", "sweeps"), "scale": ("linear", "log"), "rows": ("all", "differing")}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the page shows, as in its URL."""

    ids: tuple[str, ...]
    axis: str = "time"
    scale: str = "linear"
    rows: str = "all"

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The parameters of the URL, without those at their defaults."""
        chosen = [(name, getattr(self, name)) for name, known in _CHOICES.items() if getattr(self, name) != known[0]]
        return [*(("job", job_id) for job_id in self.ids), *chosen]

    def url(self, visit: Visit, path: str = "/compare") -> str:
        """The URL of this view, or of one of its tables."""
        query = dict(self.parameters)
        return visit.link(path, **{**query, "job": self.ids})

    def without(self, job_id: str) -> View:
        """The comparison of the other jobs."""
        return replace(self, ids=tuple(each for each in self.ids if each != job_id))


def read_view(given: QueryParams) -> View:
    """The view in a URL. Raises InvalidFilter, which names the parameter."""
    found = {name: given.get(name) or known[0] for name, known in _CHOICES.items()}
    for name, value in found.items():
        if value not in _CHOICES[name]:
            raise InvalidFilter(f"{name}: must be {' or '.join(_CHOICES[name])}, found {value[:100]!r}")
    return View(ids=tuple(dict.fromkeys(filter(None, given.getlist("job")))), **found)


@visited
async def show_comparison(visit: Visit) -> Response:
    """The page; of too few or too many jobs, one that says what to do."""
    view = read_view(visit.request.query_params)
    back = visit.link("/jobs", selected=[each for each in view.ids[:_KEPT] if is_job_id(each)])
    if not FEWEST <= len(view.ids) <= MOST:
        return visit.page("compare/choose.html", status=400, back=back, count=len(view.ids), fewest=FEWEST, most=MOST)
    return visit.page("compare.html", view=view, back=back, **await run_in_threadpool(_content, visit, view))


def _content(visit: Visit, view: View) -> dict[str, Any]:
    jobs, missing = _read(visit, view)
    groups, unknown = by_problem(jobs)
    profiles = _profiles(jobs)
    settings = tables.settings(jobs)
    return {
        "jobs": jobs,
        "missing": missing,
        "groups": groups,
        "unknown": unknown,
        "profiles": [(found, drawing.drawing(found, is_log=view.scale == "log")) for found in profiles],
        "results": tables.results(jobs, profiles),
        "settings": rows.differing(settings) if view.rows == "differing" else settings,
        "n_machines": len(tables.machines(jobs)),
        "is_live": any(not job.view.status.is_final for job in jobs),
        "gap_type": rows.Gap,
        "text_of": text_of,
        "drawn": drawing,
    }


def _profiles(jobs: list[Compared]) -> list[Profile]:
    groups, _ = by_problem(jobs)
    return [found for group in groups if (found := profile(group)) is not None]


def _read(visit: Visit, view: View) -> tuple[list[Compared], list[str]]:
    """The jobs with their traces, and the ids of which there are none. A job's number is its place in the URL."""
    access, traces = visit.access, visit.request.app.state.traces
    jobs, found, missing = access.unsigned_jobs, [], []
    for number, job_id in enumerate(view.ids, 1):
        try:
            if not is_job_id(job_id):
                raise JobNotFound(job_id)
            found.append(compared(number, jobs.get(job_id), traces.read(access.workspace, jobs, job_id)))
        except JobNotFound:
            missing.append(job_id)
    return found, missing


@visited
async def send_results(visit: Visit) -> Response:
    """What the jobs found, as CSV."""
    return await _send(visit, "results", lambda jobs: tables.results(jobs, _profiles(jobs)))


@visited
async def send_settings(visit: Visit) -> Response:
    """How the jobs were told to search and what they ran on, as CSV: all rows, also those that do not differ."""
    return await _send(visit, "settings", tables.settings)


async def _send(visit: Visit, name: str, sections: Callable[[list[Compared]], list[rows.Section]]) -> Response:
    view = read_view(visit.request.query_params)
    if not 1 <= len(view.ids) <= MOST:
        raise InvalidFilter(f"job: must be given {FEWEST} to {MOST} times, found {len(view.ids)}")

    def work() -> str:
        jobs, _ = _read(visit, view)
        ids, names = [job.view.id for job in jobs], [job.view.name for job in jobs]
        return "".join(rows.as_csv(ids, names, sections(jobs)))

    text = await run_in_threadpool(work)
    return attached(Response(text, media_type="text/csv; charset=utf-8"), f"comparison-{name}.csv")


routes: Final[list[BaseRoute]] = [
    Route("/compare", show_comparison),
    Route("/compare/results.csv", send_results),
    Route("/compare/settings.csv", send_settings),
]
