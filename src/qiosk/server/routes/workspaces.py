"""The route of the workspaces that a caller may read."""

from __future__ import annotations

from typing import Annotated

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from qiosk.bootstrap import ServerParts
from qiosk.contract.jobs import WorkspaceView
from qiosk.server.auth.access import authenticated
from qiosk.server.auth.auth import Caller
from qiosk.server.web.openapi import pages
from qiosk.server.web.replies import list_reply
from qiosk.server.web.routing import Routes

router = Routes("Workspaces")


@router.get("/workspaces", operation_id="listWorkspaces", **pages(WorkspaceView))
async def list_workspaces(request: Request, caller: Annotated[Caller, authenticated]) -> Response:
    """The workspaces that the caller may read, sorted, and how many jobs they have.

    Those that its credential names are listed without jobs, too; one that is valid for all lists those with jobs.
    """
    parts: ServerParts = request.app.state.parts
    named = caller.named_workspaces
    counts = await run_in_threadpool(parts.statistics.by_workspace, named)
    listed = {**dict.fromkeys(named or (), 0), **counts}
    return list_reply([WorkspaceView(workspace=key, jobs=listed[key]) for key in sorted(listed)])
