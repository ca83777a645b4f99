"""Routes of jobs, as clients of every generation call them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from patience import HANG_S
from qiosk.contract.jobs import SubmitJob
from qiosk.server.blobs.bodies import SMALL
from qiosk.service.jobs.attempts import claim_next
from qiosk.service.jobs.job import BlobRef, JobEvent, JobKey
from qiosk.testing import MemoryBlobStore
from servers import HOST, WORKSPACE, MemoryParts, serving

KEY = "abc-1/group/mine"
JOBS = f"{WORKSPACE}/jobs"
ID = "327b4180-e648-11f1-b096-02fc00000001"


@pytest.fixture
def http(memory: MemoryParts) -> Iterator[httpx.Client]:
    with serving(memory.parts, max_body_bytes=10_000) as client:
        yield client


def body(memory: MemoryParts, order: dict | None = None, **members: object) -> dict:
    """The body of a ``PUT``; its input is stored."""
    name = str(members.pop("blob", "inputData"))
    uri = memory.jobs(KEY).put_blob(f"job-{ID}", name, json.dumps(order or {}).encode())
    given = {
        "containerUri": uri.rsplit("/", 1)[0] + "?sig=1",
        "inputDataUri": uri,
        "inputDataFormat": "microsoft.qio.v2",
        "inputParams": {"params": {"timeout": 100, "beta": 1.0}},
        "providerId": "Microsoft",
        "target": "microsoft.tabu.cpu",
        "name": 'it\'s {a} "job"',
    }
    return {**given, **members}


def error_of(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert error["message"]
    return error["code"]


def submit(memory: MemoryParts, name: str) -> str:
    command = SubmitJob(name=name, provider_id="Microsoft", target="microsoft.tabu.cpu", input_data=b"{}")
    return memory.jobs(KEY).submit(command).id


def test_a_job_is_created_run_and_read(http: httpx.Client, memory: MemoryParts) -> None:
    created = http.put(f"/v1.0{JOBS}/{ID}", json=body(memory, {"chunks": 2}))
    assert created.status_code == 200
    job = created.json()
    assert (job["id"], job["status"], job["itemType"]) == (ID, "Waiting", "Job")
    assert job["inputParams"] == {"params": {"timeout": 100, "beta": 1.0}}
    assert '"beta":1.0' in created.text  # 1.0 is not 1
    assert http.get(f"{JOBS}/{ID}/best").status_code == 204
    assert error_of(http.get(f"{JOBS}/{ID}/results")) == "BlobNotFound"

    memory.run(KEY)
    done = http.get(f"{JOBS}/{ID}").json()
    assert done["status"] == "Succeeded"
    assert done["hasResults"]
    assert done["beginExecutionTime"] <= done["endExecutionTime"]
    assert http.get(f"{JOBS}/{ID}/results").json() == http.get(f"{JOBS}/{ID}/best").json()
    trace = http.get(f"{JOBS}/{ID}/trace").json()
    assert len(trace[0]) == 3
    assert http.get(f"{JOBS}/{ID}/trace?after=1").json() == trace[1:]


@pytest.mark.parametrize("path", ["results", "best"])
def test_large_results_come_as_they_are(
    http: httpx.Client, memory: MemoryParts, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    http.put(f"{JOBS}/{ID}", json=body(memory))
    memory.run(KEY)
    job = memory.store.get(JobKey(KEY, ID))
    large = b'{"a": "' + b"x" * (3 * SMALL) + b'"}'
    memory.storage.blobs(KEY).put(BlobRef(job.container, str(job.output_blob)), large)
    monkeypatch.setattr(MemoryBlobStore, "get", lambda *_: pytest.fail("read at once"))
    answer = http.get(f"{JOBS}/{ID}/{path}")
    assert answer.content == large
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(large))
    assert answer.headers["cache-control"] == "no-store"
    head = http.head(f"{JOBS}/{ID}/results")
    assert (head.headers["content-length"], head.content) == (str(len(large)), b"")


def test_a_repeated_submission_is_the_same_job(http: httpx.Client, memory: MemoryParts) -> None:
    first = body(memory)
    again = {**first, "containerUri": first["containerUri"].replace("sig=1", "sig=2"), "metadata": None}
    assert http.put(f"{JOBS}/{ID}", json=first).status_code == 200
    assert http.put(f"{JOBS}/{ID}", json=again).json()["id"] == ID
    assert error_of(http.put(f"{JOBS}/{ID}", json={**first, "name": "other"})) == "JobAlreadyExists"
    assert len(http.get(JOBS).json()["value"]) == 1


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"target": None}, "InvalidJobDefinition"),
        ({"id": "other"}, "InvalidJobDefinition"),
        ({"priority": "Low"}, "InvalidJobDefinition"),
        ({"containerUri": "http://169.254.169.254/latest/meta-data"}, "InvalidJobDefinition"),
        ({"providerId": "nobody"}, "ProviderNotFound"),
        ({"target": "microsoft.nothing.cpu"}, "InvalidTarget"),
        ({"providerId": "microsoft.tabu.cpu", "target": "Microsoft"}, "ProviderNotFound"),
        ({"name": "\x00"}, "InvalidJobDefinition"),
    ],
    ids=str,
)
def test_a_wrong_job_is_refused(http: httpx.Client, memory: MemoryParts, members: dict, code: str) -> None:
    response = http.put(f"{JOBS}/{ID}", json=body(memory, **members))
    assert response.status_code == 400
    assert error_of(response) == code
    assert error_of(http.get(f"{JOBS}/{ID}")) == "JobNotFound"


def test_a_body_may_not_be_too_large(http: httpx.Client, memory: MemoryParts) -> None:
    large = json.dumps(body(memory, name="x" * 20_000)).encode()
    announced = http.put(f"{JOBS}/{ID}", content=large, headers={"Content-Type": "application/json"})
    assert announced.status_code == 413
    assert error_of(announced) == "RequestTooLarge"


def test_jobs_are_cancelled_in_two_ways(http: httpx.Client, memory: MemoryParts) -> None:
    http.put(f"{JOBS}/{ID}", json=body(memory))
    other = submit(memory, "other")
    deleted = http.delete(f"{JOBS}/{ID}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert http.get(f"{JOBS}/{ID}").json()["status"] == "Cancelled"
    cancelled = http.post(f"{JOBS}/{other}:cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "Cancelled")
    assert http.post(f"{JOBS}/{other}:cancel").status_code == 200  # and once more


def test_purging_removes_a_job(http: httpx.Client, memory: MemoryParts) -> None:
    http.put(f"{JOBS}/{ID}", json=body(memory))
    assert http.post(f"{JOBS}/{ID}:purge").status_code == 204
    assert http.get(f"{JOBS}/{ID}").status_code == 404


def test_purges_of_running_jobs_wait_without_holding_threads(memory: MemoryParts) -> None:
    jobs = [submit(memory, "runs") for _ in range(4)]
    while claim_next(memory.store, memory.clock, worker="w") is not None:
        pass
    with serving(memory.parts, server_threads=1) as client, ThreadPoolExecutor(4) as pool:
        purges = [pool.submit(client.post, f"{JOBS}/{job_id}:purge") for job_id in jobs]
        while not all(client.get(f"{JOBS}/{job_id}").json()["isCancelling"] for job_id in jobs):
            pass
        assert not any(purge.done() for purge in purges)
        for job in memory.store.running():
            assert memory.store.swap(job.on(JobEvent.STOP, at=memory.clock.now()), expected=job)
        assert [purge.result(HANG_S).status_code for purge in purges] == [204] * 4
        assert [client.get(f"{JOBS}/{job_id}").status_code for job_id in jobs] == [404] * 4


def test_a_purge_of_a_job_that_does_not_stop_is_a_conflict(
    http: httpx.Client, memory: MemoryParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qiosk.server.routes.jobs.DELETE_PATIENCE_S", 0.02)
    job_id = submit(memory, "runs")
    claim_next(memory.store, memory.clock, worker="w")
    purge = http.post(f"{JOBS}/{job_id}:purge")
    assert (purge.status_code, error_of(purge)) == (409, "Conflict")
    assert http.get(f"{JOBS}/{job_id}").json()["isCancelling"]


@pytest.mark.parametrize("call", [("GET", ""), ("DELETE", ""), ("POST", ":cancel"), ("POST", ":purge"),
                                  ("GET", "/results"), ("GET", "/best"), ("GET", "/receipt"),
                                  ("GET", "/trace")], ids=str)  # fmt: skip
def test_unknown_jobs_are_not_found(http: httpx.Client, call: tuple[str, str]) -> None:
    method, action = call
    response = http.request(method, f"{JOBS}/{ID}{action}")
    assert response.status_code == 404
    assert error_of(response) == "JobNotFound"


def test_jobs_are_updated_by_both_kinds_of_patch(http: httpx.Client, memory: MemoryParts) -> None:
    http.put(f"{JOBS}/{ID}", json=body(memory))
    merged = http.patch(f"{JOBS}/{ID}", json={"tags": ["a"]}, headers={"content-type": "application/merge-patch+json"})
    assert merged.json()["tags"] == ["a"]
    patched = http.patch(f"{JOBS}/{ID}", json=[{"op": "replace", "path": "/name", "value": "new"}])
    assert (patched.json()["name"], patched.json()["tags"]) == ("new", ["a"])
    assert error_of(http.patch(f"{JOBS}/{ID}", json={"priority": "Low"})) == "InvalidJobDefinition"


def test_lists_come_in_pages_that_links_lead_through(http: httpx.Client, memory: MemoryParts) -> None:
    for number in range(5):
        submit(memory, f"job {{{number}}}")
    memory.clock.sleep(60)
    url = f"/v1.0{JOBS}?api-version=1&top=2&skip=1&filter=startswith(Name, 'job %7B')&orderby=Name asc"
    names = []
    while url:
        page = http.get(url).json()
        names += [job["name"] for job in page["value"]]
        url = page["nextLink"]
        assert url is None or (url.startswith(HOST) and not set(url) & set("{} '"))
    assert names == [f"job {{{number}}}" for number in range(1, 5)]


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip", True),
        ("br;q=1.0, GZIP ;q=0.8", True),
        ("x-gzip", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("identity", False),
        ("", False),
    ],
)
def test_long_lists_are_compressed_for_clients_that_accept_it(
    http: httpx.Client, memory: MemoryParts, accepted: str, is_compressed: bool
) -> None:
    for number in range(20):
        submit(memory, f"job {number}")
    headers = {"Accept-Encoding": accepted}
    page = http.get(JOBS, headers=headers)
    assert page.headers["vary"] == "Accept-Encoding"
    assert len(page.json()["value"]) == 20
    assert (int(page.headers["content-length"]) < len(page.content)) is is_compressed
    short = http.get(f"{JOBS}?top=1", headers=headers)
    assert int(short.headers["content-length"]) == len(short.content)


COUNTS = ["top=x", "top=0", "$top=1e3", "top=", "skip=-1", "skip="]


@pytest.mark.parametrize("query", [*COUNTS, "filter=x", "orderby=x", "token=x"])
def test_queries_that_nobody_understands_are_refused(http: httpx.Client, query: str) -> None:
    response = http.get(f"{JOBS}?{query}")
    assert response.status_code == 400
    assert error_of(response) == "InvalidFilter"


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 90])
def test_a_trace_is_asked_for_from_a_number_on(http: httpx.Client, memory: MemoryParts, after: str) -> None:
    job_id = submit(memory, "a")
    for part in ("trace", "events"):
        response = http.get(f"{JOBS}/{job_id}/{part}?after={after}")
        assert (response.status_code, error_of(response)) == (400, "InvalidFilter")


def test_workspaces_do_not_see_each_other(http: httpx.Client, memory: MemoryParts) -> None:
    job_id = submit(memory, "mine")
    other = JOBS.replace("Mine", "Other")
    assert http.get(other).json() == {"value": [], "nextLink": None}
    assert http.get(f"{other}/{job_id}").status_code == 404
    assert http.get(f"{JOBS.upper()}/{job_id}").status_code == 200  # letter case does not matter


def test_what_is_no_route_is_answered_in_the_same_words(http: httpx.Client) -> None:
    assert error_of(http.get("/nothing")) == "NotFound"
    assert error_of(http.get(f"{WORKSPACE}/nothing")) == "NotFound"
    wrong = http.post(JOBS)
    assert (wrong.status_code, error_of(wrong)) == (405, "MethodNotAllowed")
    assert wrong.headers["allow"] == "GET, HEAD"
    assert http.post(f"{JOBS}/x").headers["allow"] == "DELETE, GET, HEAD, PATCH, PUT"
    assert http.put("/metrics").headers["allow"] == "GET, HEAD"


def test_a_host_that_is_none_is_refused(http: httpx.Client, memory: MemoryParts) -> None:
    response = http.get(JOBS, headers={"host": "evil{0}/path"})
    assert (response.status_code, error_of(response)) == (400, "InvalidJobDefinition")
