"""Routes of sessions, and of sessions and jobs side by side."""

from __future__ import annotations

import httpx
import pytest

from qiosk.contract.jobs import SubmitJob
from servers import WORKSPACE, MemoryParts

KEY = "abc-1/group/mine"
SESSIONS = f"{WORKSPACE}/sessions"
BODY = {"name": "s", "providerId": "Microsoft", "target": "microsoft.tabu.cpu", "itemType": "Session"}


def submit(memory: MemoryParts, session_id: str | None = None) -> str:
    command = SubmitJob(
        name="j", provider_id="Microsoft", target="microsoft.tabu.cpu", input_data=b"{}", session_id=session_id
    )
    return memory.jobs(KEY).submit(command).id


def test_a_session_is_opened_used_and_closed(http: httpx.Client, memory: MemoryParts) -> None:
    opened = http.put(f"{SESSIONS}/s-1", json=BODY)
    assert opened.status_code == 200
    session = opened.json()
    assert (session["id"], session["status"], session["itemType"]) == ("s-1", "Waiting", "Session")
    assert session["jobFailurePolicy"] == "Abort"
    assert http.put(f"{SESSIONS}/s-1", json=BODY).json() == session
    job = submit(memory, "s-1")
    assert http.get(f"{SESSIONS}/s-1").json()["status"] == "Executing"
    assert [found["id"] for found in http.get(f"{SESSIONS}/s-1/jobs").json()["value"]] == [job]
    assert http.post(f"{SESSIONS}/s-1:close").json()["status"] == "Succeeded"
    assert http.post(f"{SESSIONS}/s-1:close").status_code == 200


def test_a_closed_session_takes_no_jobs(http: httpx.Client, memory: MemoryParts) -> None:
    http.put(f"{SESSIONS}/s-1", json=BODY)
    http.post(f"{SESSIONS}/s-1:close")
    uri = memory.jobs(KEY).put_blob("c", "b", b"{}")
    body = {**BODY, "itemType": "Job", "containerUri": uri.rsplit("/", 1)[0], "inputDataUri": uri}
    body |= {"inputDataFormat": "microsoft.qio.v2"}
    closed = http.put(f"{WORKSPACE}/jobs/j-1", json={**body, "sessionId": "s-1"})
    assert (closed.status_code, closed.json()["error"]["code"]) == (409, "SessionClosed")
    unknown = http.put(f"{WORKSPACE}/jobs/j-1", json={**body, "sessionId": "s-2"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "SessionNotFound")


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (("GET", "/s-2"), (404, "SessionNotFound")),
        (("POST", "/s-2:close"), (404, "SessionNotFound")),
        (("GET", "/s-2/jobs"), (404, "SessionNotFound")),
        (("GET", "?filter=nonsense"), (400, "InvalidFilter")),
        (("PUT", "/s-1"), (409, "SessionAlreadyExists")),
        (("PUT", "/s%20x"), (400, "InvalidJobDefinition")),
    ],
    ids=str,
)
def test_mistakes_are_named(http: httpx.Client, call: tuple[str, str], code: tuple[int, str]) -> None:
    http.put(f"{SESSIONS}/s-1", json={**BODY, "name": "another"})
    response = http.request(call[0], SESSIONS + call[1], json=BODY if call[0] == "PUT" else None)
    assert (response.status_code, response.json()["error"]["code"]) == code


def test_unknown_policies_are_refused(http: httpx.Client) -> None:
    response = http.put(f"{SESSIONS}/s-1", json={**BODY, "jobFailurePolicy": "Ignore"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "InvalidJobDefinition")


def test_sessions_and_jobs_are_listed_side_by_side(http: httpx.Client, memory: MemoryParts) -> None:
    for number in range(3):
        http.put(f"{SESSIONS}/s-{number}", json=BODY)
        submit(memory, f"s-{number}")
        memory.clock.sleep(1)
        submit(memory)
        memory.clock.sleep(1)
    assert [found["id"] for found in http.get(SESSIONS).json()["value"]] == ["s-2", "s-1", "s-0"]
    kinds, url = [], f"{WORKSPACE}/topLevelItems?top=2&orderby=CreationTime asc"
    while url:
        page = http.get(url).json()
        kinds += [item["itemType"] for item in page["value"]]
        url = page["nextLink"]
    assert kinds == ["Session", "Job"] * 3
    assert http.get(f"{WORKSPACE}/topLevelItems?skip=999999999999999").json()["value"] == []
    only = http.get(f"{WORKSPACE}/topLevelItems?filter=(ItemType eq 'Session')").json()["value"]
    assert len(only) == 3
