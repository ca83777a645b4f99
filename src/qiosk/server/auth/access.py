"""Authenticates callers and gives them access to a workspace."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from qiosk.bootstrap import ServerParts
from qiosk.contract.api import SessionsApi
from qiosk.contract.workspaces import workspace_key
from qiosk.errors import Forbidden, InvalidJobDefinition, InvalidValue
from qiosk.server.auth.auth import Caller, Gate, TokenHolder
from qiosk.server.auth.links import Links
from qiosk.server.settings import ServerSettings
from qiosk.service.accounts.keys import ANYBODY, digest
from qiosk.service.jobs.job_service import JobService

_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """A caller's access to one workspace. ``base`` is the server's URL for this caller, without a slash at the end."""

    workspace: str
    parts: ServerParts
    settings: ServerSettings
    base: str
    may_write: bool = True
    caller: str = "anybody"
    """Identifies the caller among others: of each key it is another one."""
    label: str = ANYBODY.label
    """What jobs that the caller submits show of it."""

    @property
    def jobs(self) -> JobService:
        """The workspace's jobs, whose views contain signed links for this caller."""
        return self.unsigned_jobs.with_uris(self.links.in_view).submitted_by(self.label)

    @property
    def unsigned_jobs(self) -> JobService:
        """The workspace's jobs, whose views contain unsigned URIs, which are made faster."""
        return self.parts.jobs(self.workspace)

    @property
    def sessions(self) -> SessionsApi:
        """The workspace's sessions."""
        return self.jobs.sessions

    @property
    def links(self) -> Links:
        """Makes signed URLs of the workspace's blobs for this caller."""
        return Links(
            storage=self.parts.storage,
            secret=self.parts.secret,
            workspace=self.workspace,
            base=self.base,
            may_write=self.may_write,
            now=self.parts.now,
        )


def base_url(request: Request, settings: ServerSettings) -> str:
    """The server's URL for this caller: scheme, host and port, perhaps a path, without a slash at the end.

    Raises InvalidJobDefinition if the Host header is not a host.
    """
    if settings.public_url is not None:
        return settings.public_url
    host = request.headers.get("host", "")
    if not host:
        name, port = request.scope.get("server") or ("localhost", None)
        host = f"{name}:{port}" if port else str(name)
    if not _HOST.fullmatch(host):
        raise InvalidJobDefinition(f"Host header: must be a host and perhaps a port, found {host[:100]!r}")
    return f"{request.scope['scheme']}://{host}"


def credential(request: Request) -> str | None:
    """The key or token in a request; None if there is none."""
    key = request.headers.get("x-ms-quantum-api-key")
    if key:
        return key.strip()
    match = _BEARER.fullmatch(request.headers.get("authorization", ""))
    return match[1] if match else None


def identity(request: Request, caller: Caller) -> str:
    """A text that differs between callers, also between keys of one name."""
    return caller.name if caller is ANYBODY or isinstance(caller, TokenHolder) else digest(credential(request) or "")


async def authenticated(request: Request) -> Caller:
    """The caller that sent the request. Raises Unauthorized."""
    gate: Gate = request.app.state.gate
    sent = credential(request)
    caller = gate.recall(sent)
    if caller is None:
        caller = await run_in_threadpool(gate.authenticate, sent)
    request.state.caller = caller.name
    return caller


async def reading(request: Request) -> Access:
    """Access to a workspace for a caller that may read it. Raises Unauthorized, Forbidden, InvalidJobDefinition."""
    settings: ServerSettings = request.app.state.settings
    parts: ServerParts = request.app.state.parts
    caller = await authenticated(request)
    key = _workspace(request)
    caller.require(key, write=False)
    request.state.workspace = key
    return Access(
        key,
        parts,
        settings,
        base_url(request, settings),
        may_write=caller.may(key, write=True),
        caller=identity(request, caller),
        label=caller.label,
    )


def _workspace(request: Request) -> str:
    place = request.path_params
    try:
        return workspace_key(place["subscription"], place["group"], place["workspace"])
    except InvalidValue as error:
        raise InvalidJobDefinition(error.message) from error


async def writing(request: Request) -> Access:
    """Access to a workspace for a caller that may change it. Raises Unauthorized, Forbidden."""
    access = await reading(request)
    if not access.may_write:
        raise Forbidden("this credential is for reading only")
    return access


Reading = Annotated[Access, reading]
Writing = Annotated[Access, writing]
