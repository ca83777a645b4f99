"""The newest azure-quantum 3, unmodified: jobs by their bytes, sessions, filters on the server, attachments."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.quantum import Job, Workspace
from azure.quantum.job.session import Session, SessionJobFailurePolicy
from azure.quantum.target import Target

from patience import HANG_S, eventually
from qiosk.azure_bootstrap import ANY_SUBSCRIPTION, from_connection_string, open_workspace

TABU = "microsoft.tabu.cpu"
ANNEALING = "microsoft.simulatedannealing.cpu"
FORMATS = {"input_data_format": "microsoft.qio.v2", "output_data_format": "microsoft.qio-results.v2"}


def document(terms, name: str = "ship") -> bytes:
    listed = [{"c": c, "ids": ids} for c, ids in terms]
    function = {"version": "1.0", "type": "ising", "terms": listed}
    return json.dumps({"metadata": {"name": name}, "cost_function": function}).encode()


SHIP = document([(-9, [0]), (-3, [1, 0]), (5, [2, 0])])
RING = document([(c, [i, (i + s) % 400]) for i in range(400) for s, c in ((1, 1), (2, 1), (7, -1), (31, 1))], "ring")
BROKEN = document([("x", [0])])


def submit(workspace, data: bytes = SHIP, *, name: str = "ship", target: str = TABU, params=None, **members) -> Job:
    members = {"provider_id": "Microsoft", **FORMATS, **members}
    params = {"params": {"sweeps": 3, "seed": 1, **(params or {})}}
    return Job.from_input_data(workspace, name, target, data, input_params=params, **members)


def endless(workspace, **members) -> Job:
    return submit(workspace, RING, name="endless", target=ANNEALING, params={"sweeps": 10**8, "restarts": 8}, **members)


def test_a_job_is_run_and_read(workspace) -> None:
    job = submit(workspace, tags=["a", "b"], priority="High")
    assert not job.has_completed()
    results = job.get_results(timeout_secs=HANG_S)
    assert (results["cost"], results["configuration"]) == (-17.0, {"0": 1, "1": 1, "2": -1})
    details = workspace.get_job(job.id).details
    assert (details.status, details.tags, details.priority) == ("Succeeded", ["a", "b"], "High")
    assert (details.item_type, details.job_type) == ("Job", "Optimization")
    assert details.begin_execution_time <= details.end_execution_time
    assert details.input_params == {"params": {"sweeps": 3, "seed": 1}}
    assert json.loads(job.download_data(details.input_data_uri)) == json.loads(SHIP)


def test_a_gzipped_problem_is_solved(workspace) -> None:
    import gzip

    job = submit(workspace, gzip.compress(SHIP), encoding="gzip")
    assert job.get_results(timeout_secs=HANG_S)["cost"] == -17.0


def test_targets_submit_too(workspace) -> None:
    target = workspace.get_targets(TABU, provider_id="Microsoft")
    assert isinstance(target, Target)
    assert (target.name, target.current_availability) == (TABU, "Available")
    job = target.submit(SHIP, "by target", input_params={"params": {"sweeps": 3}}, **FORMATS)
    assert job.get_results(timeout_secs=HANG_S)["cost"] == -17.0
    v2 = Workspace(
        subscription_id=ANY_SUBSCRIPTION,
        resource_group="conformance",
        name="targets",
        location="eastus",
        credential=workspace.credential,
        _quantum_endpoint=workspace._connection_params.quantum_endpoint,
        _workspace_kind="V2",
    )
    assert {TABU, "1qbit.pticm", "toshiba.sbm.ising"} <= {found.name for found in v2.get_targets()}


def test_quotas_are_listed(workspace) -> None:
    dimensions = {quota["dimension"]: quota for quota in workspace.get_quotas()}
    assert dimensions.keys() >= {"combined_job_hours", "concurrent_cpu_jobs"}
    assert dimensions["combined_job_hours"]["limit"] > 0


def test_filters_orders_and_pages_are_the_servers(fresh) -> None:
    names = [f"job {i:02}" for i in range(7)]
    jobs = [submit(fresh, name=name) for name in names]
    quoted = submit(fresh, name="it's 'quoted'", target=ANNEALING, params={"restarts": 2})
    for job in (*jobs, quoted):
        job.wait_until_completed(timeout_secs=HANG_S, print_progress=False)
    assert [job.details.name for job in fresh.list_jobs(name_match="job 0")] == names[::-1]
    assert [job.id for job in fresh.list_jobs(name_match="it's")] == [quoted.id]
    assert [job.id for job in fresh.list_jobs(target=[ANNEALING])] == [quoted.id]
    assert len(fresh.list_jobs(provider=["Microsoft"], status=["Succeeded"], job_type=["Optimization"])) == 8
    assert fresh.list_jobs(status=["Failed", "Cancelled"]) == []
    now, day = datetime.now(UTC), timedelta(days=1)
    assert len(fresh.list_jobs(created_after=now - day, created_before=now + day)) == 8
    assert fresh.list_jobs(created_before=now - 3 * day) == []
    by_name = fresh.list_jobs(name_match="job", orderby_property="Name", is_asc=True)
    assert [job.details.name for job in by_name] == names
    paged = fresh.list_jobs_paginated(name_match="job", orderby_property="Name", is_asc=True, top=2, skip=1)
    pages = [[details.name for details in page] for page in paged.by_page()]
    assert pages == [names[1:3], names[3:5], names[5:7]]
    with pytest.raises(HttpResponseError, match="InvalidFilter"):
        fresh.list_jobs(status=["Nonsense"])


def test_jobs_are_cancelled_renamed_and_deleted(workspace) -> None:
    job = endless(workspace)
    assert eventually(lambda: workspace.get_job(job.id).details.status == "Executing")
    job.update(name="renamed", tags=["x"], priority="High")
    assert (job.details.name, job.details.tags, job.details.priority) == ("renamed", ["x"], "High")
    workspace.cancel_job(job)
    job.wait_until_completed(timeout_secs=HANG_S, print_progress=False)
    assert job.details.status == "Cancelled"
    with pytest.raises(RuntimeError, match="CANCELLED"):
        job.get_results()
    other = endless(workspace)
    other.delete()
    assert eventually(lambda: workspace.get_job(other.id).details.status == "Cancelled")


def test_attachments_are_kept_beside_the_job(workspace) -> None:
    job = submit(workspace)
    job.get_results(timeout_secs=HANG_S)
    # On a loopback address this client takes the first segment of a container's path for its name, for all jobs.
    notes, data = f"notes ü {uuid4()}.txt", f"{uuid4()}/data.bin"
    job.upload_attachment(notes, b"first")
    with pytest.raises(ResourceExistsError):  # unlike its documentation, it asks not to overwrite
        job.upload_attachment(notes, b"second")
    job.upload_attachment(data, bytes(range(256)))
    assert job.download_attachment(notes) == b"first"
    assert {blob.name for blob in job.list_attachments()} >= {notes, data}
    assert workspace.get_job(job.id).download_attachment(data) == bytes(range(256))


def test_a_session_ends_with_its_jobs(fresh) -> None:
    target = Target(fresh, TABU, provider_id="Microsoft", **FORMATS)
    with Session(fresh, target=target, name="mine", provider_id="Microsoft").open() as session:
        assert session.details.status == "Waiting"
        assert session.details.job_failure_policy == "Abort"
        jobs = [submit(fresh, session_id=session.id) for _ in range(3)]
        session.refresh()
        assert session.details.status == "Executing"
        for job in jobs:
            assert job.get_results(timeout_secs=HANG_S)["cost"] == -17.0
    assert session.details.status == "Succeeded"
    assert {job.id for job in session.list_jobs()} == {job.id for job in jobs}
    with pytest.raises(ResourceExistsError, match="SessionClosed"):
        submit(fresh, session_id=session.id)
    alone = submit(fresh)
    items = fresh.list_top_level_items()
    assert {(item.item_type, item.id) for item in items} == {("Session", session.id), ("Job", alone.id)}
    assert [item.id for item in fresh.list_top_level_items(item_type=["Session"])] == [session.id]
    assert [found.id for found in fresh.list_sessions(status=["Succeeded"])] == [session.id]


def test_a_failed_job_aborts_its_session_or_lets_it_go_on(fresh) -> None:
    session = Session(fresh, target=TABU, provider_id="Microsoft").open()
    waiting = endless(fresh, session_id=session.id)
    failed = submit(fresh, BROKEN, session_id=session.id)
    failed.wait_until_completed(timeout_secs=HANG_S, print_progress=False)
    waiting.wait_until_completed(timeout_secs=HANG_S, print_progress=False)
    assert (failed.details.status, waiting.details.status) == ("Failed", "Cancelled")
    session.refresh()
    assert session.details.status == "Failed"
    tolerant = Session(
        fresh, target=TABU, provider_id="Microsoft", job_failure_policy=SessionJobFailurePolicy.CONTINUE
    ).open()
    submit(fresh, BROKEN, session_id=tolerant.id).wait_until_completed(timeout_secs=HANG_S, print_progress=False)
    assert eventually(lambda: tolerant.refresh().details.status == "Failure(s)")
    assert submit(fresh, session_id=tolerant.id).get_results(timeout_secs=HANG_S)["cost"] == -17.0
    assert tolerant.close().details.status == "Failed"


def test_mistakes_are_told(workspace, server) -> None:
    job = submit(workspace, BROKEN)
    with pytest.raises(RuntimeError, match="AZQ103"):
        job.get_results(timeout_secs=HANG_S)
    with pytest.raises(ResourceNotFoundError, match="JobNotFound"):
        workspace.get_job(str(uuid4()))
    with pytest.raises(HttpResponseError, match="InvalidTarget"):
        submit(workspace, target="microsoft.unknown.cpu")
    with pytest.raises(ClientAuthenticationError, match="Unauthorized"):
        open_workspace(server[0], "wrong-key").list_jobs()
    with pytest.raises(ResourceNotFoundError, match="SessionNotFound"):
        submit(workspace, session_id=str(uuid4()))


def test_a_workspace_needs_no_help_of_ours(server) -> None:
    url, key = server
    plain = Workspace(
        subscription_id=str(uuid4()),
        resource_group="conformance",
        name="plain",
        location="eastus",
        credential=AzureKeyCredential(key),
        _quantum_endpoint=f"{url}/",
    )
    assert plain.list_jobs() == []
    assert submit(plain).get_results(timeout_secs=HANG_S)["cost"] == -17.0


def test_a_connection_string_leads_to_the_server(server) -> None:
    url, key = server
    text = f"SubscriptionId={uuid4()};ResourceGroupName=g;WorkspaceName=w-1;ApiKey={key};QuantumEndpoint={url}/;"
    assert from_connection_string(text).list_jobs() == []
