"""``python -m benchmarks.service.fuzz [--requests 100000] [--seed 0]``: a server under requests that nobody would send.

Bodies of every operation, paths, queries, signed addresses of blobs and problems, each taken from a valid one and
broken somewhere. Looked for are answers of 500 and above, errors that do not say what they are, connections that are
dropped, and text of another workspace in any answer. Exits with 1 if anything was found.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil

from benchmarks.service.served import HANG_S, PROBLEM, TARGET, WORKSPACE, Client, server

FOREIGN = WORKSPACE.replace("/load", "/other")
SECRET = "SECRETTEXTOFANOTHERWORKSPACE"
WORDS = [
    *(
        b"null",
        b"true",
        b"-1",
        b"1e999",
        b"9" * 400,
        b'"\\ud800"',
        b'"\\u0000"',
        b"\xff\xfe",
        b"\x00",
        b"[" * 3000,
        b"{",
    ),
    *(b'{"a":' * 500, b'"' + b"x" * 5000 + b'"', b"..", b"/../", b"%2e%2e%2f", b"'", b'"', b"\r\n", b"{0}", b"%", b"*"),
]


class Attempt(NamedTuple):
    """A request."""

    method: str
    path: bytes
    body: bytes
    headers: dict[str, str]


class Fuzzer:
    """Breaks requests in ways that depend on its seed alone."""

    def __init__(self, seed: int, link: str, foreign: str) -> None:
        self._random = random.Random(seed)
        parts = urlsplit(link)
        self._container, self._query = parts.path, parts.query
        self._foreign = urlsplit(foreign)
        self._makers: list[Callable[[], Attempt]] = [
            self._job,
            self._json,
            self._list,
            self._path,
            self._blob,
            self._problem,
        ]

    def attempt(self) -> Attempt:
        """The next request."""
        return self._random.choice(self._makers)()

    def _broken(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self._random.choice((0, 1, 1, 2, 5))):
            place = self._random.randrange(len(changed) + 1)
            match self._random.randrange(4):
                case 0:
                    changed[place:place] = self._random.choice(WORDS)
                case 1:
                    del changed[place : place + self._random.randrange(20)]
                case 2:
                    changed[place : place + 1] = bytes([self._random.randrange(256)])
                case _:
                    end = place + self._random.randrange(30)
                    changed[place:end] = self._random.choice(WORDS)
        return bytes(changed)

    def _id(self) -> str:
        return f"fuzz-{self._random.randrange(200)}"

    def _definition(self) -> bytes:
        document = {
            "containerUri": f"http://h{self._container}?{self._query}",
            "inputDataUri": f"http://h{self._container}/problem-{self._random.randrange(50)}",
            "inputDataFormat": "microsoft.qio.v2",
            "inputParams": {"params": {"timeout": 1, "seed": 1}},
            "providerId": "Microsoft",
            "target": TARGET,
            "name": "n",
            "metadata": {"a": "b"},
            "tags": ["t"],
        }
        return json.dumps(document).encode()

    def _job(self) -> Attempt:
        return self._sent("PUT", f"/jobs/{self._id()}", self._broken(self._definition()))

    def _json(self) -> Attempt:
        method, path, document = self._random.choice(
            [
                ("PATCH", f"/jobs/{self._id()}", [{"op": "replace", "path": "/name", "value": "x"}]),
                ("PATCH", f"/jobs/{self._id()}", {"name": "x", "tags": ["a"], "priority": "High"}),
                ("PUT", f"/sessions/{self._id()}", {"name": "s", "providerId": "Microsoft", "target": TARGET}),
                ("POST", "/storage/sasUri", {"containerName": "c", "blobName": "b"}),
            ]
        )
        return self._sent(method, path, self._broken(json.dumps(document).encode()))

    def _list(self) -> Attempt:
        query = (
            b"filter=startswith(Name,%20'a')%20and%20(State%20eq%20'Failed')%20and%20CreationTime%20ge%202024-01-01"
            b"&orderby=Name%20asc&top=10&skip=0&token=WyJOYW1lIiwgdHJ1ZV0"
        )
        path = self._random.choice((b"/jobs", b"/sessions", b"/topLevelItems"))
        return Attempt("GET", WORKSPACE.encode() + path + b"?" + _line(self._broken(query)), b"", {})

    def _path(self) -> Attempt:
        method = self._random.choice(("GET", "POST", "DELETE", "PUT", "PATCH"))
        path = f"/v1.0{WORKSPACE}/jobs/{self._id()}{self._random.choice(('', ':cancel', '/results', '/trace?after=1'))}"
        return Attempt(method, b"/" + _line(self._broken(path.encode())).lstrip(b"/"), b"", {})

    def _blob(self) -> Attempt:
        """A blob of ours with a broken address, or one of another workspace with our signature."""
        place = self._random.choice((self._container, self._foreign.path)).encode()
        query = self._random.choice((self._query, self._foreign.query)).encode()
        name = self._random.choice((b"", b"/inputData", b"/problem-1", b"/../other/inputData"))
        whole = (
            place
            + name
            + b"?"
            + query
            + self._random.choice((b"", b"&restype=container&comp=list", b"&comp=blocklist"))
        )
        method = self._random.choice(("GET", "HEAD", "PUT", "DELETE"))
        address = whole
        while address == whole or self._foreign.query.encode() in address:  # the foreign signature, whole, is no crime
            address = _line(self._broken(whole))
        return Attempt(
            method, b"/" + address.lstrip(b"/"), self._broken(b"<BlockList/>"), {"x-ms-blob-type": "BlockBlob"}
        )

    def _problem(self) -> Attempt:
        path = f"{self._container}/problem-{self._random.randrange(50)}?{self._query}".encode()
        return Attempt("PUT", path, self._broken(PROBLEM), {"x-ms-blob-type": "BlockBlob"})

    def _sent(self, method: str, path: str, body: bytes) -> Attempt:
        return Attempt(method, f"{WORKSPACE}{path}".encode(), body, {"Content-Type": "application/json"})


def _line(path: bytes) -> bytes:
    """The path as one word, as far as a request line goes."""
    return b"".join(bytes([c]) if 0x21 <= c <= 0x7E else b"%%%02X" % c for c in path) or b"/"


def run(requests: int, seed: int) -> list[str]:
    """What was found."""
    found: list[str] = []
    statuses: Counter[int] = Counter()
    with server(QIOSK_CONCURRENT_JOBS="1", QIOSK_MAX_ATTEMPTS="2") as (url, pid):
        client = Client(url)
        foreign = client.json("POST", f"{FOREIGN}/storage/sasUri", {"containerName": "mine"})["sasUri"]
        parts = urlsplit(foreign)
        client.call("PUT", f"{parts.path}/inputData?{parts.query}", SECRET.encode(), {"x-ms-blob-type": "BlockBlob"})
        link = client.json("POST", f"{WORKSPACE}/storage/sasUri", {"containerName": "mine"})["sasUri"]
        fuzzer = Fuzzer(seed, link, foreign)
        begin = time.monotonic()
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=HANG_S)
        for number in range(requests):
            attempt = fuzzer.attempt()
            problem, status = _send(connection, attempt)
            statuses[status] += 1
            if problem:
                found.append(f"{number}: {problem}: {attempt.method} {attempt.path[:200]!r} {attempt.body[:200]!r}")
                print(found[-1], flush=True)
        is_alive = psutil.pid_exists(pid) and Client(url).call("GET", "/healthz") == b'{"status":"alive"}'
        seconds = time.monotonic() - begin
    if not is_alive:
        found.append("the server is gone")
    print(f"{requests} requests in {seconds:.0f} s: {dict(sorted(statuses.items()))}")
    return found


def _send(connection: http.client.HTTPConnection, attempt: Attempt) -> tuple[str, int]:
    """What is wrong with the answer, if anything, and its status."""
    try:
        connection.putrequest(attempt.method, attempt.path.decode("ascii"), skip_accept_encoding=True)
        for name, value in {**attempt.headers, "Content-Length": str(len(attempt.body))}.items():
            connection.putheader(name, value)
        connection.endheaders(attempt.body)
        answer = connection.getresponse()
        data = answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return f"no answer ({error!r})", 0
    if answer.status >= 500:
        return f"status {answer.status} {data[:300]!r}", answer.status
    if SECRET.encode() in data:
        return "foreign data", answer.status
    if (
        answer.status >= 400
        and attempt.method != "HEAD"
        and not _is_error(answer.headers.get("content-type", ""), data)
    ):
        return f"an error without words: {answer.status} {data[:300]!r}", answer.status
    return "", answer.status


def _is_error(kind: str, data: bytes) -> bool:
    if kind.startswith("application/xml"):
        return b"<Code>" in data and b"<Message>" in data
    try:
        error = json.loads(data)["error"]
    except (ValueError, KeyError, TypeError):
        return data == b"Invalid HTTP request received."
    return bool(error["code"] and error["message"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    problems = run(given.requests, given.seed)
    print(f"{len(problems)} found")
    sys.exit(1 if problems else 0)
