"""Connects Microsoft's own ``azure-quantum`` package, releases 0.24 to 3, to a Qiosk server.

::

    from qiosk.azure_bootstrap import open_workspace

    workspace = open_workspace("http://127.0.0.1:8000", api_key="qk_…")  # an azure.quantum.Workspace

Needs only ``azure-quantum`` and the standard library. Releases differ in how another endpoint is given to them, and
those before 1.0 do not send credentials over plain HTTP; these functions handle the differences. For programs that
cannot be changed, :func:`environment` returns variables that direct them to a server with TLS.
"""

from __future__ import annotations

import inspect
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from qiosk.client.remote.connection import connection_string_members
from qiosk.contract.workspaces import NO_SUBSCRIPTION

ANY_SUBSCRIPTION = NO_SUBSCRIPTION
"""Clients require a GUID. This one, with group and name ``default``, means a server's default workspace."""
_ANY_KEY = "none"  # clients require a credential, even if the server does not
_TEN_YEARS_S = 10 * 365 * 24 * 3600


def open_workspace(
    url: str,
    api_key: str | None = None,
    *,
    subscription_id: str = ANY_SUBSCRIPTION,
    resource_group: str = "default",
    name: str = "default",
    location: str = "eastus",
    is_async: bool = False,
    **options: Any,
) -> Any:
    """A workspace of Microsoft's package on a server.

    Args:
        url: URL of the server, ``http://`` or ``https://``.
        api_key: key for the workspace; None if the server requires no key.
        subscription_id, resource_group, name: names of the workspace. The first has to be a GUID.
        location: has to be an Azure region for releases from 1.0 on; the server ignores it.
        is_async: make a workspace of ``azure.quantum.aio``, which releases before 1.0 have.
        options: further arguments of the package's ``Workspace``.

    Raises ImportError if the package is not installed, ValueError for arguments that it does not accept.
    """
    if is_async:
        from azure.quantum.aio import Workspace
    else:
        from azure.quantum import Workspace
    endpoint = url.rstrip("/") + "/"
    where = {"subscription_id": subscription_id, "resource_group": resource_group, "name": name, "location": location}
    arguments = {**where, **options}
    endpoint_argument = _endpoint_argument(Workspace)
    if endpoint_argument is None:
        arguments.setdefault("credential", _AsyncKey(api_key) if is_async else _Key(api_key))
        return _with_endpoint(Workspace, endpoint, api_key, is_async)(**arguments)
    from azure.core.credentials import AzureKeyCredential

    arguments.setdefault("credential", AzureKeyCredential(api_key or _ANY_KEY))
    return Workspace(**arguments, **{endpoint_argument: endpoint})


def from_connection_string(connection_string: str, **options: Any) -> Any:
    """The workspace that a connection string names. Unlike in Microsoft's package, its endpoint may be on any host.

    ``options``: those of :func:`open_workspace`. Raises InvalidValue.
    """
    members = connection_string_members(connection_string)
    return open_workspace(members.pop("url"), members.pop("api_key", None), **{**members, **options})


def environment(url: str, api_key: str | None, token_file: Path) -> dict[str, str]:
    """Environment variables that direct unchanged programs to a server with TLS.

    Set them before ``azure.quantum`` is imported, in releases before 1.0 without asyncio. Writes the key to
    ``token_file``, readable only by its owner. A private certificate authority also needs ``REQUESTS_CA_BUNDLE``.
    Raises ValueError for a URL without TLS.
    """
    if not url.startswith("https://"):
        raise ValueError(f"url: these clients send their credential over https only, found {url!r}")
    token_file.touch(mode=0o600)
    token_file.chmod(0o600)
    expiry_ms = int(1000 * (time.time() + _TEN_YEARS_S))
    token_file.write_text(json.dumps({"access_token": api_key or _ANY_KEY, "expires_on": expiry_ms}))
    return {
        "AZURE_QUANTUM_BASEURL": url.rstrip("/") + "/",
        "AZURE_QUANTUM_TOKEN_FILE": str(token_file),
        "AZURE_TENANT_ID": ANY_SUBSCRIPTION,  # any value; without one the client looks it up on the Internet
    }


class _Token(NamedTuple):
    token: str
    expires_on: int


class _Key:
    """A credential that contains the key."""

    def __init__(self, api_key: str | None) -> None:
        self._token = _Token(api_key or _ANY_KEY, int(time.time()) + _TEN_YEARS_S)

    def get_token(self, *_scopes: str, **_options: Any) -> _Token:
        return self._token


class _AsyncKey:
    """The same for asyncio."""

    def __init__(self, api_key: str | None) -> None:
        self._key = _Key(api_key)

    async def get_token(self, *_scopes: str, **_options: Any) -> _Token:
        return self._key.get_token()

    async def close(self) -> None:
        """Close nothing; clients call it."""


def _endpoint_argument(workspace: Any) -> str | None:
    """The name of this release's argument for the endpoint; None if it has none."""
    since_3: str | None = getattr(workspace, "_QUANTUM_ENDPOINT_PARAM", None)
    if since_3 is not None:
        return since_3
    parameters = inspect.signature(workspace.__init__).parameters.values()
    takes_more = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    return "quantum_endpoint" if takes_more else None  # 1.x passes unknown arguments to its connection


def _with_endpoint(workspace: Any, endpoint: str, api_key: str | None, is_async: bool) -> Any:
    """The class of a release before 1.0, whose policy sends the key over plain HTTP, too."""
    from azure.core.pipeline.policies import HeadersPolicy

    if is_async:
        from azure.quantum._client.aio import QuantumClient
    else:
        from azure.quantum._client import QuantumClient
    policy = HeadersPolicy({"Authorization": f"Bearer {api_key or _ANY_KEY}"})
    place = "base_url" if "base_url" in inspect.signature(QuantumClient.__init__).parameters else "endpoint"

    class SelfHosted(workspace):  # type: ignore[misc]
        def _create_client(self) -> Any:
            return QuantumClient(
                credential=self.credentials,
                subscription_id=self.subscription_id,
                resource_group_name=self.resource_group,
                workspace_name=self.name,
                user_agent=self.user_agent,
                authentication_policy=policy,
                **{place: endpoint},
            )

    return SelfHosted
