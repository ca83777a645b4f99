"""The client of a server, against one that fails as it is told."""

from __future__ import annotations

import gzip
import io
import json
import logging
import sys
import threading
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from flaky_server import Asked, FlakyServer, Reply, flaky_server
from patience import HANG_S
from qiosk.client.remote import blobs, events
from qiosk.client.remote.connection import Connection, connection, connection_string_members
from qiosk.client.remote.events import EventParser
from qiosk.client.remote.jobs import HttpJobs
from qiosk.client.remote.queries import filter_text
from qiosk.client.remote.transport import Answer, RetryPolicy
from qiosk.client.workspace import Workspace
from qiosk.console.progress_bar import SHOWN_FROM_BYTES, TransferBar
from qiosk.contract import codec
from qiosk.contract.jobs import JobQuery, JobStatus, JobView, PatchJob, SubmitJob
from qiosk.contract.paging import ItemOrder
from qiosk.errors import (
    BlobAlreadyExists,
    BlobChanged,
    BlobNotFound,
    Conflict,
    Forbidden,
    InvalidBlockList,
    InvalidFilter,
    InvalidTarget,
    InvalidValue,
    JobNotFound,
    QioskError,
    QuotaExceeded,
    RequestTooLarge,
    ServiceUnavailable,
    StorageFull,
    Unauthorized,
    UnreadableInput,
)
from qiosk.server.blobs.errors import as_refusal, refusal_reply
from qiosk.service.filters import job_query

pytestmark = pytest.mark.slow

KEY = "qk_1_secret"
PATH = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Quantum/workspaces/w"
VIEW = JobView(
    id="j",
    name="n",
    container_uri="http://h/qiosk/job-j",
    input_data_uri="http://h/qiosk/job-j/inputData",
    input_data_format="microsoft.qio.v2",
    input_params={},
    provider_id="microsoft",
    target="t",
    metadata=None,
    output_data_uri=None,
    output_data_format="x",
    status=JobStatus.WAITING,
    creation_time=datetime(2026, 1, 1, tzinfo=UTC),
)
JOB = codec.encode(VIEW)
NOT_FOUND = Reply(404, b'{"error": {"code": "JobNotFound", "message": "no job j"}}')
BUSY = Reply(503, b'{"error": {"code": "ServiceUnavailable", "message": "starting"}}')
BROKEN = Reply(stop_after=0)
XML = {"Content-Type": "application/xml"}


@pytest.fixture
def server():
    with flaky_server() as running:
        yield running


@pytest.fixture
def api(server: FlakyServer):
    where = Connection(url=server.url, api_key=KEY, subscription_id="s", resource_group="g", name="w")
    policy = RetryPolicy(tries=4, first_pause_s=0.001, longest_pause_s=0.01, connect_s=5, read_s=5)
    client = HttpJobs(where, retry_policy=policy)
    yield client
    client.close()


def job(**members) -> bytes:
    return codec.encode(codec.convert(JobView, {**json.loads(JOB), **members}))


def signed(server: FlakyServer, expiry: str = "2099-01-01T00:00:00Z") -> Reply:
    url = f"{server.url}/qiosk/c?sv=1&se={expiry.replace(':', '%3A')}&sig=s%2Bg"
    return Reply(body=json.dumps({"sasUri": url}).encode())


def test_requests_name_workspace_key_and_client(server, api) -> None:
    server.script = [Reply(body=JOB)]
    assert api.get("j") == VIEW
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", f"{PATH}/jobs/j")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["user-agent"].startswith("qiosk/")


def test_names_are_quoted_into_paths(server, api) -> None:
    server.script = [Reply(body=JOB)]
    api.get("a/../b?c#d é")
    assert server.asked[0].path == f"{PATH}/jobs/a%2F..%2Fb%3Fc%23d%20%C3%A9"


@pytest.mark.parametrize("failure", [BUSY, BROKEN, Reply(502, b"<html>"), Reply(body=JOB, stop_after=7)], ids=str)
def test_passing_failures_are_tried_again(server, api, failure) -> None:
    server.script = [failure, failure, Reply(body=JOB)]
    assert api.get("j") == VIEW
    assert api.cancel("j") == VIEW
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("reply", "error", "text"),
    [
        (NOT_FOUND, JobNotFound, "no job j"),
        (Reply(401, b'{"error": {"code": "Unauthorized", "message": "no"}}'), Unauthorized, "no"),
        (Reply(403, b'{"error": {"code": "New", "message": "no"}}'), Forbidden, "no"),
        (Reply(429, b'{"error": {"code": "QuotaExceeded", "message": "full"}}'), QuotaExceeded, "full"),
        (Reply(418, b"short and stout", {}), QioskError, "the server answered 418"),
        (Reply(200, b"<html>"), UnreadableInput, "is no JSON"),
        (Reply(200, b"[]"), UnreadableInput, "is no JobView"),
    ],
)
def test_other_failures_are_raised_at_once_as_they_were_on_the_server(server, api, reply, error, text) -> None:
    server.script = [reply]
    with pytest.raises(error, match=text):
        api.get("j")
    assert len(server.asked) == 1


def test_a_server_that_stays_away_is_unavailable(server, api) -> None:
    server.script = [BUSY]
    with pytest.raises(ServiceUnavailable, match="starting"):
        api.get("j")
    assert len(server.asked) == 4
    server.script = [BROKEN]
    with pytest.raises(ServiceUnavailable, match=rf"server {server.url} did not respond: .*"):
        api.get("j")


def test_nobody_there_is_unavailable() -> None:
    with flaky_server() as gone:
        url = gone.url
    workspace = HttpJobs(Connection(url=url), retry_policy=RetryPolicy(tries=2, first_pause_s=0.001))
    with pytest.raises(ServiceUnavailable, match="Connection refused"):
        workspace.targets()


def test_retry_after_is_obeyed_and_bounded(server, api) -> None:
    slept: list[float] = []
    api._transport._sleep = slept.append
    for text, least, most in (("2", 2, 2), ("1000000", 30, 30), ("Thu, 01 Jan 2099 00:00:00 GMT", 30, 30), ("x", 0, 1)):
        server.script = [Reply(503, BUSY.body, {"Retry-After": text}), Reply(body=JOB)]
        api.get("j")
        assert least <= slept.pop() <= most


def test_redirects_are_not_followed(server, api) -> None:
    server.script = [Reply(302, b"", {"Location": "http://127.0.0.1:1/"})]
    with pytest.raises(QioskError, match="the server answered 302"):
        api.get("j")


def test_a_deleted_job_is_gone_also_if_the_answer_was_lost(server, api) -> None:
    server.script = [BROKEN, NOT_FOUND]
    api.delete("j")
    server.script = [NOT_FOUND]
    with pytest.raises(JobNotFound):
        api.delete("j")


def test_submission_stores_the_input_and_says_where(server, api) -> None:
    server.script = [signed(server), Reply(201), Reply(body=JOB)]
    api.submit(SubmitJob(id="j", name="n", provider_id="Microsoft", target="t", input_data=b"\x1f\x8bx"))
    sign, put, submit = server.asked
    assert json.loads(sign.body) == {"containerName": "job-j"}
    assert (put.method, urlsplit(put.path).path, put.body) == ("PUT", "/qiosk/c/inputData", b"\x1f\x8bx")
    assert parse_qs(urlsplit(put.path).query)["sig"] == ["s+g"]
    assert put.headers["x-ms-blob-content-encoding"] == "gzip"
    assert put.headers["if-none-match"] == "*"
    assert "authorization" not in put.headers
    body = json.loads(submit.body)
    assert (submit.method, submit.path) == ("PUT", f"{PATH}/jobs/j")
    assert body["containerUri"] == f"{server.url}/qiosk/c"
    assert body["inputDataUri"] == f"{server.url}/qiosk/c/inputData"
    assert "inputData" not in body


def test_a_refused_job_is_told_as_on_the_server(server, api) -> None:
    refusal = Reply(400, b'{"error": {"code": "InvalidTarget", "message": "no target t"}}')
    server.script = [signed(server), Reply(201), refusal]
    with pytest.raises(InvalidTarget, match="no target t"):
        api.submit(SubmitJob(id="j", name="n", provider_id="Microsoft", target="t", input_data=b"x"))


def test_signatures_are_kept_until_they_are_about_to_run_out(server, api) -> None:
    server.script = [signed(server), Reply(201), Reply(201), Reply(201)]
    for name in ("a", "b c", "d/e"):
        api.put_blob("c", name, b"x")
    assert [urlsplit(asked.path).path for asked in server.asked[1:]] == [
        "/qiosk/c/a",
        "/qiosk/c/b%20c",
        "/qiosk/c/d/e",
    ]
    old = signed(server, "2000-01-01T00:00:00Z")
    server.script = [lambda asked: old if asked.path.endswith("/storage/sasUri") else Reply(201)]
    api.put_blob("other", "a", b"x")
    assert [asked.method for asked in server.asked[4:]].count("POST") > 1


def test_signatures_are_kept_of_the_newest_containers_only(server, api, monkeypatch) -> None:
    monkeypatch.setattr(blobs, "_KEPT_SIGNATURES", 2)
    server.script = [signed(server)]
    for container in ("a", "b", "c", "b", "c", "a", "c"):
        api.container_uri(container)
    asked = [json.loads(asked.body)["containerName"] for asked in server.asked]
    assert asked == ["a", "b", "c", "a"]


def test_a_signature_that_is_refused_is_replaced_once(server, api) -> None:
    refused = Reply(403, b"<Error/>", XML | {"x-ms-error-code": "AuthenticationFailed"})
    server.script = [signed(server), refused, signed(server), Reply(201)]
    api.put_blob("c", "b", b"x")
    server.script = [refused, signed(server), refused]
    with pytest.raises(Forbidden, match="403 AuthenticationFailed"):
        api.put_blob("c", "b", b"x")


@pytest.mark.parametrize(
    "error",
    [
        QuotaExceeded("workspace w: 9 of 10 bytes are used"),
        BlobNotFound("blob c/b was not found"),
        BlobChanged("blob c/b: changed"),
        Conflict("blob c/b: a name cannot be a blob & a folder"),
        InvalidBlockList("block 'YQ==' was never uploaded"),
        InvalidValue("blob name: too long"),
        RequestTooLarge("at most 9 bytes"),
        StorageFull("no room is left"),
        Forbidden("signature: does not permit this"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_blobs_are_raised_as_they_were_on_the_server(server, api, error) -> None:
    said = refusal_reply(as_refusal(error), is_head=False)
    server.script = [signed(server), Reply(said.status_code, said.body, dict(said.headers))]
    with pytest.raises(QioskError) as caught:
        api.put_blob("c", "b", b"x")
    assert (type(caught.value), caught.value.message) == (type(error), error.message)


def test_a_quota_is_no_reason_to_send_the_content_again(server, api) -> None:
    server.script = [signed(server), Reply(403, b"<Error/>", XML | {"x-ms-error-code": "QuotaExceeded"})]
    with pytest.raises(QuotaExceeded, match="403 QuotaExceeded"):
        api.put_blob("c", "b", b"x")
    assert [asked.method for asked in server.asked] == ["POST", "PUT"]


LAUGHS = """<!DOCTYPE e [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><Error><Message>&b;</Message></Error>"""


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (400, b"\xef\xbb\xbf<Error><Message>Odd.\nRequestId:1</Message></Error>", InvalidValue, "Odd."),
        (400, b"<Error><Code>New</Code></Error>", InvalidValue, "the server answered 400 New"),
        (400, LAUGHS.encode(), InvalidValue, "the server answered 400 New"),
        (400, LAUGHS.encode("utf-16"), InvalidValue, "the server answered 400 New"),
        (418, b"<Error><Message>", QioskError, "the server answered 418 New"),
    ],
)
def test_errors_of_other_stores_are_read_as_far_as_they_can_be(server, api, status, body, error, text) -> None:
    server.script = [signed(server), Reply(status, body, XML | {"x-ms-error-code": "New"})]
    with pytest.raises(error) as caught:
        api.put_blob("c", "b", b"x")
    assert (type(caught.value), caught.value.message) == (error, text)


@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_blob_that_exists_is_refused_unless_an_earlier_try_stored_it(server, api, in_pieces) -> None:
    exists = Reply(409, b"<Error/>", XML | {"x-ms-error-code": "BlobAlreadyExists"})
    mark = "x-ms-meta-qioskupload"

    def store() -> str:
        if not in_pieces:
            return api.put_blob("c", "b", b"mine", overwrite=False)
        upload = api.upload_blob("c", "b", overwrite=False)
        upload.write(b"mine")
        return upload.commit({"by": "me"})

    def mine(_: Asked) -> Reply:
        sent = [asked.headers[mark] for asked in server.asked if asked.method == "PUT" and mark in asked.headers]
        return Reply(200, b"", {mark: sent[-1]})

    blocks = [Reply(201)] if in_pieces else []
    server.script = [signed(server), *blocks, exists, Reply(200, b"", {mark: "0123"})]
    with pytest.raises(BlobAlreadyExists, match="blob c/b exists"):
        store()
    server.script = [*blocks, BROKEN, exists, mine]
    assert store() == f"{server.url}/qiosk/c/b"
    for other in (Reply(200, b"", {}), Reply(404, b"", {"x-ms-error-code": "BlobNotFound"})):
        server.script = [*blocks, BROKEN, exists, other]
        with pytest.raises(BlobAlreadyExists):
            store()


class BlobServer:
    """Answers as a blob store with one blob."""

    def __init__(self) -> None:
        self.blocks: dict[str, bytes] = {}
        self.content = b""
        self.failures = 0

    def __call__(self, asked: Asked) -> Reply:
        query = parse_qs(urlsplit(asked.path).query)
        if self.failures:
            self.failures -= 1
            return BROKEN
        if asked.method == "PUT" and query.get("comp") == ["block"]:
            self.blocks[query["blockid"][0]] = asked.body
        elif asked.method == "PUT" and query.get("comp") == ["blocklist"]:
            text = asked.body.decode()
            ids = [part.partition("<")[0] for part in text.split("<Latest>")[1:]]
            self.content = b"".join(self.blocks[i] for i in ids)
        elif asked.method == "PUT":
            self.content = asked.body
        else:
            return self._get(asked)
        return Reply(201, b"")

    def _get(self, asked: Asked) -> Reply:
        first, last = map(int, asked.headers["x-ms-range"].removeprefix("bytes=").split("-"))
        if first and asked.headers["if-match"] != '"1"':
            return Reply(412, b"")
        piece = self.content[first : last + 1]
        if not piece:
            return Reply(416, b"<Error/>", XML | {"x-ms-error-code": "InvalidRange"})
        ends = f"bytes {first}-{first + len(piece) - 1}/{len(self.content)}"
        return Reply(206, piece, {"Content-Range": ends, "ETag": '"1"'})


def telling(server: FlakyServer) -> tuple[HttpJobs, list[tuple[str, int, int]]]:
    told: list[tuple[str, int, int]] = []
    policy = RetryPolicy(tries=3, first_pause_s=0.001)
    return HttpJobs(Connection(url=server.url), retry_policy=policy, on_transfer=lambda *a: told.append(a)), told


def test_large_content_goes_in_blocks_and_comes_in_ranges(server, monkeypatch) -> None:
    monkeypatch.setattr(blobs, "BLOCK", 1000)
    monkeypatch.setattr(blobs, "SINGLE", 2500)
    api, told = telling(server)
    store = BlobServer()
    content = bytes(range(256)) * 50
    server.script = [signed(server), store]
    store.failures = 1
    api.put_blob("c", "b", content)
    assert len(store.blocks) == 13
    assert told[-1] == ("upload b", len(content), len(content))
    store.failures = 2
    assert api.get_blob("c", "b") == content
    assert told[-1] == ("download b", len(content), len(content))
    assert {total for what, _, total in told if what.startswith("download")} == {len(content)}
    api.close()


def test_downloads_are_held_once(server, monkeypatch) -> None:
    monkeypatch.setattr(blobs, "SINGLE", 1 << 20)
    api, _ = telling(server)
    store = BlobServer()
    store.content = bytes(12 << 20)
    for download, script in (
        (lambda: api.get_blob("c", "b"), [signed(server), store]),
        (lambda: api.results("j"), [Reply(body=store.content)]),
    ):
        server.script = script
        tracemalloc.start()
        try:
            assert download() == store.content
            assert tracemalloc.get_traced_memory()[1] < 1.6 * len(store.content)
        finally:
            tracemalloc.stop()
    api.close()


def test_uploads_in_pieces_are_told_of(server, monkeypatch) -> None:
    monkeypatch.setattr(blobs, "BLOCK", 1000)
    api, told = telling(server)
    server.script = [signed(server), BlobServer()]
    upload = api.upload_blob("c", "b")
    for _ in range(5):
        upload.write(b"x" * 500)
    upload.commit()
    assert list(dict.fromkeys(told)) == [
        ("upload b", 1000, 0),
        ("upload b", 2000, 0),
        ("upload b", 2500, 0),
        ("upload b", 2500, 2500),
    ]
    api.close()


def test_transfers_that_fail_are_told_of(server, monkeypatch) -> None:
    monkeypatch.setattr(blobs, "BLOCK", 1000)
    monkeypatch.setattr(blobs, "SINGLE", 2500)
    api, told = telling(server)
    full = Reply(507, b"", XML)

    def write() -> None:
        upload = api.upload_blob("c", "b")
        upload.write(b"x" * 1000)
        upload.commit()

    for transfer, script in (
        (lambda: api.put_blob("c", "b", b"x" * 2000), [signed(server), full]),
        (lambda: api.put_blob("c", "b", b"x" * 3000), [Reply(201), full]),
        (lambda: api.get_blob("c", "b"), [Reply(206, b"x", {"Content-Range": "bytes 0-0/2"}), full]),
        (lambda: api.results("j"), [full]),
        (write, [full]),
        (write, [Reply(201), full]),
    ):
        server.script = script
        told.clear()
        with pytest.raises(StorageFull):
            transfer()
        assert told[-1][1:] == (0, 0)
    server.script = [Reply(201)]
    upload = api.upload_blob("c", "b")
    upload.write(b"x" * 1000)
    upload.abort()
    assert told[-1] == ("upload b", 0, 0)
    api.close()


def test_an_empty_blob_is_empty_and_a_missing_one_is_missing(server, api) -> None:
    empty = Reply(416, b"<Error/>", XML | {"x-ms-error-code": "InvalidRange"})
    server.script = [signed(server), empty, Reply(200, b"", {})]
    assert api.get_blob("c", "b") == b""
    server.script = [Reply(404, b"<Error/>", XML | {"x-ms-error-code": "BlobNotFound"})]
    with pytest.raises(BlobNotFound, match="blob c/b was not found"):
        api.get_blob("c", "b")


def test_lists_of_blobs_are_read_to_their_end(server, api) -> None:
    page = "<EnumerationResults><Blobs>{}</Blobs><NextMarker>{}</NextMarker></EnumerationResults>"
    one, two = "<Blob><Name>b &amp; c</Name></Blob>", "<Blob><Name>a</Name></Blob>"
    server.script = [
        signed(server),
        Reply(200, page.format(one, "m/1").encode(), XML),
        Reply(200, page.format(two, "").encode(), XML),
    ]
    assert api.list_blobs("c") == ["a", "b & c"]
    assert parse_qs(urlsplit(server.asked[-1].path).query)["marker"] == ["m/1"]
    server.script = [Reply(200, b"<x", XML)]
    with pytest.raises(UnreadableInput, match="is no XML"):
        api.list_blobs("c")


def test_listing_follows_links_by_their_token_only(server, api) -> None:
    link = "http://elsewhere.invalid/other?top=1&token=a%2Bb"
    server.script = [
        Reply(body=json.dumps({"value": [json.loads(job(id="1"))], "nextLink": link}).encode()),
        Reply(body=json.dumps({"value": [json.loads(job(id="2"))], "nextLink": None}).encode()),
    ]
    query = JobQuery(statuses=[JobStatus.FAILED], order_by=ItemOrder.NAME, descending=False)
    assert [view.id for view in api.list(query)] == ["1", "2"]
    first, second = (parse_qs(urlsplit(asked.path).query) for asked in server.asked)
    assert first["filter"] == ["(State eq 'Failed')"]
    assert first["orderby"] == ["Name asc"]
    assert second["token"] == ["a+b"]
    assert (first["top"], second["top"]) == (["100"], ["1000"])
    assert api.page(JobQuery(targets=[])).items == ()
    assert len(server.asked) == 2


def test_lists_may_be_compressed(server, api) -> None:
    page = json.dumps({"value": [json.loads(job(id="1"))], "nextLink": None}).encode()
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    server.script = [Reply(200, gzip.compress(page), headers), Reply(200, gzip.compress(page)[:-9], headers)]
    assert [view.id for view in api.list(JobQuery())] == ["1"]
    assert {name.lower(): value for name, value in server.asked[0].headers.items()}["accept-encoding"] == "gzip"
    with pytest.raises(UnreadableInput, match="reply: is no JSON"):
        api.page(JobQuery())
    server.script = [Reply(200, b"no gzip", headers)]
    with pytest.raises(UnreadableInput, match="reply: is no JSON"):
        api.page(JobQuery())


@given(
    st.builds(
        JobQuery,
        id_prefix=st.none() | st.text("ab-_1", min_size=1, max_size=4),
        tags=st.lists(st.text("ab' )(,", max_size=4), max_size=3).map(tuple),
        session_id=st.none() | st.text("ab1", min_size=1, max_size=3),
        name_prefix=st.none() | st.text("ab' )", min_size=1, max_size=6).filter(lambda text: "' and" not in text),
        statuses=st.none() | st.lists(st.sampled_from(JobStatus), min_size=1, max_size=3).map(tuple),
        targets=st.none() | st.lists(st.text("a'é ", min_size=1, max_size=4), min_size=1, max_size=3).map(tuple),
        created_after=st.none() | st.datetimes(timezones=st.just(UTC)),
        created_before=st.none() | st.datetimes(timezones=st.just(UTC)),
    )
)
def test_the_server_reads_the_conditions_that_the_client_writes(query: JobQuery) -> None:
    read = job_query(filter_text(query))
    assert (read.name_prefix, read.created_after, read.created_before) == (
        query.name_prefix,
        query.created_after,
        query.created_before,
    )
    assert (read.statuses and set(read.statuses)) == (query.statuses and set(query.statuses))
    assert (read.targets and set(read.targets)) == (query.targets and set(query.targets))
    assert (read.id_prefix, read.tags, read.session_id) == (query.id_prefix, query.tags, query.session_id)


def test_times_without_a_zone_are_refused() -> None:
    with pytest.raises(InvalidFilter, match="must have a time zone"):
        filter_text(JobQuery(created_after=datetime(2026, 1, 1)))


def test_patches_hold_what_changes(server, api) -> None:
    server.script = [Reply(body=JOB)]
    api.update("j", PatchJob(name="x"))
    (asked,) = server.asked
    assert (asked.method, json.loads(asked.body)) == ("PATCH", {"name": "x"})
    assert asked.headers["content-type"] == "application/merge-patch+json"


def test_results_best_trace_and_targets(server, api) -> None:
    server.script = [Reply(body=b'{"cost": 1}')]
    assert api.results("j") == b'{"cost": 1}'
    server.script = [Reply(204, b"")]
    assert api.best("j") is None
    server.script = [Reply(body=b"[[0.5, 3, -1]]")]
    assert [point.cost for point in api.trace("j", 2)] == [-1.0]
    assert server.asked[-1].path.endswith("/trace?after=2")
    target = {"id": "t", "currentAvailability": "Degraded", "averageQueueTime": 7}
    server.script = [Reply(body=json.dumps({"value": [{"id": "P", "targets": [target]}]}).encode())]
    (view,) = api.targets()
    assert (view.id, view.provider_id, view.current_availability, view.average_queue_time) == ("t", "P", "Degraded", 7)


def event(number: int | str, start: int, trace: list, **members) -> bytes:
    data = {"job": json.loads(job(**members)), "traceStart": start, "trace": trace}
    return f"event: update\nid: {number}\ndata: {json.dumps(data)}\n\n".encode()


def stream(*pieces: bytes) -> Reply:
    return Reply(headers={"Content-Type": "text/event-stream"}, pieces=iter(pieces))


def test_updates_come_as_they_happen_and_end_with_the_job(server, api) -> None:
    first = event(1, 0, [[0.1, 1, 5.0]], status="Executing")
    last = event(2, 1, [[0.2, 2, 4.0]], status="Succeeded")
    server.script = [stream(b": hello\n\n", first[:30], first[30:], b": still here\n\n", last)]
    found = [(u.status, u.trace_start, [p.cost for p in u.new_trace]) for u in api.updates("j")]
    assert found == [("Executing", 0, [5.0]), ("Succeeded", 1, [4.0])]
    assert server.asked[0].headers["last-event-id"] == "0"


def test_updates_go_on_where_a_broken_stream_ended(server, api) -> None:
    executing = {"status": "Executing"}
    server.script = [
        stream(event("2.0a1b2c3d", 0, [[0.1, 1, 5.0], [0.2, 2, 4.0]], **executing)),
        BROKEN,
        BUSY,
        stream(event(2, 2, [], **executing), event("\xfc", 2, [[0.3, 3, 3.0]], **executing)),
        stream(event(3, 3, [], status="Succeeded")),
    ]
    found = [(u.status, [p.cost for p in u.new_trace]) for u in api.updates("j")]
    assert found == [("Executing", [5.0, 4.0]), ("Executing", [3.0]), ("Succeeded", [])]
    assert [asked.headers["last-event-id"] for asked in server.asked] == ["0", *["2.0a1b2c3d"] * 3, "3"]


@pytest.mark.parametrize("base", ["http://h", "http://h/behind/proxy", "http://h/account1"])
@pytest.mark.parametrize("account", ["", "/qiosk"])
def test_uris_name_containers_and_blobs(server, api, base, account) -> None:
    server.script = [Reply(body=json.dumps({"sasUri": f"{base}{account}/inputData/inputData?sig=s"}).encode())]
    for prefix in (base, f"{base}/qiosk"):  # links of an address for which the segment was needed stay good
        assert api.locate(f"{prefix}/c/dir/in%20put?sig=1%2F2") == ("c", "dir/in put")
    for uri in ("", f"{base}/c?sig=s", f"{base}/qiosk/c"):
        with pytest.raises(InvalidValue, match=r"must name a container and a blob, found '[^?]*'$"):
            api.locate(uri)
    (asked,) = server.asked  # for a blob: a link to a container would make it
    assert json.loads(asked.body) == {"containerName": "inputData", "blobName": "inputData"}


def test_updates_of_an_unknown_job_raise(server, api) -> None:
    server.script = [NOT_FOUND]
    with pytest.raises(JobNotFound):
        next(api.updates("j"))


def test_an_error_within_the_stream_is_raised(server, api) -> None:
    gone = b'event: error\ndata: {"error": {"code": "JobNotFound", "message": "deleted"}}\n\n'
    server.script = [stream(event(0, 0, [], status="Executing"), gone)]
    following = api.updates("j")
    next(following)
    with pytest.raises(JobNotFound, match="deleted"):
        next(following)


def test_updates_give_up_a_server_that_stays_away(server, api, monkeypatch) -> None:
    monkeypatch.setattr(events, "OUTAGE_S", 0.05)
    server.script = [BROKEN]
    with pytest.raises(ServiceUnavailable, match="did not respond"):
        list(api.updates("j"))


def test_updates_end_with_the_time_out_but_say_first_where_the_job_stands(server, api) -> None:
    silence = threading.Event()

    def silent():
        yield event(0, 0, [], status="Executing")
        silence.wait(HANG_S)
        yield event(1, 0, [], status="Succeeded")  # what a client gets that has not given up by then

    server.script = [lambda _asked: Reply(headers={}, pieces=silent())]
    for timeout_s in (0.0, 0.2):
        following = api.updates("j", timeout_s=timeout_s)
        assert next(following).status == "Executing"
        with pytest.raises(TimeoutError, match=f"not completed after {timeout_s} s, status is Executing"):
            next(following)
    assert api.wait("j", 0.05).status == "Executing"
    silence.set()


def test_what_is_no_update_is_unreadable(server, api) -> None:
    for data in (b"[]", b"{}", b'{"job": {}}', b'{"job": 1, "trace": [[1]]}'):
        server.script = [stream(b"data: " + data + b"\n\n")]
        with pytest.raises(UnreadableInput):
            next(api.updates("j"))


@given(st.lists(st.integers(1, 40), max_size=8))
def test_events_are_the_same_however_their_bytes_are_cut(cuts: list[int]) -> None:
    data = b": c\n\nevent: update\r\nid: 7\r\ndata: a\ndata:b\nretry: 3\n\ndata: \xc3\xa9\n\ndata: unfinished\n"
    parser, found, at = EventParser(), [], 0
    for cut in [*cuts, len(data)]:
        found += parser.feed(data[at : at + cut])
        at += cut
    assert [(e.kind, e.id, e.data) for e in found] == [("update", "7", "a\nb"), ("message", "7", "é")]


def test_a_connection_string_opens_a_workspace(server) -> None:
    text = f"SubscriptionId=s;ResourceGroupName=g;workspacename=w;ApiKey={KEY}==;QuantumEndpoint={server.url}/;X=1;"
    with Workspace.from_connection_string(text) as workspace:
        server.script = [Reply(body=b'{"value": []}')]
        assert workspace.list_jobs() == []
        assert KEY not in repr(workspace)
    assert urlsplit(server.asked[0].path).path == f"{PATH}/jobs"
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}=="


@pytest.mark.parametrize("text", ["", "ApiKey=x", "QuantumEndpoint", "QuantumEndpoint=;"])
def test_connection_strings_that_lead_nowhere_are_refused(text) -> None:
    with pytest.raises(InvalidValue, match="connection string: "):
        connection_string_members(text)


def named(environ: dict, *given_: str | None, is_local: bool = False) -> Connection | None:
    arguments = (*given_, *(None,) * (5 - len(given_)))
    return connection(*arguments, is_local=is_local, environ=environ)


def test_the_environment_names_server_key_and_workspace() -> None:
    environ = {"QIOSK_URL": "https://q:8000/", "QIOSK_API_KEY": KEY}
    triple = {"QIOSK_SUBSCRIPTION_ID": "s", "QIOSK_RESOURCE_GROUP": "g", "QIOSK_WORKSPACE": "w"}
    assert named({}) is None
    assert named(environ, is_local=True) is None
    assert named(environ) == Connection(url="https://q:8000", api_key=KEY)
    complete = Connection(url="https://q:8000", api_key=KEY, subscription_id="s", resource_group="g", name="w")
    assert named(environ | triple) == complete
    assert named(environ | triple, None, None, "a", "b", "c") == Connection(
        url="https://q:8000", api_key=KEY, subscription_id="a", resource_group="b", name="c"
    )
    with pytest.raises(ValueError, match="resource_group, name missing"):
        named(environ | {"QIOSK_SUBSCRIPTION_ID": "s"})


def test_a_key_is_not_shown_to_another_server() -> None:
    environ = {"QIOSK_URL": "https://q", "QIOSK_API_KEY": KEY}
    assert named(environ, "https://other").api_key is None
    assert named(environ, "https://q/").api_key == KEY
    assert named({"QIOSK_API_KEY": KEY}, "https://other").api_key == KEY


@pytest.mark.parametrize(
    ("url", "key", "text"),
    [
        ("ftp://h", None, "must be http"),
        ("http://", None, "must be http"),
        ("http://h/?x=1", None, "must be http"),
        ("http://user:secret@h", None, "must not hold a user"),
        ("http://h", "two words", "api key: must be printable"),
        ("http://h", "k\r\nX: y", "api key: must be printable"),
        (None, "k", "no url is given"),
    ],
)
def test_urls_and_keys_that_cannot_be_are_refused(url, key, text) -> None:
    with pytest.raises(InvalidValue, match=text) as caught:
        named({}, url, key)
    assert "secret" not in str(caught.value)


def test_a_workspace_opens_a_server_by_its_url_or_the_environment(monkeypatch, tmp_path) -> None:
    assert Workspace("http://h:1", api_key="k").url == "http://h:1"
    assert Workspace("s", "g", "w", url="http://h:1").name == "w"
    monkeypatch.setenv("QIOSK_URL", "http://h:2")
    assert Workspace().url == "http://h:2"
    assert Workspace(home=tmp_path).url is None
    with pytest.raises(InvalidValue, match="not both"):
        Workspace("http://h:1", home=tmp_path)


def test_proxies_of_the_environment_are_used_but_never_for_this_machine(monkeypatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "near.example")
    for url, is_used in (
        ("https://far.example", True),
        ("https://near.example:8000", False),
        ("http://127.0.0.1:8000", False),
        ("http://localhost", False),
    ):
        api = HttpJobs(Connection(url=url))
        assert isinstance(api._transport._pool.get(), urllib3.ProxyManager) is is_used
        api.close()


def test_keys_in_the_clear_are_warned_about(caplog) -> None:
    with caplog.at_level(logging.WARNING):
        HttpJobs(Connection(url="http://127.0.0.1:1", api_key="k"))
        HttpJobs(Connection(url="https://far", api_key="k"))
        assert not caplog.records
        HttpJobs(Connection(url="http://far", api_key="k"))
    assert "the api key goes to http://far unencrypted" in caplog.text


def test_printed_details_show_no_signature() -> None:
    from qiosk.client.details import JobDetails

    uri = "http://h/c?se=1&sig=geheim&sp=r"
    details = JobDetails(container_uri=uri, input_data_format="x", provider_id="p", target="t", output_data_uri=uri)
    assert "geheim" not in str(details) + details._repr_html_()
    assert details.as_dict()["containerUri"] == uri


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "nextLink", "sasUri", "id", "targets", "job", "trace", "status"]), inner
        )
    ),
    max_leaves=12,
)
CALLS = [
    lambda api: api.get("j"),
    lambda api: list(islice(api.list(JobQuery()), 5)),
    lambda api: api.page(JobQuery(session_id="s")),
    lambda api: api.cancel("j"),
    lambda api: api.update("j", PatchJob(name="x")),
    lambda api: api.trace("j"),
    lambda api: api.targets(),
    lambda api: api.quotas(),
    lambda api: api.container_uri("c"),
    lambda api: api.list_blobs("c"),
    lambda api: api.get_blob("c", "b"),
    lambda api: api.put_blob("c", "b", b"x"),
]


@given(st.data(), JSON_VALUES.map(json.dumps).map(str.encode) | st.binary(max_size=60))
def test_whatever_is_answered_raises_nothing_but_our_errors(draw: st.DataObject, body: bytes) -> None:
    api = HttpJobs(Connection(url="http://127.0.0.1:1"))
    api._transport.send = lambda _request: Answer(200, {"Content-Range": "bytes 0-0/1"}, body)
    with suppress(QioskError):
        draw.draw(st.sampled_from(CALLS))(api)


@given(st.binary(max_size=80), JSON_VALUES.map(json.dumps))
def test_whatever_is_streamed_raises_nothing_but_our_errors(noise: bytes, data: str) -> None:
    with suppress(QioskError):
        for found in EventParser().feed(noise + b"\ndata: " + data.encode() + b"\n\n"):
            events._update(found)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_large_transfers_show_a_bar_on_a_terminal_and_only_there(monkeypatch) -> None:
    for stream_type, is_shown in ((Terminal, True), (io.StringIO, False)):
        stderr = stream_type()
        monkeypatch.setattr(sys, "stderr", stderr)
        bar = TransferBar()
        bar("upload small", 5, 10)
        for size in range(0, SHOWN_FROM_BYTES + 1, SHOWN_FROM_BYTES // 4):
            bar("upload large", size, SHOWN_FROM_BYTES)
            bar("another meanwhile", size, SHOWN_FROM_BYTES)
        assert ("upload large" in stderr.getvalue()) is is_shown
        assert "small" not in stderr.getvalue()


def test_a_transfer_that_failed_makes_room_for_the_next(monkeypatch) -> None:
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    bar, stdout = TransferBar(), sys.stdout
    bar("upload one", SHOWN_FROM_BYTES // 2, SHOWN_FROM_BYTES)
    assert sys.stdout is stdout
    bar("upload one", 0, 0)
    bar("upload two", SHOWN_FROM_BYTES // 2, SHOWN_FROM_BYTES)
    bar("upload two", SHOWN_FROM_BYTES, SHOWN_FROM_BYTES)
    shown = stderr.getvalue()
    assert "upload one" in shown
    assert "upload two" in shown
    bar("upload two", SHOWN_FROM_BYTES, SHOWN_FROM_BYTES)  # as the end of a body is told
    assert stderr.getvalue() == shown


def test_a_transfer_of_unknown_size_is_shown_once_it_is_large(monkeypatch) -> None:
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    bar = TransferBar()
    bar("upload stream", SHOWN_FROM_BYTES - 1, 0)
    assert not stderr.getvalue()
    bar("upload stream", SHOWN_FROM_BYTES, 0)
    assert "upload stream" in stderr.getvalue()
    bar("upload stream", 2 * SHOWN_FROM_BYTES, 2 * SHOWN_FROM_BYTES)
    shown = stderr.getvalue()
    assert shown.endswith("\n")


def test_a_bar_that_nobody_ends_gives_the_line_back(monkeypatch) -> None:
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    bar = TransferBar()
    bar("upload stream", SHOWN_FROM_BYTES, 0)
    assert sys.stderr is not stderr
    del bar
    assert sys.stderr is stderr
    assert stderr.getvalue().endswith("\n")
