"""A server's URL, key and workspace, from arguments, a connection string or the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from qiosk.contract.workspaces import DEFAULT_KEY, workspace_key
from qiosk.errors import InvalidValue

URL_VARIABLE = "QIOSK_URL"
KEY_VARIABLE = "QIOSK_API_KEY"
_TRIPLE_VARIABLES = {
    "subscription_id": "QIOSK_SUBSCRIPTION_ID",
    "resource_group": "QIOSK_RESOURCE_GROUP",
    "name": "QIOSK_WORKSPACE",
}
_STRING_KEYS = {
    "subscriptionid": "subscription_id",
    "resourcegroupname": "resource_group",
    "workspacename": "name",
    "apikey": "api_key",
    "quantumendpoint": "url",
}
_KEY = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A workspace on a server. ``url`` does not end in a slash; a workspace without a name is the default one."""

    url: str
    api_key: str | None = None
    subscription_id: str | None = None
    resource_group: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise InvalidValue(f"server url: must be http(s)://HOST[:PORT][/PATH], found {self.url!r}")
        if parts.username is not None or parts.password is not None:
            raise InvalidValue("server url: must not hold a user or a password, give an api key instead")
        if self.api_key is not None and not _KEY.fullmatch(self.api_key):
            raise InvalidValue("api key: must be printable ASCII without blanks, and not empty")

    @property
    def workspace_path(self) -> str:
        """Path of the workspace on the server, beginning with a slash."""
        named = (self.subscription_id, self.resource_group, self.name)
        subscription, group, name = (quote(part or DEFAULT_KEY, safe="") for part in named)
        return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Quantum/workspaces/{name}"

    def __repr__(self) -> str:
        return f"<Connection {self.url}{self.workspace_path}>"  # without the key, which is secret


def connection_string_members(text: str) -> dict[str, str]:
    """Arguments of a connection, read from a string ``SubscriptionId=…;ResourceGroupName=…;…``.

    Members are ``SubscriptionId``, ``ResourceGroupName``, ``WorkspaceName``, ``ApiKey`` and ``QuantumEndpoint``, in any
    order and letter case; others are ignored. Raises InvalidValue.
    """
    members: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, value = part.partition("=")
        if not equals or not value.strip():
            raise InvalidValue(f"connection string: every part must be NAME=VALUE, found one that begins {name[:40]!r}")
        known = _STRING_KEYS.get(name.strip().lower())
        if known is not None:
            members[known] = value.strip()
    if "url" not in members:
        raise InvalidValue("connection string: QuantumEndpoint is missing")
    return members


def environment_names(environ: Mapping[str, str] = os.environ) -> dict[str, str | None]:
    """The three names of a workspace, as the environment gives them."""
    return {part: environ.get(variable) or None for part, variable in _TRIPLE_VARIABLES.items()}


def connection(
    url: str | None,
    api_key: str | None,
    subscription_id: str | None,
    resource_group: str | None,
    name: str | None,
    *,
    is_local: bool,
    environ: Mapping[str, str] = os.environ,
) -> Connection | None:
    """The server's workspace that the arguments and the environment name; None if they name no server.

    Missing values are taken from the environment: the URL (unless ``is_local``), the key if it belongs to the same URL,
    and the workspace if none of its parts is given. Raises InvalidValue.
    """
    if is_local and url is not None:
        raise InvalidValue(f"server url: give it, or a home or an api, not both, found {url!r}")
    known_url = environ.get(URL_VARIABLE, "").strip().rstrip("/") or None
    url = (url or "").strip().rstrip("/") or (None if is_local else known_url)
    if url is None:
        if api_key is not None:
            raise InvalidValue("api key: opens a server, but no url is given")
        return None
    named = {"subscription_id": subscription_id, "resource_group": resource_group, "name": name}
    if not any(named.values()):
        named = environment_names(environ)
    workspace_key(**named)  # raises unless all three or none are given
    if api_key is None and known_url in (None, url):  # a key for one server is never sent to another
        api_key = environ.get(KEY_VARIABLE) or None
    return Connection(url=url, api_key=api_key, **named)
