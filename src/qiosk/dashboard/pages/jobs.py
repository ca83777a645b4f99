"""The list of jobs: filters, order and page are in its URL; selected jobs are cancelled, deleted or compared."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, QueryParams
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qiosk.contract.jobs import JobQuery, JobStatus, JobView
from qiosk.contract.paging import ItemOrder
from qiosk.contract.workspaces import DEFAULT_KEY
from qiosk.dashboard.forms import statuses_in, text_of
from qiosk.dashboard.job.reruns import run_all_again
from qiosk.dashboard.visits import Visit, changed, visited
from qiosk.errors import InvalidFilter, NotFound
from qiosk.service.names import is_job_id

PAGE_JOBS: Final = 50
"""Jobs on a page."""
SORTS: Final = {
    "created": ItemOrder.CREATION_TIME,
    "name": ItemOrder.NAME,
    "target": ItemOrder.TARGET,
    "status": ItemOrder.STATE,
}
"""Columns that the list can be sorted by, by their names in URLs; ``-`` before a name means descending."""
MAX_SELECTED: Final = 1000
"""Most jobs that one form may change."""
MAX_THREADS: Final = 4
"""Jobs of a form that are changed at the same time, so that others have threads, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What the list shows, as in its URL."""

    text: str = ""
    statuses: tuple[JobStatus, ...] = ()
    target: str = ""
    tag: str = ""
    session: str = ""
    since: str = ""
    until: str = ""
    sort: str = "-created"

    @property
    def are_any(self) -> bool:
        """Whether jobs may be hidden."""
        return any((self.text, self.statuses, self.target, self.tag, self.session, self.since, self.until))

    @property
    def query(self) -> JobQuery:
        """The query of the store. Raises InvalidFilter."""
        by_id = self.text.startswith("id:")
        return JobQuery(
            id_prefix=self.text.removeprefix("id:").strip() if by_id else None,
            name_prefix=None if by_id or not self.text else self.text,
            statuses=self.statuses or None,
            targets=(self.target,) if self.target else None,
            tags=(self.tag,) if self.tag else (),
            session_id=self.session or None,
            created_after=_moment("since", self.since),
            created_before=_moment("until", self.until),
            order_by=SORTS[self.sort.removeprefix("-")],
            descending=self.sort.startswith("-"),
        )

    @property
    def parameters(self) -> dict[str, str | list[str] | None]:
        """The parameters of the list's URL; those at their defaults are None."""
        return {
            "q": self.text or None,
            "status": [str(status) for status in self.statuses] or None,
            "target": self.target or None,
            "tag": self.tag or None,
            "session": self.session or None,
            "since": self.since or None,
            "until": self.until or None,
            "sort": self.sort if self.sort != "-created" else None,
        }

    def toggled(self, column: str) -> str:
        """The sort of a click on a column's head."""
        first, second = ("-created", "created") if column == "created" else (column, f"-{column}")
        return second if self.sort == first else first


def read_filters(given: QueryParams) -> Filters:
    """The filters in a URL. Raises InvalidFilter, which names the parameter."""
    sort = given.get("sort") or "-created"
    if sort.removeprefix("-") not in SORTS:
        raise InvalidFilter(f"sort: must be one of {', '.join(SORTS)}, perhaps after '-', found {sort[:100]!r}")
    return Filters(
        text=given.get("q", "").strip(),
        statuses=statuses_in(given, JobStatus),
        target=given.get("target", "").strip(),
        tag=given.get("tag", "").strip(),
        session=given.get("session", "").strip(),
        since=given.get("since", "").strip(),
        until=given.get("until", "").strip(),
        sort=sort,
    )


@visited
async def show_jobs(visit: Visit) -> Response:
    """A page of the list."""
    given = visit.request.query_params
    filters = read_filters(given)
    token = given.get("token") or None
    jobs = visit.access.unsigned_jobs
    page = await run_in_threadpool(lambda: jobs.page(filters.query, top=PAGE_JOBS, token=token))
    return visit.page(
        "jobs.html",
        jobs=page.items,
        filters=filters,
        next=page.next,
        is_first=token is None,
        selected=frozenset(given.getlist("selected")),
        statuses=JobStatus,
        targets=[view.id for view in jobs.targets()],
        duration_of=duration_s,
        new_id=str(uuid4()),
        submission=submission(visit),
    )


def submission(visit: Visit) -> str:
    """The command that submits a job to the workspace of a page."""
    words = ["qiosk", "submit", "problem.json", "--name", "my first job"]
    if not visit.is_own:
        words += ["--url", visit.access.base]
    if visit.access.workspace != DEFAULT_KEY:
        words += ["--workspace", visit.access.workspace]
    return shlex.join(words)


@changed
async def change_jobs(visit: Visit, form: FormData) -> Response:
    """Cancel, delete, run again or compare the selected jobs."""
    ids = [str(text) for text in form.getlist("selected") if is_job_id(str(text))][:MAX_SELECTED]
    action = text_of(form, "action")
    if action == "compare":
        return visit.go(visit.link("/compare", **{"job": ids}))
    jobs = visit.access.unsigned_jobs.submitted_by(visit.access.label)
    if action == "rerun":
        await run_in_threadpool(run_all_again, jobs, ids, _uuid(text_of(form, "new_id")))
    elif action in ("cancel", "delete"):
        await _apply(jobs.cancel, ids)
        if action == "delete":  # which waits for running jobs to stop: all of them do so by now
            await _apply(jobs.delete, ids)
    else:
        raise InvalidFilter(f"action: must be cancel, delete, rerun or compare, found {action[:100]!r}")
    query = text_of(form, "query")
    return visit.go(visit.link("/jobs") + (f"?{query}" if query else ""))


async def _apply(work: Callable[[str], object], ids: Sequence[str]) -> None:
    limiter = CapacityLimiter(MAX_THREADS)

    async def apply(job_id: str) -> None:
        with suppress(NotFound):  # another tab has deleted it
            await to_thread.run_sync(work, job_id, limiter=limiter)

    await asyncio.gather(*map(apply, ids))


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return uuid4()


def duration_s(job: JobView, now: datetime) -> float | None:
    """How long a job has run [s]; None if it has not begun."""
    if job.begin_execution_time is None:
        return None
    return ((job.end_execution_time or now) - job.begin_execution_time).total_seconds()


def _moment(name: str, text: str) -> datetime | None:
    """A time in a URL, as ``<input type="datetime-local">`` sends it, or a date; in UTC. Raises InvalidFilter."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidFilter(f"{name}: must be an ISO 8601 date or time, found {text[:100]!r}") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


routes: Final[list[BaseRoute]] = [
    Route("/jobs", show_jobs, methods=["GET"]),
    Route("/jobs", change_jobs, methods=["POST"]),
]
