"""Routes: which function answers, what it is given, and what is said of paths that are not answered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import anyio.from_thread
import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from qiosk.errors import NotFound
from qiosk.server.web.errors import ERROR_HANDLERS
from qiosk.server.web.routing import Routes, RouteTable
from servers import HOST, AppTransport


async def provide_host(request: Request) -> str:
    if request.headers["host"] == "refused":
        raise NotFound("no such host")
    return request.headers["host"]


HERE = Routes("Here")


@HERE.get("/things/{thing_id}")
async def get_thing(thing_id: str) -> Response:
    return PlainTextResponse(f"get {thing_id}")


@HERE.put("/things/{thing_id}")
async def put_thing(request: Request, thing_id: str, host: Annotated[str, provide_host]) -> Response:
    return PlainTextResponse(f"put {thing_id} {host} {(await request.body()).decode()}")


@HERE.post("/things/{thing_id}:stop")
async def stop_thing(thing_id: str) -> Response:
    return PlainTextResponse(f"stop {thing_id}")


@HERE.get("/things/{thing_id}/parts.list")
async def get_parts(thing_id: str) -> Response:
    return PlainTextResponse(f"parts {thing_id}")


@HERE.get("/endless")
async def get_endless() -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"x"

    return StreamingResponse(pieces(), headers={"Content-Type": "text/plain"})


@HERE.post("/stop")
async def stop_all() -> Response:
    return PlainTextResponse("stopped")


async def otherwise(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"].endswith("/nothing"):
        raise HTTPException(404, "nothing here")
    await PlainTextResponse("otherwise")(scope, receive, send)


JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    app = Starlette(exception_handlers=ERROR_HANDLERS)
    app.router.default = RouteTable(HERE.below("/w/{w}"), otherwise)
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        httpx.Client(transport=AppTransport(app, portal), base_url=HOST) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", "/w/1/things/a", "get a"),
        ("GET", "/w/1/things/a%20b", "get a b"),
        ("GET", "/w/1/things/a:stop", "get a:stop"),
        ("GET", "/w/1/things/a%0Ab", "get a\nb"),
        ("PUT", "/w/1/things/a", f"put a {HOST.partition('//')[2]} hello"),
        ("POST", "/w/1/things/a:stop", "stop a"),
        ("POST", "/w/1/things/a:b:stop", "stop a:b"),
        ("GET", "/w/1/things/a/parts.list", "parts a"),
        ("GET", "/w/1/things/a/partsxlist", "otherwise"),
        ("GET", "/w/1/things/", "otherwise"),
        ("GET", "/w/1/things/a/", "otherwise"),
        ("GET", "/w/1/Things/a", "otherwise"),
        ("GET", "/x/w/1/things/a", "otherwise"),
        ("DELETE", "/", "otherwise"),
    ],
)
def test_a_path_is_answered_by_its_function(http: httpx.Client, method: str, path: str, answer: str) -> None:
    said = http.request(method, path, content="hello" if method == "PUT" else None, headers=JSON)
    assert (said.status_code, said.text) == (200, answer)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/w/1/things/a", "GET, HEAD, PUT"),
        ("DELETE", "/w/1/things/a:stop", "POST"),
        ("HEAD", "/w/1/stop", "POST"),
        ("DELETE", "/w/1/things/a:start", "GET, HEAD, PUT"),
        ("POST", "/w/1/things/a/parts.list", "GET, HEAD"),
    ],
)
def test_another_method_is_refused_with_those_there_are(
    http: httpx.Client, method: str, path: str, allowed: str
) -> None:
    said = http.request(method, path)
    assert (said.status_code, said.headers["allow"]) == (405, allowed)
    if method != "HEAD":
        assert said.json()["error"]["code"] == "MethodNotAllowed"


@pytest.mark.parametrize("path", ["/w/1/things/a", "/w/1/things/a:stop", "/w/1/things/a/parts.list"])
def test_head_is_answered_wherever_get_is(http: httpx.Client, path: str) -> None:
    said, asked = http.get(path), http.head(path)
    assert (asked.status_code, asked.headers, asked.content) == (200, said.headers, b"")
    assert int(asked.headers["content-length"]) == len(said.content)


def test_the_head_of_a_stream_that_does_not_end_is_answered(http: httpx.Client) -> None:
    asked = http.head("/w/1/endless")
    assert (asked.status_code, asked.headers["content-type"], asked.content) == (200, "text/plain", b"")


def test_what_a_provider_raises_is_the_answer(http: httpx.Client) -> None:
    said = http.put("/w/1/things/a", headers={"host": "refused"})
    assert (said.status_code, said.json()["error"]["message"]) == (404, "no such host")


def test_what_nobody_answers_is_not_found(http: httpx.Client) -> None:
    said = http.get("/nothing")
    assert (said.status_code, said.json()["error"]["code"]) == (404, "NotFound")
