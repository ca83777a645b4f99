"""Servers for tests: in this process over ports in memory, reached without a socket."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio.from_thread
import httpx
import structlog
import uvicorn
from starlette.types import ASGIApp

from fake_runners import run as run_fake
from patience import HANG_S
from qiosk.bootstrap import ServerParts
from qiosk.contract.jobs import SubmitJob
from qiosk.contract.quotas import Dimension
from qiosk.dashboard import create_dashboard
from qiosk.server.app import create_app
from qiosk.server.settings import ServerSettings
from qiosk.server.web.admission import MAX_EXTRA, Admission, Room
from qiosk.server.web.serving import Server
from qiosk.service.accounts.keys import Authenticator, KeyService
from qiosk.service.accounts.quotas import QuotaService
from qiosk.service.blobs.locations import ServedLocations
from qiosk.service.jobs.job_service import JobService
from qiosk.service.jobs.runs import JobRunner
from qiosk.service.jobs.statistics import JobStatistics
from qiosk.solvers.targets.catalogue import Catalogue
from qiosk.testing import (
    DeferredExecutor,
    InlineExecutor,
    ManualClock,
    MemoryJobStore,
    MemoryKeyStore,
    MemoryLimitStore,
    MemorySessionStore,
    MemoryStatistics,
    MemoryStorage,
)


def log_plainly() -> None:
    """Log as servers do that are no programs: a traceback, which structlog itself draws for seconds, is plain text."""
    structlog.reset_defaults()
    plain = structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(processors=[structlog.processors.format_exc_info, plain])


log_plainly()

HOST = "http://jobs.test:8000"
WORKSPACE = "/subscriptions/ABC-1/resourceGroups/Group/providers/Microsoft.Quantum/workspaces/Mine"


class MemoryParts:
    """All that a server serves, in memory. ``run`` runs the jobs that wait, by ``runner``."""

    runner: JobRunner = staticmethod(run_fake)

    def __init__(self, **limits: float) -> None:
        self.clock = ManualClock()
        self.store = MemoryJobStore()
        self.storage = MemoryStorage(ServedLocations())
        self.keys = MemoryKeyStore()
        self.session_store = MemorySessionStore(self.store)
        self.limits = MemoryLimitStore()
        self.quotas = QuotaService(
            jobs=self.store,
            sessions=self.session_store,
            limits=self.limits,
            defaults={Dimension(name): limit for name, limit in limits.items()},
            clock=self.clock,
            stored_bytes=lambda workspace: self.storage.blobs(workspace).usage(),
        )
        self.executors: dict[str, DeferredExecutor] = {}
        self.parts = ServerParts(
            jobs=self.jobs,
            authenticator=Authenticator(self.keys, self.clock),
            keys=KeyService(self.keys, self.clock),
            limits=self.limits,
            storage=self.storage,
            secret=b"a secret of the tests",
            check_bytes=self.quotas.check_bytes,
            executor=self.executor("of nobody"),
            now=self.clock.now,
            statistics=JobStatistics(MemoryStatistics(self.store), self.clock),
            running=self.store.running,
            version=self.store.version,
            checks={"database": lambda: None},
            announce=lambda: None,
            examine=lambda: None,
            stop=lambda: True,
            close=lambda: None,
        )

    def executor(self, workspace: str) -> DeferredExecutor:
        inner = InlineExecutor(self.store, self.storage.blobs(workspace), self.clock, self.runner)
        return self.executors.setdefault(workspace, DeferredExecutor(inner))

    def submit(self, name: str = "a job", order: Any = None, workspace: str = "default", **members: Any) -> str:
        """Submit a job with these bytes, or with an order to ``fake_runners``; returns its id."""
        data = order if isinstance(order, bytes) else json.dumps(order or {}).encode()
        given = {"name": name, "provider_id": "qiosk", "target": "qiosk.auto", "input_data": data, **members}
        return self.jobs(workspace).submit(SubmitJob(**given)).id

    def run(self, workspace: str) -> None:
        """Run the jobs that wait; all of them have to be of this workspace."""
        self.executor(workspace).run()

    def jobs(self, workspace: str) -> JobService:
        return JobService(
            workspace=workspace,
            jobs=self.store,
            blobs=self.storage.blobs(workspace),
            targets=Catalogue(),
            executor=self.executor(workspace),
            clock=self.clock,
            new_id=new_id,
            sessions=self.session_store,
            quotas=self.quotas,
        )


def new_id() -> str:
    return str(uuid.uuid4())


class AppTransport(httpx.BaseTransport):
    """Sends requests to an app that runs in another thread's event loop."""

    def __init__(self, app: ASGIApp, portal: anyio.from_thread.BlockingPortal) -> None:
        self._inner = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._portal = portal

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def send() -> httpx.Response:
            body = request.read()
            again = httpx.Request(request.method, request.url, headers=request.headers, content=body)
            response = await self._inner.handle_async_request(again)
            await response.aread()
            return response

        response = self._portal.call(send)
        headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-encoding"]
        return httpx.Response(response.status_code, headers=headers, content=response.content)  # it is decoded


@contextmanager
def serving(parts: ServerParts, **settings) -> Iterator[httpx.Client]:
    """A client of a server over these parts."""
    app = create_app(parts, ServerSettings(**{"hosts": ("jobs.test",), **settings}), create_pages=create_dashboard)
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
        httpx.Client(transport=AppTransport(app, portal), base_url=HOST) as client,
    ):
        yield client


class _Stopping(Server):
    """A server that ends its event streams when it stops, as ``qiosk serve`` does."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.state.changes.stop()
        await super().shutdown(sockets)


@contextmanager
def listening(parts: ServerParts, *, extras: int = MAX_EXTRA, port: int = 0, **settings) -> Iterator[str]:
    """The URL of a server over these parts, on a socket of the loopback; port 0 is any free one."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        chosen = ServerSettings(**settings)
        app = create_app(parts, chosen, create_pages=create_dashboard)
        config = uvicorn.Config(app, log_config=None, access_log=False)
        port = listener.getsockname()[1]
        server = _Stopping(config, listener, Admission(Room(chosen.max_connections, extras)))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(HANG_S)
        assert not thread.is_alive()
