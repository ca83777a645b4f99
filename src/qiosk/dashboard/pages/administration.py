"""For administrators: workspaces and their limits, and keys, which are made here and shown once.

A caller without a key is no administrator here, not even on a server that has no keys yet: a key that is made in a
browser would outlive the time in which the server was open to all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Final

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qiosk.bootstrap import ServerParts
from qiosk.contract.quotas import Dimension
from qiosk.contract.workspaces import parse_workspace
from qiosk.dashboard.forms import text_of
from qiosk.dashboard.pages.quotas import NAMES, in_units
from qiosk.dashboard.visits import Change, Endpoint, Visit, changed, visited
from qiosk.errors import Forbidden, InvalidValue
from qiosk.service.accounts.keys import ApiKey
from qiosk.service.accounts.quotas import parse_limit
from qiosk.settings import parse_duration

SCOPES: Final[Mapping[str, str]] = {
    "write": "Read and change one workspace",
    "read": "Read one workspace",
    "admin": "Everything, in all workspaces",
    "admin-read": "Read all workspaces",
}
"""What a new key may do."""

log = structlog.get_logger("qiosk.dashboard")


def _by_administrators(change: Change) -> Endpoint:
    """The endpoint of a form that only administrators may send."""

    @wraps(change)
    async def checked(visit: Visit, form: FormData) -> Response:
        _require_administrator(visit)
        return await change(visit, form)

    return changed(checked)


@visited
async def show_administration(visit: Visit) -> Response:
    """Workspaces, limits and keys."""
    _require_administrator(visit)
    return await _page(visit)


async def create_key(visit: Visit, form: FormData) -> Response:
    """Make a key, and show it this once."""
    scope = text_of(form, "scope")
    try:
        if scope not in SCOPES:
            raise InvalidValue(f"scope: must be one of {', '.join(SCOPES)}, found {scope[:100]!r}")
        expires = text_of(form, "expires")
        key, text = await run_in_threadpool(
            lambda: _parts(visit).keys.create(
                text_of(form, "name"),
                workspace=None if scope.startswith("admin") else parse_workspace(text_of(form, "workspace")),
                is_read_only=scope.endswith("read"),
                expires_at=visit.now + parse_duration("expiry", expires) if expires else None,
            )
        )
    except InvalidValue as error:
        return await _page(visit, status=400, key_error=error.message, given=_texts(form))
    log.info("key created", key=key.id, by=visit.caller.label)
    return await _page(visit, new_key=(key, text))


async def revoke_key(visit: Visit, _form: FormData) -> Response:
    """Revoke a key."""
    key_id = visit.request.path_params["key_id"]
    await run_in_threadpool(_parts(visit).keys.revoke, key_id)
    log.info("key revoked", key=key_id, by=visit.caller.label)
    return visit.go(visit.root_link("/ui/admin"))


async def set_limit(visit: Visit, form: FormData) -> Response:
    """Set a limit of a workspace, or return to the default."""
    try:
        key, dimension = parse_workspace(text_of(form, "workspace")), _dimension(text_of(form, "dimension"))
        value = text_of(form, "limit")
        limits = _parts(visit).limits
        if value == "default":
            await run_in_threadpool(limits.unset, key, dimension)
        else:
            await run_in_threadpool(limits.set, key, dimension, parse_limit(dimension, value))
    except InvalidValue as error:
        return await _page(visit, status=400, limit_error=error.message, given=_texts(form))
    log.info("limit set", workspace=key, dimension=dimension, limit=value, by=visit.caller.label)
    return visit.go(visit.root_link("/ui/admin"))


async def _page(
    visit: Visit,
    *,
    status: int = 200,
    new_key: tuple[ApiKey, str] | None = None,
    key_error: str | None = None,
    limit_error: str | None = None,
    given: Mapping[str, str] | None = None,
) -> Response:
    parts = _parts(visit)
    keys, counts, limits = await run_in_threadpool(
        lambda: (parts.keys.list(), parts.statistics.by_workspace(), parts.limits.all())
    )
    workspaces = sorted({*counts, *limits, *(key.workspace for key in keys if key.workspace is not None)})
    return visit.page(
        "administration.html",
        status=status,
        keys=keys[::-1],
        state_of=lambda key: key_state(key, visit.now),
        workspaces=[(key, counts.get(key, 0), _in_words(limits.get(key, {}))) for key in workspaces],
        scopes=SCOPES,
        dimensions=NAMES,
        new_key=new_key,
        key_error=key_error,
        limit_error=limit_error,
        given=given or {},
    )


def key_state(key: ApiKey, now: datetime) -> str:
    """Whether a key is valid, in one word."""
    if key.revoked_at is not None:
        return "revoked"
    return "valid" if key.is_valid(now) else "expired"


def _in_words(limits: Mapping[Dimension, float | None]) -> Sequence[str]:
    return [
        f"{NAMES[dimension]}: {'unlimited' if limit is None else in_units(dimension, limit)}"
        for dimension, limit in sorted(limits.items())
    ]


def _texts(form: FormData) -> Mapping[str, str]:
    return {name: text_of(form, name) for name in form}


def _dimension(text: str) -> Dimension:
    if text not in set(Dimension):
        raise InvalidValue(f"quota: must be one of {', '.join(Dimension)}, found {text[:100]!r}")
    return Dimension(text)


def _parts(visit: Visit) -> ServerParts:
    parts: ServerParts = visit.request.app.state.parts
    return parts


def _require_administrator(visit: Visit) -> None:
    if visit.is_administrator:
        return
    if not visit.is_signed_in:
        raise Forbidden("sign in with an administrator's key; 'qiosk keys create NAME --admin' makes one")
    raise Forbidden("this credential is not an administrator's")


routes: Final[list[BaseRoute]] = [
    Route("/admin", show_administration),
    Route("/admin/keys", _by_administrators(create_key), methods=["POST"]),
    Route("/admin/keys/{key_id}/revoke", _by_administrators(revoke_key), methods=["POST"]),
    Route("/admin/limits", _by_administrators(set_limit), methods=["POST"]),
]
