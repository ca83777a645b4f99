"""Routes of a workspace as a whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from qiosk.contract.jobs import SubmitJob
from servers import HOST, WORKSPACE, MemoryParts, serving

ID = "327b4180-e648-11f1-b096-02fc00000001"
BLOB = {"x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-08-06"}


def link(http: httpx.Client, **members: object) -> str:
    response = http.post(f"/v1.0{WORKSPACE}/storage/sasUri", json=members)
    assert response.status_code == 200, response.text
    return response.json()["sasUri"]


def test_a_container_is_there_as_soon_as_its_link_is_handed_out(http: httpx.Client, memory: MemoryParts) -> None:
    uri = link(http, containerName="job-1", blobName=None)
    assert uri.startswith(HOST)
    query = parse_qs(urlsplit(uri).query)
    assert query["sr"] == ["c"]
    ends = datetime.fromisoformat(query["se"][0])
    assert ends - memory.clock.now().astimezone(UTC) >= timedelta(hours=1)
    assert http.get(f"{uri}&restype=container", headers=BLOB).status_code == 200


def test_a_link_to_a_blob_writes_and_reads_it(http: httpx.Client) -> None:
    uri = link(http, containerName="c", blobName="a folder/a name")
    assert "/a%20folder/a%20name?" in uri
    assert http.put(uri, content=b"data", headers=BLOB).status_code == 201
    assert http.get(uri, headers=BLOB).content == b"data"


@pytest.mark.parametrize("names", [{"containerName": "../x"}, {"containerName": "c", "blobName": "a/../b"}, {}, []])
def test_bad_names_are_refused(http: httpx.Client, names: object) -> None:
    response = http.post(f"{WORKSPACE}/storage/sasUri", json=names)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "InvalidJobDefinition"


@pytest.mark.parametrize("part", ["s%00", "%0A", "x" * 3000], ids=["NUL", "newline", "long"])
def test_bad_names_of_workspaces_are_refused(http: httpx.Client, part: str) -> None:
    root = f"/subscriptions/{part}/resourceGroups/g/providers/Microsoft.Quantum/workspaces/w"
    for method, path in (("GET", "/jobs"), ("GET", "/jobs/x"), ("GET", "/quotas"), ("POST", "/storage/sasUri")):
        response = http.request(method, root + path)
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "InvalidJobDefinition"
        assert response.json()["error"]["message"].startswith("workspace: must ")


def test_a_job_goes_the_way_that_clients_go(http: httpx.Client, memory: MemoryParts) -> None:
    container = link(http, containerName=f"job-{ID}")
    base, query = container.split("?")
    assert http.put(f"{base}/inputData?{query}", content=b"{}", headers=BLOB).status_code == 201
    body = {
        "containerUri": container,
        "inputDataUri": f"{base}/inputData",
        "inputDataFormat": "microsoft.qio.v2",
        "providerId": "Microsoft",
        "target": "microsoft.tabu.cpu",
    }
    assert http.put(f"{WORKSPACE}/jobs/{ID}", json=body).json()["status"] == "Waiting"
    memory.run("abc-1/group/mine")
    job = http.get(f"{WORKSPACE}/jobs/{ID}").json()
    assert job["status"] == "Succeeded"
    results = http.get(job["outputDataUri"], headers=BLOB)
    assert results.headers["content-type"] == "application/json"
    assert json.loads(results.content) == http.get(f"{WORKSPACE}/jobs/{ID}/results").json()
    assert http.get(job["inputDataUri"], headers=BLOB).content == b"{}"
    for uri in (job["outputDataUri"], job["inputDataUri"]):
        assert http.put(uri, content=b"x", headers=BLOB).status_code == 403


def test_providers_list_their_targets_with_the_time_jobs_wait(http: httpx.Client, memory: MemoryParts) -> None:
    command = SubmitJob(name="j", provider_id="Microsoft", target="Microsoft.Tabu.cpu", input_data=b"{}")
    memory.jobs("abc-1/group/mine").submit(command)
    memory.clock.sleep(2.6)
    memory.run("abc-1/group/mine")
    answer = http.get(f"{WORKSPACE}/providerStatus").json()
    assert answer["nextLink"] is None
    providers = {provider["id"]: provider for provider in answer["value"]}
    assert set(providers) >= {"Microsoft", "1qbit", "toshiba"}
    targets = {target["id"]: target for target in providers["Microsoft"]["targets"]}
    assert targets["microsoft.tabu.cpu"] == {
        "id": "microsoft.tabu.cpu",
        "currentAvailability": "Available",
        "averageQueueTime": 3,
        "statusPage": None,
    }
    assert "microsoft.tabu-parameterfree.cpu" in targets


def job_body(http: httpx.Client) -> dict[str, str]:
    """A job whose container may be written to."""
    return {
        "containerUri": link(http, containerName="c"),
        "inputDataFormat": "microsoft.qio.v2",
        "providerId": "Microsoft",
        "target": "microsoft.tabu.cpu",
    }


def test_a_job_keeps_the_longest_run_that_the_server_allowed_when_it_accepted_it() -> None:
    memory = MemoryParts(run_seconds=60.0)
    with serving(memory.parts) as http:
        body = job_body(http)
        assert http.put(f"{WORKSPACE}/jobs/{ID}", json=body).status_code == 200
    (job,) = memory.store.all()
    assert job.run_limit == 60.0


def test_quotas_are_shown_and_kept() -> None:
    memory = MemoryParts(queued_jobs=1)
    with serving(memory.parts) as http:
        quotas = {quota["dimension"]: quota for quota in http.get(f"{WORKSPACE}/quotas").json()["value"]}
        assert quotas["queued_jobs"]["limit"] == 1.0
        assert quotas["combined_job_hours"]["scope"] == "Workspace"
        body = job_body(http)
        assert http.put(f"{WORKSPACE}/jobs/j-1", json=body).status_code == 200
        refused = http.put(f"{WORKSPACE}/jobs/j-2", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "QuotaExceeded")
        assert int(refused.headers["retry-after"]) > 0
        assert http.put(f"{WORKSPACE}/jobs/j-1", json=body).status_code == 200  # nothing new
