"""A new job in two steps: give a problem; then see what it is, choose a target and its parameters, and submit.

The first step stores the problem as the input of a job that does not exist yet, or takes that of another job. The URL
of the second step names it, with all that was entered and is not as it was at first. So nothing else is kept between
the steps, and the view can be reloaded and sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from anyio.to_thread import run_sync
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qiosk.contract.items import ItemQuery, ItemType
from qiosk.contract.sessions import SessionView
from qiosk.dashboard.forms import MAX_FORM_BYTES, text_of
from qiosk.dashboard.new_job import inputs, submissions
from qiosk.dashboard.new_job.inputs import MAX_UPLOAD_BYTES, Reading
from qiosk.dashboard.new_job.parameters import Entries, parameter_form
from qiosk.dashboard.new_job.submissions import OWN_ENTRIES, Beginning, Examined
from qiosk.dashboard.visits import Visit, changed, visited
from qiosk.errors import InvalidJobDefinition, InvalidValue, QioskError, SessionClosed, SessionNotFound
from qiosk.formats.examples import EXAMPLES, example
from qiosk.formats.files import FORMATS
from qiosk.server.auth.access import Access
from qiosk.server.settings import ServerSettings
from qiosk.server.web.bodies import too_large
from qiosk.server.web.errors import status_of
from qiosk.service.jobs.definition import PRIORITIES
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET, targets
from qiosk.solvers.targets.catalogue import target as target_of
from qiosk.solvers.targets.target import Target

MAX_SHOWN_TEXT: Final = 1 << 20
"""Most characters of a pasted text that the page shows again when it was wrong."""
MAX_SESSIONS: Final = 100
"""Most open sessions that the page offers."""
_FIELD_OF: Final = {"name": "name", "tags": "tags", "priority": "priority", "session_id": "session"}


@visited
async def show(visit: Visit) -> Response:
    """The first step; the second one if the URL names an input or a job."""
    if not visit.may_write:
        return visit.page("new/read_only.html", status=403)
    given = dict(visit.request.query_params)
    if "input" not in given and "from" not in given:
        return _first_step(visit)
    beginning = await run_in_threadpool(submissions.begin, visit.access, given)
    return await _second_step(visit, beginning, beginning.entries_with(given))


async def take_problem(visit: Visit, form: FormData) -> Response:
    """Store the problem of the first step, and go on with the second one."""
    reading = Reading(**{name: text_of(form, name) for name in ("form", "penalty", "grid", "instance")})
    try:
        file, data = await _given_problem(form)
        if len(data) > _most_bytes(visit):
            raise too_large(_most_bytes(visit))
        store = partial(inputs.store, visit.access.unsigned_jobs, file, data, reading)
        draft = await run_sync(store, limiter=visit.request.app.state.problem_limiter)
    except QioskError as error:
        text = text_of(form, "text")[:MAX_SHOWN_TEXT]
        return _first_step(visit, text, reading, status=status_of(error), error=error.message)
    return visit.go(visit.link("/new", input=draft))


async def submit(visit: Visit, form: FormData) -> Response:
    """Submit the job of the second step; or only show it with the parameters of another target."""
    given = {name: text.replace("\r\n", "\n") for name, text in form.items() if isinstance(text, str)}
    beginning = await run_in_threadpool(submissions.begin, visit.access, given)
    entries = beginning.entries_with(given)
    if given.get("action") == "show":
        return visit.go(visit.link("/new", **beginning.members(entries)))
    parameters = parameter_form(target_of(entries["target"]), entries)
    if not parameters.is_valid:
        return await _second_step(visit, beginning, entries, status=400)
    send = partial(submissions.submit, visit.access, beginning.stored, parameters, entries, given.get("id") or None)
    try:
        job_id = await run_in_threadpool(send)
    except QioskError as error:
        errors = {_field_of(error): error.message}
        return await _second_step(visit, beginning, entries, status=status_of(error), errors=errors)
    return visit.go(visit.link(f"/jobs/{job_id}"))


def _first_step(
    visit: Visit, text: str = "", reading: Reading | None = None, *, status: int = 200, error: str | None = None
) -> Response:
    return visit.page(
        "new/problem.html",
        status=status,
        text=text,
        reading=reading or Reading(),
        error=error,
        examples=EXAMPLES,
        formats=FORMATS,
        most_bytes=_most_bytes(visit),
    )


def _most_bytes(visit: Visit) -> int:
    """Size of the largest problem that the form takes."""
    settings: ServerSettings = visit.request.app.state.settings
    return min(MAX_UPLOAD_BYTES, settings.max_blob_bytes)


async def _second_step(
    visit: Visit, beginning: Beginning, entries: Entries, *, status: int = 200, errors: Mapping[str, str] | None = None
) -> Response:
    access, stored = visit.access, beginning.stored
    parameters = parameter_form(target_of(entries["target"]), entries)
    is_fragment = visit.is_fragment and visit.request.method == "GET"
    examined, sessions = Examined(), list[SessionView]()
    if not is_fragment:  # a fragment only has other parameters
        examine = partial(submissions.examine, access, stored)
        examined = await run_sync(examine, limiter=visit.request.app.state.problem_limiter)
        sessions = await run_in_threadpool(_open_sessions, access, entries.get("session", ""))
    quotas = await run_in_threadpool(access.unsigned_jobs.quotas)
    response = visit.page(
        "new/job.html",
        status=status,
        stored=stored,
        origin=beginning.origin,
        entries={**dict.fromkeys(OWN_ENTRIES, ""), **entries},
        errors={**dict.fromkeys(("", *_FIELD_OF.values())), **(errors or {})},
        examined=examined,
        quota_warnings=list(submissions.quota_warnings(quotas, parameters)),
        parameters=parameters,
        targets=sorted(targets(), key=_rank),
        recommended=DEFAULT_TARGET,
        priorities=PRIORITIES,
        sessions=sessions,
        job_id=await run_in_threadpool(submissions.free_id, access, stored),
    )
    if is_fragment:
        response.headers["HX-Replace-Url"] = visit.link("/new", **beginning.members(entries))
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


def _open_sessions(access: Access, chosen: str) -> list[SessionView]:
    """Sessions that accept jobs, newest first, and the chosen one, which may have ended."""
    page = access.sessions.page(ItemQuery(item_types=[ItemType.SESSION]), top=MAX_SESSIONS)
    return [session for session in page.items if not session.status.is_final or session.id == chosen]


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
