"""How the bound of a job became better, in this process and on a server."""

from __future__ import annotations

import json

from qiosk import Workspace
from qiosk.client.solvers import Tabu
from qiosk.contract.jobs import BoundPoint
from servers import MemoryParts


def test_progress_and_updates_have_the_bounds_over_time(workspace: Workspace, memory: MemoryParts) -> None:
    order = {"chunks": 2, "bounds": [[0.0, -9.0], [0.25, -4.5]]}
    job = Tabu(workspace, timeout=5, seed=1).submit(json.dumps(order).encode(), compress=False)
    assert job.progress.bounds == ()
    memory.run("default")
    expected = (BoundPoint(0.0, -9.0), BoundPoint(0.25, -4.5))
    assert job.progress.bounds == expected
    assert [update.progress.bounds for update in workspace.watch(job)][-1] == expected
    (listed,) = workspace.list_jobs()
    assert listed.details.progress.bounds == expected
