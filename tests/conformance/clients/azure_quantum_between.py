"""azure-quantum 0.28 and 1.x, unmodified: no optimization SDK any more, and not yet filters on the server."""

from __future__ import annotations

import json

import pytest
from azure.core.exceptions import ClientAuthenticationError, ResourceNotFoundError
from azure.quantum import Job
from azure.quantum.job.session import Session

from patience import HANG_S
from qiosk.azure_bootstrap import open_workspace

TABU = "microsoft.tabu.cpu"
SHIP = {"type": "ising", "version": "1.0", "terms": [{"c": -9, "ids": [0]}, {"c": -3, "ids": [1, 0]}]}


def submit(workspace, name: str = "ship", params=None, **members) -> Job:
    return Job.from_input_data(
        workspace,
        name,
        TABU,
        json.dumps({"cost_function": SHIP}).encode(),
        provider_id="Microsoft",
        input_data_format="microsoft.qio.v2",
        output_data_format="microsoft.qio-results.v2",
        input_params={"params": params or {"sweeps": 3, "seed": 1}},
        **members,
    )


def test_jobs_are_run_listed_and_cancelled(fresh) -> None:
    job = submit(fresh)
    assert job.get_results(timeout_secs=HANG_S)["cost"] == -12.0
    endless = submit(fresh, "endless", {"sweeps": 10**9, "restarts": 1000})
    fresh.cancel_job(endless)
    endless.wait_until_completed(timeout_secs=HANG_S, print_progress=False)
    assert fresh.get_job(endless.id).details.status == "Cancelled"
    assert {found.id for found in fresh.list_jobs()} == {job.id, endless.id}
    assert [found.id for found in fresh.list_jobs(name_match="^ship$")] == [job.id]


def test_sessions_hold_jobs(fresh) -> None:
    session = Session(fresh, name="mine", target=TABU, provider_id="Microsoft").open()
    job = submit(fresh, session_id=session.id)
    assert job.get_results(timeout_secs=HANG_S)["cost"] == -12.0
    assert [found.id for found in session.list_jobs()] == [job.id]
    assert session.close().details.status == "Succeeded"
    assert [(item.item_type, item.id) for item in fresh.list_top_level_items()] == [("Session", session.id)]


def test_quotas_and_errors_are_understood(workspace, server) -> None:
    assert {quota["dimension"] for quota in workspace.get_quotas()} >= {"combined_job_hours", "concurrent_cpu_jobs"}
    with pytest.raises(ResourceNotFoundError, match="JobNotFound"):
        workspace.get_job("00000000-0000-0000-0000-00000000ffff")
    with pytest.raises(ClientAuthenticationError, match="Unauthorized"):
        open_workspace(server[0], "wrong-key").list_jobs()
