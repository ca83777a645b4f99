"""Mangled links: nothing of others is read or changed, nothing breaks. ``QIOSK_FUZZ=100000`` tries that many."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import pytest
from starlette.types import ASGIApp

from blob_servers import SECRET, blob_app
from qiosk.adapters.blobs.local import LocalStorage
from qiosk.server.auth.links import Links
from qiosk.service.blobs.locations import ServedLocations
from qiosk.service.blobs.store import BlobHeaders
from qiosk.service.jobs.job import BlobRef

TRIES = int(os.environ.get("QIOSK_FUZZ", "3000"))
MARK = b"this belongs to the victim"
OURS, THEIRS = "s/g/attacker", "s/g/victim"
METHODS = ["GET", "GET", "GET", "HEAD", "PUT", "PUT", "DELETE", "POST", "PATCH"]
QUERIES = ["", "comp=block&blockid=YQ==", "comp=blocklist", "comp=metadata", "restype=container", "comp=x"]
QUERIES += ["restype=container&comp=list", "restype=container&comp=list&marker=%ff&maxresults=-1"]
BODIES = [b"", b"x" * 50, b"<BlockList><Latest>YQ==</Latest></BlockList>", b"<!DOCTYPE a><BlockList/>", b"\xff\xfe<"]
HEADERS = [
    {},
    {"range": "bytes=0-9"},
    {"x-ms-range": "bytes=-"},
    {"if-match": '"x"'},
    {"x-ms-blob-type": "PageBlob"},
    {"content-length": "x"},
    {"content-length": "99999999999999999999"},
    {"content-md5": "eA=="},
    {"x-ms-meta-\xfc": "\xff"},
    {"authorization": "SharedKey victim:AAAA"},
]
BITS = ["..", "/", "%2e%2e", "%2f", "%00", "%", "%zz", "%c0%ae", "\\", "+", " ", "?", "#", "&", ";", "=", "%252e", "ü"]


async def call(app: ASGIApp, method: str, target: bytes, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    """Send a request without a client that would tidy it up."""
    path, _, query = target.partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path.decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "state": {},
    }
    said: dict[str, object] = {"status": 0, "body": b""}

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            said["status"] = message["status"]
        else:
            said["body"] += message.get("body", b"")

    await app(scope, receive, send)
    return said["status"], said["body"]


def mangle(rng: random.Random, link: str, others: list[str]) -> bytes:
    """A link with one to four things wrong with it."""
    parts = urlsplit(link)
    path, pairs = parts.path, [tuple(pair.split("=", 1)) for pair in parts.query.split("&")]
    for _ in range(rng.randint(1, 4)):
        other = urlsplit(rng.choice(others))
        match rng.randrange(9):
            case 0:
                path = other.path
            case 1:
                pairs = [pair for pair in pairs if rng.random() < 0.8]
            case 2:
                pairs.append(rng.choice([tuple(pair.split("=", 1)) for pair in other.query.split("&")]))
            case 3 if pairs:
                name, value = pairs.pop(rng.randrange(len(pairs)))
                wrong = [value[:-1], value + "A", value.swapcase(), quote(value), "", "2099-01-01"]
                pairs.append((name, rng.choice(wrong)))
            case 4:
                at = rng.randrange(len(path) + 1)
                path = path[:at] + rng.choice(BITS) + path[at:]
            case 5:
                at = rng.randrange(len(path) + 1)
                path = path[:at] + path[at + 1 :]
            case 6:
                wrong = [path + "/../secret", "/qiosk/../" + path, path.upper(), quote(path, safe=""), "//" + path]
                path = rng.choice(wrong)
            case 7:
                path = path.replace("mine", "secret")
            case 8:
                rng.shuffle(pairs)
    query = "&".join([f"{name}={value}" for name, value in pairs] + [rng.choice(QUERIES)])
    return f"{path}?{query}".encode("utf-8", "surrogatepass")


def snapshot(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mangled_links_open_nothing_of_others(tmp_path, seed, caplog):
    rng = random.Random(seed)
    storage = LocalStorage(tmp_path / "blobs", ServedLocations())
    (tmp_path / "outside").write_bytes(MARK)
    for name in ("secret", "mine"):
        storage.blobs(THEIRS).put(BlobRef("box", name), MARK, headers=BlobHeaders(metadata={"m": MARK.decode()}))
    for name in ("secret", "mine"):
        storage.blobs(OURS).put(BlobRef("locked", name), MARK if name == "secret" else b"ours")
    before = snapshot(tmp_path)

    def links(workspace, *, may_write=True, **members):
        given = {"storage": storage, "secret": SECRET, "base": "http://127.0.0.1", "workspace": workspace}
        return Links(**given, may_write=may_write, now=app_now, **members)

    app = blob_app(storage, now=app_now)
    usable = [links(OURS).container("box"), links(OURS).blob("box", "mine")]
    usable += [links(OURS, may_write=False).blob("locked", "mine")]
    forged = [link.partition("sig=")[0] + "sig=" + "A" * 43 + "%3D" for link in (links(THEIRS).container("box"),)]
    statuses: Counter[int] = Counter()

    async def attack():
        for _ in range(TRIES // 3):
            target = mangle(rng, rng.choice(usable), usable + forged)
            status, body = await call(app, rng.choice(METHODS), target, rng.choice(HEADERS), rng.choice(BODIES))
            statuses[status] += 1
            assert 200 <= status < 500, target
            assert MARK not in body, target

    asyncio.run(attack())
    after = snapshot(tmp_path)
    assert {path: content for path, content in after.items() if not is_open(path)} == before
    assert statuses[403] > TRIES // 30
    assert statuses[200] + statuses[201] + statuses[206] > 0
    assert caplog.records == []


def is_open(path: str) -> bool:
    """Whether a link of ours may write there: the container ``box`` of our own workspace."""
    own = "blobs/s%2Fg%2Fattacker/"
    return path.startswith((f"{own}box/", f"{own}.headers/box/", f"{own}.unfinished/box/"))


def app_now() -> datetime:
    return datetime(2026, 3, 4, tzinfo=UTC)
