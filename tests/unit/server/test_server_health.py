"""What the server says about itself: health, numbers, its description, its log."""

from __future__ import annotations

import errno
import io
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import httpx
import pytest
import structlog

from patience import HANG_S, eventually
from qiosk.contract.jobs import SubmitJob
from qiosk.errors import SupervisorUnavailable
from qiosk.server.routes import health
from qiosk.server.settings import ServerSettings
from qiosk.server.web.logs import configure_logs, scrub
from servers import WORKSPACE, MemoryParts, log_plainly, serving

DOCS = Path(__file__).parents[3] / "docs"
KEY = "abc-1/group/mine"


def test_a_server_is_alive_and_ready(http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "alive"}
    assert http.get("/readyz").json() == {"status": "ready", "checks": {"database": "ok"}}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", f"{WORKSPACE}/jobs"])
def test_probes_may_ask_for_the_head_alone(http: httpx.Client, path: str) -> None:
    head = http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == http.get(path).headers["content-type"]


def test_a_server_that_cannot_work_is_not_ready(memory: MemoryParts) -> None:
    def fail() -> None:
        raise OSError("the database is gone, its password is 1234")

    def hang() -> None:
        raise SupervisorUnavailable("supervisor: has not moved for 7 s")

    checks = {"database": fail, "storage": lambda: None, "supervisor": hang}
    with serving(replace(memory.parts, checks=checks)) as http:
        response = http.get("/readyz")
        assert http.get("/healthz").status_code == 200
    assert response.status_code == 503
    assert response.json()["checks"] == {"database": "failed", "storage": "ok", "supervisor": "failed"}
    assert response.json()["reasons"] == {"supervisor": "supervisor: has not moved for 7 s"}
    assert "1234" not in response.text


def test_numbers_speak_of_requests_and_jobs(http: httpx.Client, memory: MemoryParts) -> None:
    http.get("/metrics")  # what has ended before is not counted
    for _ in range(3):
        command = SubmitJob(name="j", provider_id="Microsoft", target="microsoft.tabu.cpu", input_data=b"{}")
        memory.jobs(KEY).submit(command)
    memory.clock.sleep(4.0)
    memory.run(KEY)
    memory.clock.sleep(4.0)
    http.get(f"{WORKSPACE}/jobs/unknown")
    text = http.get("/metrics").text
    assert 'qiosk_jobs{state="Succeeded"} 3.0' in text
    assert 'qiosk_jobs{state="Waiting"} 0.0' in text
    assert 'qiosk_jobs_ended_total{state="Succeeded",target="microsoft.tabu.cpu"} 3.0' in text
    assert 'qiosk_job_waiting_seconds_bucket{le="5.0",target="microsoft.tabu.cpu"} 3.0' in text
    assert 'qiosk_job_waiting_seconds_bucket{le="1.0",target="microsoft.tabu.cpu"} 0.0' in text
    line = next(line for line in text.splitlines() if "qiosk_http_requests_total" in line and 'status="404"' in line)
    assert "{job_id}" in line  # the route, not the path


def test_every_answer_has_an_id_and_careful_headers(http: httpx.Client) -> None:
    sent = http.get("/nothing", headers={"x-ms-client-request-id": "abc"})
    assert sent.headers["x-ms-client-request-id"] == "abc"
    assert len(sent.headers["x-ms-request-id"]) == 36
    assert sent.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in sent.headers["content-security-policy"]
    assert "server" not in sent.headers
    assert "x-ms-client-request-id" not in http.get("/", headers={"x-ms-client-request-id": "a b"}).headers


def test_a_mistake_of_the_server_is_answered_and_logged_under_its_id(
    memory: MemoryParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_workspace: str) -> None:
        raise RuntimeError("a secret of the inside")

    with structlog.testing.capture_logs() as logs, serving(replace(memory.parts, jobs=fail)) as http:
        response = http.get(f"{WORKSPACE}/jobs/x")
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "InternalError"
    assert "inside" not in response.text
    assert response.headers["x-ms-request-id"] in response.text
    assert [entry["event"] for entry in logs][:2] == ["request failed", "request"]


@pytest.mark.slow
def test_a_full_disk_is_said_to_be_one(memory: MemoryParts) -> None:
    def fail(_workspace: str) -> None:
        raise OSError(28, "No space left on device")

    with serving(replace(memory.parts, jobs=fail)) as http:
        response = http.get(f"{WORKSPACE}/jobs/x")
    assert (response.status_code, response.json()["error"]["code"]) == (507, "StorageFull")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EROFS, "Read-only file system"), "cannot be written"),
        (OSError(errno.EMFILE, "Too many open files"), "does not respond"),
        (OSError("object storage: connection refused"), "does not respond"),
    ],
)
def test_a_storage_that_does_not_work_is_unavailable(memory: MemoryParts, error: OSError, message: str) -> None:
    def fail(_workspace: str) -> None:
        raise error

    with serving(replace(memory.parts, jobs=fail)) as http:
        response = http.get(f"{WORKSPACE}/jobs/x")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "ServiceUnavailable")
    assert message in response.text
    assert "refused" not in response.text


def test_the_description_names_every_operation(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    operations = {found["operationId"] for path in document["paths"].values() for found in path.values()}
    assert {"createJob", "cancelJob", "followJob", "openSession", "getStorageLink", "listQuotas"} <= operations
    assert "x-components" not in json.dumps(document)
    job = document["components"]["schemas"]["JobView"]
    assert job["properties"]["creationTime"] == {"type": "string", "format": "date-time"}
    references = set(_references(document))
    assert references <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for member in node.values():
            yield from _references(member)
    elif isinstance(node, list):
        for member in node:
            yield from _references(member)


SECRETS = [
    ("GET /qiosk/c/b?sv=1&sig=abc%2Bdef&x=1", "abc"),
    ("Authorization: Bearer eyJhbGciOi.x.y", "eyJ"),
    ("key qk_0a1b2c_S3cr3tS3cr3t is wrong", "S3cr3t"),
    ("postgresql://user:hunter2@host/db", "hunter2"),
    ("ApiKey=abcdef;Endpoint=x", "abcdef"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS, ids=[secret for _, secret in SECRETS])
def test_secrets_are_not_logged(text: str, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert secret not in scrub(text)
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, write_through=True)
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure_logs("json")
        structlog.get_logger("test").info("something", detail=text)
        logging.getLogger("uvicorn.error").warning("something else: %s", text)
        stream.flush()
    finally:
        root.handlers[:], root.level = before
        log_plainly()
    lines = [json.loads(line) for line in raw.getvalue().splitlines()]
    assert [line["level"] for line in lines] == ["info", "warning"]
    assert secret not in raw.getvalue().decode()
    assert "***" in lines[0]["detail"]


def test_every_setting_of_the_server_is_described() -> None:
    text = (DOCS / "server.md").read_text()
    assert not [f.name for f in fields(ServerSettings) if f"`QIOSK_{f.name.upper()}`" not in text]


def test_every_route_is_described(http: httpx.Client) -> None:
    text = (DOCS / "server.md").read_text()
    paths = http.get("/openapi.json").json()["paths"]
    shown = [path.partition("/workspaces/{workspace}")[2].replace("_id}", "}") for path in paths]
    assert not [
        path
        for path in shown
        if path and f"{{W}}{path.replace('{job}', '{id}').replace('{session}', '{id}')}" not in text
    ]


def test_a_check_that_hangs_holds_one_thread(memory: MemoryParts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_S", 0.05)
    begun: list[int] = []
    goes_on = threading.Event()

    def hang() -> None:
        begun.append(1)
        goes_on.wait(HANG_S)

    with serving(replace(memory.parts, checks={"storage": hang})) as http:
        for _ in range(3):
            found = http.get("/readyz").json()
            assert found["checks"] == {"storage": "failed"}
            assert found["reasons"] == {"storage": "has not ended within 0.05 s"}
        assert len(begun) == 1
        goes_on.set()
        assert eventually(lambda: http.get("/readyz").status_code == 200)


def test_the_database_is_examined_when_the_server_begins(memory: MemoryParts) -> None:
    examined = threading.Event()
    with serving(replace(memory.parts, examine=examined.set)):
        assert examined.wait(HANG_S)
