"""Points Microsoft's own ``azure-quantum`` package at a Qiosk server, any release from 0.24 to 3.

::

    from qiosk.azure_bootstrap import open_workspace

    workspace = open_workspace("http://127.0.0.1:8000", api_key="qk_…")  # an azure.quantum.Workspace

Needs ``azure-quantum`` and only the standard library otherwise. Releases differ in how they are told of another
endpoint, and those before 1.0 refuse to send a credential over plain HTTP; these functions know the difference. Where a
program cannot be changed at all, :func:`environment` says which variables lead it to a server with TLS.
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
"""Clients insist on a GUID; this one, with group and name ``default``, is a server's default workspace."""
_ANY_KEY = "none"  # clients insist on a credential, also for servers that do not
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
        url: of the server, ``http://`` or ``https://``.
        api_key: that opens the workspace there; none for servers that ask for none.
        subscription_id, resource_group, name: which workspace. The first has to be a GUID.
        location: has to be an Azure region for releases from 1.0 on; means nothing to the server.
        is_async: a workspace of ``azure.quantum.aio``, which releases before 1.0 have.
        options: further arguments of the package's ``Workspace``.

    Raises ImportError if the package is not installed, ValueError for what it does not accept.
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
    """The workspace that a connection string names; its endpoint may be any host, unlike in Microsoft's packages.

    ``options``: those of :func:`open_workspace`. Raises InvalidValue.
    """
    members = connection_string_members(connection_string)
    return open_workspace(members.pop("url"), members.pop("api_key", None), **{**members, **options})


def environment(url: str, api_key: str | None, token_file: Path) -> dict[str, str]:
    """Variables that lead unchanged programs to a server with TLS: set them before ``azure.quantum`` is imported.

    For releases before 1.0 without asyncio. Writes the key to ``token_file``, readable by its owner only. A private
    certificate authority needs ``REQUESTS_CA_BUNDLE`` besides. Raises ValueError for a URL without TLS.
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
        "AZURE_TENANT_ID": ANY_SUBSCRIPTION,  # any: else the client asks the Internet for it
    }


class _Token(NamedTuple):
    token: str
    expires_on: int


class _Key:
    """A credential that is the key."""

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
        """There is nothing to close."""


def _endpoint_argument(workspace: Any) -> str | None:
    """What this release calls the argument that names the endpoint; None if it has none."""
    since_3: str | None = getattr(workspace, "_QUANTUM_ENDPOINT_PARAM", None)
    if since_3 is not None:
        return since_3
    parameters = inspect.signature(workspace.__init__).parameters.values()
    takes_more = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    return "quantum_endpoint" if takes_more else None  # 1.x passes what it does not know to its connection


def _with_endpoint(workspace: Any, endpoint: str, api_key: str | None, is_async: bool) -> Any:
    """The class of a release before 1.0, with another endpoint and a policy that sends the key over plain HTTP too."""
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
