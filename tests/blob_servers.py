"""A server of blobs alone, on a free port of this machine, for clients that speak HTTP."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import uvicorn
from starlette.applications import Starlette

from patience import HANG_S
from qiosk.server.auth.links import Links
from qiosk.server.blobs.endpoint import BlobEndpoint
from qiosk.server.blobs.operations import BlobService
from qiosk.service.blobs.store import Storage

SECRET = b"0123456789abcdef0123456789abcdef"


def no_limit(workspace: str, extra: int) -> None:
    """Any number of bytes may be stored."""


def blob_app(storage: Storage, **members) -> Starlette:
    given = {"secret": SECRET, "now": lambda: datetime.now(UTC), "check_bytes": no_limit, **members}
    app = Starlette()
    app.router.default = BlobEndpoint(BlobService(storage=storage, **given))
    return app


@dataclass(frozen=True)
class BlobServer:
    base: str
    storage: Storage

    def links(self, workspace: str = "s/g/w", *, may_write: bool = True) -> Links:
        return Links(
            storage=self.storage,
            secret=SECRET,
            workspace=workspace,
            base=self.base,
            may_write=may_write,
            now=lambda: datetime.now(UTC),
        )


@contextlib.contextmanager
def serving(storage: Storage, **members) -> Iterator[BlobServer]:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(blob_app(storage, **members), log_config=None, access_log=False, lifespan="off")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    try:
        yield BlobServer(f"http://127.0.0.1:{port}", storage)
    finally:
        server.should_exit = True
        thread.join(HANG_S)
        listening.close()
    assert not thread.is_alive()
