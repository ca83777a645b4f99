"""Memory of the server while a large blob goes up and down: ``python -m benchmarks.service.upload [--mib 4096]``.

The server is a process of its own; its memory is the peak that the kernel counted. Once the client is Azure's library,
which sends blocks of 4 MiB, and once a single request with the whole blob as its body.
"""

from __future__ import annotations

import argparse
import http.client
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from azure.storage.blob import BlobClient

from benchmarks.service.served import HANG_S, WORKSPACE, server

MIB = 1 << 20
_PIECE = bytes(range(256)) * 4096


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=4096, help="size of the blob")
    given = parser.parse_args()
    for name, put in (("in blocks", put_blocks), ("in one request", put_once)):
        with server() as (url, pid):
            link = link_to(url, "large")
            before = peak_mib(pid)
            upload_s = timed(lambda: put(link, given.mib))  # noqa: B023 - called at once
            after = peak_mib(pid)
            download_s = timed(lambda: download(link, given.mib))  # noqa: B023
            print(f"{given.mib} MiB {name}: server's peak at rest {before:.0f} MiB")
            print(f"  upload   {upload_s:6.1f} s, peak {after:.0f} MiB")
            print(f"  download {download_s:6.1f} s, peak {peak_mib(pid):.0f} MiB", flush=True)


def link_to(url: str, name: str) -> str:
    """A link that opens a blob of the server, which it may write."""
    body = json.dumps({"containerName": "c", "blobName": name}).encode()
    request = urllib.request.Request(f"{url}{WORKSPACE}/storage/sasUri", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["sasUri"])


def pieces(mib: int) -> Iterator[bytes]:
    """Content of a blob."""
    for _ in range(mib):
        yield _PIECE


def put_blocks(link: str, mib: int) -> None:
    """As Azure's library does."""
    with BlobClient.from_blob_url(link, connection_timeout=HANG_S, read_timeout=HANG_S) as blob:
        blob.upload_blob(pieces(mib), length=mib * MIB, overwrite=True)


def put_once(link: str, mib: int) -> None:
    """One request."""
    parts = urlsplit(link)
    connection = http.client.HTTPConnection(parts.netloc, timeout=HANG_S)
    headers = {"x-ms-blob-type": "BlockBlob", "Content-Length": str(mib * MIB)}
    connection.request("PUT", f"{parts.path}?{parts.query}", pieces(mib), headers)
    response = connection.getresponse()
    assert response.status == 201, response.read()
    connection.close()


def download(link: str, mib: int) -> None:
    """Read it once, in the ranges that Azure's library asks for."""
    with BlobClient.from_blob_url(link) as blob:
        size = sum(len(chunk) for chunk in blob.download_blob().chunks())
    assert size == mib * MIB


def timed(work: Callable[[], None]) -> float:
    """Seconds that ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak_mib(pid: int) -> float:
    """Largest resident memory of a process so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
