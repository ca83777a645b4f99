"""Links to blobs: absolute URLs with a shared access signature (SAS).

How they work. The service identifies blobs by container and name; only the server makes URLs of them, each time for one
caller. The query of such a URL contains the workspace, the permissions and the expiry, and a signature of all of them
with the server's secret (``service.sas``). The URL is its own credential: any client that has it can use it until it
expires, so storage clients need no key. A caller that may only read gets links that only permit reading. If the blobs
are in a storage account or bucket that can sign URLs itself, links lead there, and the data do not pass through the
server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from qiosk.contract.jobs import ACCOUNT
from qiosk.service.blobs.locations import join_path
from qiosk.service.blobs.sas import Grant, sign
from qiosk.service.blobs.store import Storage

LIFETIME = timedelta(hours=24)
"""Shortest lifetime of a link. Every response contains new ones."""
READ = "r"
READ_ALL = "rl"
WRITE_ALL = "racwl"

_STEP_S = 3600  # links expire at full hours, so that all links made within an hour are equal and can be cached
_ROUTES = frozenset({"subscriptions", "v1.0", "docs", "metrics", "healthz", "readyz", "openapi.json", ACCOUNT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Makes links to the blobs of one workspace, for one caller.

    ``base`` is the server's URL for the caller, without a slash at the end. Without ``may_write``, links only permit
    reading.
    """

    storage: Storage
    secret: bytes
    workspace: str
    base: str
    may_write: bool
    now: Callable[[], datetime]

    def container(self, container: str) -> str:
        """Link to a container and all its blobs. Raises InvalidValue for invalid names."""
        return self._link(container, None, WRITE_ALL if self.may_write else READ_ALL)

    def blob(self, container: str, name: str) -> str:
        """Link to a blob, to read and write it. Raises InvalidValue for invalid names."""
        return self._link(container, name, "racw" if self.may_write else READ)

    def in_view(self, container: str, name: str | None) -> str:
        """Link in the view of a job: that of ``container``, or one to read a blob if a name is given."""
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
    """Whether URLs of blobs need an account segment before the container.

    Azure's clients require the segment for hosts of this machine, and so does a base URL with a path, or a container
    whose name is that of another route. Otherwise it is left out, since some clients take the first segment for the
    container.
    """
    parts = urlsplit(base)
    host = parts.hostname or ""
    return "localhost" in host or "127.0.0.1" in host or bool(parts.path) or container.lower() in _ROUTES


def end_of_links(now: datetime) -> datetime:
    """The time at which a link made now expires."""
    late = (now + LIFETIME).timestamp()
    return datetime.fromtimestamp(-(-late // _STEP_S) * _STEP_S, now.tzinfo)
