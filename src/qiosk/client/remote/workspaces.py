"""The workspaces of a server."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

from qiosk.client.remote.calls import Calls, listed
from qiosk.client.remote.connection import Connection
from qiosk.client.remote.transport import Transport
from qiosk.contract import codec
from qiosk.contract.jobs import WorkspaceView


def job_counts(connection: Connection) -> Mapping[str, int]:
    """How many jobs each workspace of a server has that the connection's key may read."""
    with closing(Transport(connection.url, api_key=connection.api_key)) as transport:
        members = Calls(transport, "").members("GET", "/workspaces")
    views = [codec.convert(WorkspaceView, view) for view in listed(members, "value")]
    return {view.workspace: view.jobs for view in views}
