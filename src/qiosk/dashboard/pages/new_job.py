"""A new job in two steps: give a problem; then see what it is, choose a target and its parameters, and submit.

The first step stores the problem as the input of a job that does not exist yet, or takes that of another job. The URL
of the second step names it, with all that was entered and is not as it was at first. So nothing else is kept between
the steps, and the view can be reloaded and sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import uuid4

from anyio.to_thread import run_sync
from msgspec import structs
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qiosk.client.solvers.provider_formats import format_of
from qiosk.contract.items import ItemQuery, ItemType
from qiosk.contract.jobs import SubmitJob
from qiosk.contract.quotas import Dimension, QuotaView
from qiosk.contract.sessions import SessionView
from qiosk.dashboard import inputs, units
from qiosk.dashboard.forms import MAX_FORM_BYTES, text_of
from qiosk.dashboard.inputs import MAX_UPLOAD_BYTES, Input
from qiosk.dashboard.parameters import (
    LIMIT,
    PREFIX,
    Entries,
    Form,
    entries_found_by,
    entries_of_job,
    parameter_form,
)
from qiosk.dashboard.problems import Description, describe, is_describable, warnings_of
from qiosk.dashboard.visits import Visit, changed, visited
from qiosk.errors import (
    InvalidInput,
    InvalidJobDefinition,
    InvalidTarget,
    InvalidValue,
    JobAlreadyExists,
    JobNotFound,
    QioskError,
    SessionClosed,
    SessionNotFound,
)
from qiosk.formats.examples import EXAMPLES, example
from qiosk.formats.files import FORMATS
from qiosk.server.auth.access import Access
from qiosk.server.web.errors import status_of
from qiosk.service.blobs.store import BlobStore
from qiosk.service.jobs.definition import PRIORITIES
from qiosk.settings import default_memory_limit
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET, targets
from qiosk.solvers.targets.catalogue import target as target_of
from qiosk.solvers.targets.parameters import read_parameters
from qiosk.solvers.targets.target import Target

MAX_SHOWN_TEXT: Final = 1 << 20
"""Most characters of a pasted text that the page shows again when it was wrong."""
MAX_SESSIONS: Final = 100
"""Most open sessions that the page offers."""
_OWN_ENTRIES: Final = ("target", "name", "tags", "priority", "session", LIMIT)
_FIELD_OF: Final = {"name": "name", "tags": "tags", "priority": "priority", "session_id": "session"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What the second step begins with: an input, the entries at first, and the members of the URL that name both."""

    stored: Input
    entries: Entries
    origin: Mapping[str, str]

    def entries_with(self, given: Mapping[str, str]) -> dict[str, str]:
        """The entries, with what was entered."""
        entered = {name: text for name, text in given.items() if name in _OWN_ENTRIES or name.startswith(PREFIX)}
        return {**self.entries, **entered}

    def url(self, visit: Visit, entries: Entries) -> str:
        """The URL of the second step with these entries."""
        entered = {name: text for name, text in entries.items() if text != self.entries.get(name, "")}
        return visit.link("/new", **self.origin, **entered)


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known of an input: a description, or why there is none."""

    description: Description | None = None
    error: str | None = None


@visited
async def show(visit: Visit) -> Response:
    """The first step; the second one if the URL names an input or a job."""
    if not visit.may_write:
        return visit.page("new_read_only.html", status=403)
    given = dict(visit.request.query_params)
    if "input" not in given and "from" not in given:
        return _first_step(visit)
    beginning = await run_in_threadpool(_begin, visit.access, given)
    return await _second_step(visit, beginning, beginning.entries_with(given))


async def take_problem(visit: Visit, form: FormData) -> Response:
    """Store the problem of the first step, and go on with the second one."""
    kind, penalty = text_of(form, "format"), text_of(form, "penalty")
    try:
        file, data = await _given_problem(form)
        store = partial(inputs.store, visit.access.unsigned_jobs, file, data, kind or None, penalty)
        draft = await run_sync(store, limiter=visit.request.app.state.problem_limiter)
    except QioskError as error:
        shown = {"text": text_of(form, "text")[:MAX_SHOWN_TEXT], "kind": kind, "penalty": penalty}
        return _first_step(visit, status=status_of(error), error=error.message, **shown)
    return visit.go(visit.link("/new", input=draft))


async def submit(visit: Visit, form: FormData) -> Response:
    """Submit the job of the second step; or only show it with the parameters of another target."""
    given = {name: text.replace("\r\n", "\n") for name, text in form.items() if isinstance(text, str)}
    beginning = await run_in_threadpool(_begin, visit.access, given)
    entries = beginning.entries_with(given)
    if given.get("action") == "show":
        return visit.go(beginning.url(visit, entries))
    parameters = parameter_form(target_of(entries["target"]), entries)
    errors: dict[str, str] = {}
    status = 400
    if parameters.is_valid:
        try:
            command = _command(beginning.stored, visit.access, parameters, entries, given.get("id") or None)
            job_id = await run_in_threadpool(_submit, visit.access, command)
            return visit.go(visit.link(f"/jobs/{job_id}"))
        except QioskError as error:
            errors, status = {_field_of(error): error.message}, status_of(error)
    return await _second_step(visit, beginning, entries, status=status, errors=errors)


def _first_step(visit: Visit, *, status: int = 200, **shown: Any) -> Response:
    defaults = {"error": None, "text": "", "kind": "", "penalty": ""}
    context = {**defaults, **shown, "examples": EXAMPLES, "formats": FORMATS, "most_bytes": MAX_UPLOAD_BYTES}
    return visit.page("new_problem.html", status=status, **context)


async def _second_step(
    visit: Visit, beginning: Beginning, entries: Entries, *, status: int = 200, errors: Mapping[str, str] | None = None
) -> Response:
    access, stored = visit.access, beginning.stored
    parameters = parameter_form(target_of(entries["target"]), entries)
    is_fragment = visit.is_fragment and visit.request.method == "GET"
    examined = Examined()
    if not is_fragment:
        examine = partial(_examine, access.parts.storage.blobs(access.workspace), stored)
        examined = await run_sync(examine, limiter=visit.request.app.state.problem_limiter)
    response = visit.page(
        "new_job.html",
        status=status,
        stored=stored,
        origin=beginning.origin,
        entries={**dict.fromkeys(_OWN_ENTRIES, ""), **entries},
        errors={**dict.fromkeys(("", *_FIELD_OF.values())), **(errors or {})},
        examined=examined,
        warnings=[] if is_fragment else await run_in_threadpool(_warnings, access, parameters, examined),
        parameters=parameters,
        targets=sorted(targets(), key=_rank),
        recommended=DEFAULT_TARGET,
        priorities=PRIORITIES,
        sessions=[] if is_fragment else await run_in_threadpool(_open_sessions, access, entries.get("session", "")),
        job_id=await run_in_threadpool(_free_id, access, stored),
    )
    if is_fragment:
        response.headers["HX-Replace-Url"] = beginning.url(visit, entries)
    return response


async def _given_problem(form: FormData) -> tuple[str, bytes]:
    """The file's name and its content, of an example, an upload or a pasted text. Raises InvalidValue."""
    if chosen := text_of(form, "example"):
        return chosen, example(chosen).content
    upload = form.get("file")
    if isinstance(upload, UploadFile) and (upload.filename or upload.size):
        return upload.filename or "", await upload.read()
    if text := text_of(form, "text"):
        return "", text.replace("\r\n", "\n").encode("utf-8", "replace")
    raise InvalidValue("there is no problem: choose a file, paste a text or take an example")


def _begin(access: Access, given: Mapping[str, str]) -> Beginning:
    """The beginning that the members of a URL or a form name. Raises BlobNotFound, JobNotFound."""
    blobs = access.parts.storage.blobs(access.workspace)
    common = {"target": DEFAULT_TARGET}
    if (job_id := given.get("from")) is None:
        stored = inputs.stored_input(blobs, given.get("input", ""))
        return Beginning(stored=stored, entries={**common, "name": stored.name}, origin={"input": stored.draft or ""})
    job = access.unsigned_jobs.find(job_id)
    view = access.unsigned_jobs.view_of(job)
    origin = {"from": job_id}
    if given.get("found"):
        origin["found"] = "1"
        parameters = entries_found_by(view)
    else:
        parameters = common
        with suppress(InvalidTarget, InvalidInput):  # a target, or parameters, that can no longer be read
            parameters = entries_of_job(view)
    described = {"name": job.name, "tags": "\n".join(job.tags), "priority": job.priority or ""}
    return Beginning(stored=inputs.input_of(blobs, job), entries={**described, **parameters}, origin=origin)


def _examine(blobs: BlobStore, stored: Input) -> Examined:
    try:
        problem = inputs.read(blobs, stored)
        if problem is None or not is_describable(problem):
            return Examined()
        return Examined(describe(problem))
    except (InvalidInput, MemoryError) as error:
        return Examined(error=getattr(error, "message", "it does not fit into the server's memory"))


def _warnings(access: Access, parameters: Form, examined: Examined) -> list[str]:
    found = examined.description
    warnings: list[str] = []
    if found is not None:
        warnings += warnings_of(found, memory_limit=default_memory_limit())
        if parameters.target.is_quadratic_only and found.locality > 2:
            warnings.append(
                f"{parameters.target.id} takes terms of at most two variables, and this problem has terms of "
                f"{found.locality}: the job will fail."
            )
    return [*warnings, *_quota_warnings(access.unsigned_jobs.quotas(), parameters)]


def _quota_warnings(quotas: Any, parameters: Form) -> Iterator[str]:
    """Why the workspace's quotas will refuse the job, or end it early."""
    by_name: dict[str, QuotaView] = {quota.dimension: quota for quota in quotas}
    for dimension, text in (
        (Dimension.JOB_HOURS, "The workspace has used its job hours of this month: new jobs are refused."),
        (Dimension.QUEUED_JOBS, "The queue of the workspace is full: new jobs are refused until one has begun."),
    ):
        quota = by_name.get(dimension)
        if quota is not None and quota.utilization + quota.holds >= quota.limit:
            yield text
    longest = by_name.get(Dimension.RUN_SECONDS)
    if longest is not None and parameters.is_valid:
        target = parameters.target
        wanted = target.time_limit(read_parameters(target.parameters, parameters.values))
        if longest.limit < wanted < float("inf"):
            yield f"Jobs of this workspace run {units.seconds(longest.limit)} at most: this one ends earlier."


def _open_sessions(access: Access, chosen: str) -> list[SessionView]:
    """Sessions that accept jobs, newest first. The chosen one may be missing."""
    page = access.sessions.page(ItemQuery(item_types=[ItemType.SESSION]), top=MAX_SESSIONS)
    return [session for session in page.items if not session.status.is_final or session.id == chosen]


def _free_id(access: Access, stored: Input) -> str:
    """The id for a job with this input: that with which it was uploaded, unless a job has it."""
    if stored.draft is not None:
        try:
            access.unsigned_jobs.find(stored.draft)
        except JobNotFound:
            return stored.draft
    return str(uuid4())


def _command(stored: Input, access: Access, parameters: Form, entries: Entries, job_id: str | None) -> SubmitJob:
    target = parameters.target
    tags = [tag.strip() for tag in entries.get("tags", "").split("\n")]
    return SubmitJob(
        id=job_id,
        name=entries.get("name", "").strip() or stored.name,
        provider_id=target.provider_id,
        target=target.id,
        input_data_uri=access.parts.storage.blobs(access.workspace).uri(*stored.ref),
        input_data_format=stored.input_format,
        output_data_format=format_of(target.id).output_data_format,
        input_params=parameters.input_params,
        tags=tuple(tag for tag in tags if tag),
        priority=entries.get("priority") or None,
        session_id=entries.get("session") or None,
    )


def _submit(access: Access, command: SubmitJob) -> str:
    """Queue the job; returns its id. A job of the same id that was submitted meanwhile is left as it is."""
    try:
        return access.jobs.submit(command).id
    except JobAlreadyExists:
        return access.jobs.submit(structs.replace(command, id=str(uuid4()))).id


def _field_of(error: QioskError) -> str:
    """The field that an error is about; empty if it is about none."""
    if isinstance(error, SessionNotFound | SessionClosed):
        return "session"
    is_definition = isinstance(error, InvalidJobDefinition)
    return _FIELD_OF.get(error.message.partition(":")[0], "") if is_definition else ""


def _rank(target: Target) -> tuple[Any, ...]:
    """The order in which targets are offered."""
    return target.id != DEFAULT_TARGET, target.provider_id != "Microsoft", not target.is_parameter_free, target.id


routes: Final[list[BaseRoute]] = [
    Route("/new", show, methods=["GET"]),
    Route("/new", changed(submit), methods=["POST"]),
    Route("/new/input", changed(take_problem, max_bytes=MAX_UPLOAD_BYTES + MAX_FORM_BYTES), methods=["POST"]),
]
