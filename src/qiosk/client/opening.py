"""Decides what a workspace connects to: a folder of this machine, a server, or a given implementation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from qiosk.client.remote.connection import Connection, connection, environment_names
from qiosk.contract.api import JobsApi
from qiosk.contract.workspaces import workspace_key
from qiosk.errors import InvalidValue

_RESOURCE_ID = re.compile(
    r"/subscriptions/([^/\s]*)/resourceGroups/([^/\s]*)/providers/Microsoft\.Quantum/Workspaces/([^/\s]*)",
    re.IGNORECASE,
)
_HOST = re.compile(r"[\w.-]+:[0-9]+/?|localhost/?")


class Names(NamedTuple):
    """The three names of a workspace; all are None for the default one."""

    subscription_id: str | None
    resource_group: str | None
    name: str | None

    @property
    def key(self) -> str:
        """What the service calls the workspace. Raises ValueError, InvalidValue."""
        return workspace_key(self.subscription_id, self.resource_group, self.name)


class Opened(NamedTuple):
    """An open workspace: its jobs, its names, and the URL of its server, if it is on one."""

    api: JobsApi
    names: Names
    url: str | None


def split_first(first: str | None, subscription_id: str | None, url: str | None) -> tuple[str | None, str | None]:
    """The subscription and the URL, if the first argument of a workspace may be either. Raises InvalidValue."""
    if first is None:
        first, subscription_id = subscription_id, None
    if first is not None and "://" in first:
        return subscription_id, first
    if first is not None and subscription_id is not None:
        raise InvalidValue(f"subscription_id: must be given once, found {first!r} and {subscription_id!r}")
    return first, url


def read_names(
    subscription_id: str | None, resource_group: str | None, name: str | None, resource_id: str | None
) -> Names:
    """The names of a workspace, from a resource id if there is one. Raises ValueError, InvalidValue."""
    if resource_id:
        match = _RESOURCE_ID.fullmatch(resource_id)
        if match is None:
            raise ValueError(
                "resource_id must be /subscriptions/…/resourceGroups/…/providers/Microsoft.Quantum/Workspaces/…, "
                f"found {resource_id!r}"
            )
        return Names(*match.groups())
    if subscription_id is not None and resource_group is None and name is None and _HOST.fullmatch(subscription_id):
        raise InvalidValue(f"server url: must begin with http:// or https://, found {subscription_id!r}")
    return Names(subscription_id, resource_group, name)


def connect(
    names: Names,
    *,
    url: str | None,
    api_key: str | None,
    home: str | Path | None,
    api: JobsApi | None,
    user_agent: str | None,
) -> Opened:
    """Open a workspace: on a server if the arguments or the environment name one, with ``api`` if that is given, and
    otherwise in the folder ``home``.

    Raises ValueError, InvalidValue.
    """
    server = connection(url, api_key, *names, is_local=api is not None or home is not None)
    if server is not None:
        named = Names(server.subscription_id, server.resource_group, server.name)
        return Opened(_open_remote(server, user_agent), named, server.url)
    if api is not None:
        names.key  # noqa: B018 - raises if the names are wrong
        return Opened(api, names, None)
    if not any(names):
        names = Names(**environment_names())
    return Opened(_open_embedded(home, names.key), names, None)


def _open_embedded(home: str | Path | None, key: str) -> JobsApi:
    # imported here, so that a client of a server never loads a database
    from qiosk.bootstrap import open_embedded

    return open_embedded(None if home is None else Path(home).expanduser(), workspace=key)


def _open_remote(server: Connection, user_agent: str | None) -> JobsApi:
    # imported here, so that an embedded workspace never loads an HTTP library
    from qiosk.client.remote.jobs import HttpJobs
    from qiosk.console.progress_bar import TransferBar

    return HttpJobs(server, user_agent=user_agent, on_transfer=TransferBar())
