"""Links to blobs, as callers get them: absolute, and signed for a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from qiosk.contract.jobs import ACCOUNT
from qiosk.service.blobs import Storage
from qiosk.service.locations import join_path
from qiosk.service.sas import Grant, sign

LIFETIME = timedelta(hours=24)
"""How long a link opens its blob at least. Every answer has a fresh one."""
READ = "r"
READ_ALL = "rl"
WRITE_ALL = "racwl"

_STEP_S = 3600  # links end at full hours, so that those of one hour are alike and can be cached
_ROUTES = frozenset({"subscriptions", "v1.0", "docs", "metrics", "healthz", "readyz", "openapi.json", ACCOUNT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Makes the links of one caller into one workspace.

    ``base`` is the server's URL as the caller reaches it, without a slash at the end. Whoever may not write gets
    links that only read.
    """

    storage: Storage
    secret: bytes
    workspace: str
    base: str
    may_write: bool
    now: Callable[[], datetime]

    def container(self, container: str) -> str:
        """Link to a container and all its blobs. Raises InvalidValue for bad names."""
        return self._link(container, None, WRITE_ALL if self.may_write else READ_ALL)

    def blob(self, container: str, name: str) -> str:
        """Link to a blob that a client wants to read or write. Raises InvalidValue for bad names."""
        return self._link(container, name, "racw" if self.may_write else READ)

    def in_view(self, container: str, name: str | None) -> str:
        """Link that the view of a job contains: as ``container``; to read, if a blob is named."""
        return self.container(container) if name is None else self._link(container, name, READ)

    def _link(self, container: str, name: str | None, permissions: str) -> str:
        path = join_path(container, name)
        until = end_of_links(self.now())
        foreign = self.storage.signed_uri(self.workspace, container, name, permissions, until)
        if foreign is not None:
            return foreign
        grant = Grant(workspace=self.workspace, container=container, blob=name, permissions=permissions, until=until)
        account = f"{ACCOUNT}/" if needs_account(self.base, container) else ""
        return f"{self.base}/{account}{path}?{sign(self.secret, grant)}"


def needs_account(base: str, container: str) -> bool:
    """Whether clients find container and blob only behind an account segment, or other routes are in the way.

    Clients of Azure insist on the segment for hosts of this machine and split other URLs from their end. Some take the
    first segment for the container, so it is left out where it can be.
    """
    parts = urlsplit(base)
    host = parts.hostname or ""
    return "localhost" in host or "127.0.0.1" in host or bool(parts.path) or container.lower() in _ROUTES


def end_of_links(now: datetime) -> datetime:
    """When a link made now ends."""
    late = (now + LIFETIME).timestamp()
    return datetime.fromtimestamp(-(-late // _STEP_S) * _STEP_S, now.tzinfo)
