"""Several real servers for tests, each with a home of its own, over one PostgreSQL and one storage."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from qiosk.adapters.sql.databases.database import Database, parse_url
from qiosk.adapters.sql.jobs import SqlJobStore
from qiosk.adapters.sql.quotas import SqlLimitStore
from qiosk.adapters.sql.sharing import SqlWatchers
from qiosk.client.workspace import Workspace
from qiosk.contract.jobs import SubmitJob
from qiosk.service.jobs.job import Job
from served import Served, served

SECRET = "a secret that the servers of tests share"


class Together:
    """Starts the servers, and ends all of them at the end of its context. Jobs are run by ``fake_runners``."""

    def __init__(self, folder: Path, database: str, storage: str = "") -> None:
        self._folder = folder
        self._shared = {"database": database, "storage": storage or (folder / "blobs").as_uri()}
        self._open = ExitStack()
        self.servers: dict[str, Served] = {}
        self._database = Database(parse_url(database, default=Path()))
        self.store = SqlJobStore(self._database)
        self.limits = SqlLimitStore(self._database)
        self.watchers = SqlWatchers(self._database)

    def __enter__(self) -> Together:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self._database.close()

    def start(self, name: str, *, release: Path | None = None, **settings: str) -> Served:
        """A server over the home ``name``; ``release`` as for ``served``."""
        given = {"concurrent_jobs": "1", "secret_key": SECRET, **self._shared, **settings}
        server = served(self._folder / name, runner="fake_runners:run", release=release, **given)
        self.servers[name] = self._open.enter_context(server)
        return self.servers[name]

    def workspaces(self, name: str = "any") -> list[Workspace]:
        """The workspace ``sub/group/NAME`` on each server."""
        opened = (Workspace("sub", "group", name, url=server.url) for server in self.servers.values())
        return [self._open.enter_context(workspace) for workspace in opened]

    def jobs_of(self, name: str) -> list[Job]:
        """The jobs of that workspace that run."""
        return [job for job in self.store.running() if job.workspace == f"sub/group/{name}"]

    def runs(self, job_id: str) -> list[str]:
        """The homes in which runs of a job began, one for each run."""
        begun = re.compile(rf"job {job_id}: attempt \d+ runs as process")
        return [name for name, server in self.servers.items() for _ in begun.findall(_supervisor_log(server))]


def command(order: dict[str, Any] | None = None, **members: Any) -> SubmitJob:
    """A job whose input is an order to ``fake_runners``."""
    given = {"name": "a", "provider_id": "Microsoft", "target": "microsoft.tabu.cpu"}
    return SubmitJob(**{**given, "input_data": json.dumps(order or {}).encode(), **members})


def _supervisor_log(server: Served) -> str:
    log = server.home / "supervisor.log"
    return log.read_text() if log.exists() else ""
