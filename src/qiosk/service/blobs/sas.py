"""Shared access signatures: query strings that allow their holder to use a container or a blob.

Theory of operation. A **grant** contains a workspace, a container, a blob (or all blobs of the container), what its
holder may do with them (letters of ``PERMISSIONS``), and an end. ``sign`` writes it as query parameters. Their names
are those of Azure, because its clients drop all others:

=======  ===========================================================================================
``sv``   version of the storage protocol, which clients require
``st``   not before, optional
``se``   not after
``sr``   ``c``: the container and all its blobs; ``b``: one blob
``sp``   permissions
``si``   the workspace's key, base64url (Azure keeps the name of a stored policy here)
``sig``  HMAC-SHA256 over all of these, the container and the blob
=======  ===========================================================================================

``verify`` reads the decoded parameters, in any order, and ignores others. Container and blob are not parameters: they
come from the path of the request, so a signature is valid for this place only. The signed text is a JSON list, because
two different lists never have the same text.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from qiosk.errors import Forbidden

PERMISSIONS = "racwdl"
"""All letters in the order in which they are written: read, add, create, write, delete, list."""

_VERSION = "2021-08-06"
_SIGNED = ("sv", "st", "se", "sr", "sp", "si")
_NAMES = frozenset((*_SIGNED, "sig"))
_TIMES = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d")
_MAX_LENGTH = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a signature allows. ``blob`` None: the container and all its blobs. Times are whole seconds in UTC."""

    workspace: str
    container: str
    blob: str | None
    permissions: str
    until: datetime
    since: datetime | None = None

    def allows(self, any_of: str) -> bool:
        """Whether one of the letters is among the permissions."""
        return any(letter in self.permissions for letter in any_of)


def sign(secret: bytes, grant: Grant) -> str:
    """The query string of a grant, without ``?``."""
    members, query = _unsigned(grant.workspace, grant.blob is None, grant.permissions, grant.since, grant.until)
    signature = _signature(secret, members, grant.container, grant.blob)
    return f"{query}&sig={signature.replace('+', '%2B').replace('/', '%2F').replace('=', '%3D')}"


@lru_cache(1024)
def _unsigned(
    workspace: str, is_container: bool, permissions: str, since: datetime | None, until: datetime
) -> tuple[Mapping[str, str], str]:
    """All members except the signature, and their query string: the same for all links of a page."""
    members = {
        "sv": _VERSION,
        "se": _format(until),
        "sr": "c" if is_container else "b",
        "sp": "".join(letter for letter in PERMISSIONS if letter in permissions),
        "si": base64.urlsafe_b64encode(workspace.encode()).decode().rstrip("="),
    }
    if since is not None:
        members["st"] = _format(since)
    return members, "&".join(f"{name}={quote(value, safe='')}" for name, value in members.items())


def verify(
    secret: bytes, query: Iterable[tuple[str, str]], *, container: str, blob: str | None, now: datetime
) -> Grant:
    """The grant in a request's decoded query parameters, for the container and blob of its path.

    Raises Forbidden unless it was signed here, for this place, and is valid now. Messages name what is wrong with the
    parameters, but never a right value.
    """
    members = _members(query)
    is_container = members["sr"] == "c"
    expected = _signature(secret, members, container, None if is_container else blob)
    if not hmac.compare_digest(expected.encode(), members["sig"].encode("utf-8", "replace")):
        raise Forbidden("signature: does not match this request")
    since, until = _time("st", members.get("st")), _time("se", members["se"])
    if until is None or now > until:
        raise Forbidden(f"signature: has expired at {members['se']}")
    if since is not None and now < since:
        raise Forbidden(f"signature: is not valid before {members['st']}")
    return Grant(
        workspace=_workspace(members["si"]),
        container=container,
        blob=None if is_container else blob,
        permissions=members["sp"],
        until=until,
        since=since,
    )


def _members(query: Iterable[tuple[str, str]]) -> dict[str, str]:
    members: dict[str, str] = {}
    for name, value in query:
        if name not in _NAMES:
            continue
        if name in members:
            raise Forbidden(f"signature: parameter {name!r} is given twice")
        if len(value) > _MAX_LENGTH:
            raise Forbidden(f"signature: parameter {name!r} has more than {_MAX_LENGTH} characters")
        members[name] = value
    missing = sorted(_NAMES - {"st"} - members.keys())
    if missing:
        raise Forbidden(f"signature: parameter {missing[0]!r} is missing")
    if members["sr"] not in ("b", "c"):
        raise Forbidden("signature: parameter 'sr' must be 'b' or 'c'")
    return members


def _signature(secret: bytes, members: Mapping[str, str], container: str, blob: str | None) -> str:
    signed = json.dumps([members.get(name) for name in _SIGNED] + [container, blob])
    return base64.b64encode(hmac.digest(secret, signed.encode(), "sha256")).decode()


def _workspace(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError) as error:
        raise Forbidden("signature: parameter 'si' is not base64url") from error


def _format(time: datetime) -> str:
    return time.astimezone(UTC).strftime(_TIMES[0])


def _time(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    for form in _TIMES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise Forbidden(f"signature: parameter {name!r} is not a time")
