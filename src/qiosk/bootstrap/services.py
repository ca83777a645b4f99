"""Services over a home: for programs of this machine, and for a server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import final

from qiosk.adapters.home.home import Home, ServerPresence
from qiosk.adapters.home.launcher import SupervisorLauncher
from qiosk.adapters.home.secret_key import load_secret
from qiosk.bootstrap.stores import Stores
from qiosk.machine import user_and_host
from qiosk.service.accounts.keys import Authenticator, KeyService
from qiosk.service.accounts.quotas import LimitStore
from qiosk.service.blobs.link_secret import LinkSecret
from qiosk.service.blobs.locations import BlobLocations, ServedLocations
from qiosk.service.blobs.store import Storage
from qiosk.service.jobs.job import Job
from qiosk.service.jobs.job_service import JobService
from qiosk.service.jobs.statistics import JobStatistics
from qiosk.service.ports import Executor
from qiosk.settings import Settings, choose_settings, is_secret_variable, read_settings
from qiosk.solvers.targets.catalogue import Catalogue

STOP_MARGIN_S = 10.0
"""How much longer than its jobs a supervisor may take to stop: it ends those that do not, and writes them all."""
_OPEN_WORKSPACES = 1024
"""Workspaces whose services are cached; those of others are created for each request."""


def open_embedded(
    home: Path | None = None,
    workspace: str = "default",
    settings: Settings | None = None,
    *,
    runner: str | None = None,
) -> JobService:
    """A service over a folder of this machine; processes that open the same one share its jobs.

    ``home`` and ``settings`` default to the environment's; ``workspace`` is any text, and isolates jobs and
    blobs. ``runner`` is the dotted name of a ``service.runs.JobRunner`` to use instead of the solvers'.
    Raises InvalidValue for settings that are wrong.
    """
    return _Assembly(choose_settings(home, settings), runner=runner).jobs(workspace)


@dataclass(frozen=True, kw_only=True)
class ServerParts:
    """What a server serves. Services of a workspace are cheap.

    ``secret`` signs links to blobs. ``check_bytes(workspace, extra)`` raises QuotaExceeded if so many more bytes are
    too many. ``running`` are the jobs of all workspaces that are claimed now. ``version`` is the store's. ``checks``
    are what has to work, by name: each one raises if it does not. ``announce`` tells other servers of the database
    which secret signs links here; it raises Conflict if theirs is another one. ``examine`` looks for damage in the
    database, which takes seconds, for the check of the database to find. ``stop`` ends the work on jobs, which wait
    again then; False if that takes longer than the settings allow and ``STOP_MARGIN_S`` on top.
    """

    jobs: Callable[[str], JobService]
    storage: Storage
    secret: bytes = field(repr=False)
    authenticator: Authenticator
    keys: KeyService
    limits: LimitStore
    check_bytes: Callable[[str, int], None]
    executor: Executor
    now: Callable[[], datetime]
    statistics: JobStatistics
    running: Callable[[], Sequence[Job]]
    version: Callable[[], int]
    checks: Mapping[str, Callable[[], object]]
    announce: Callable[[], object]
    examine: Callable[[], object]
    stop: Callable[[], bool]
    close: Callable[[], None]


def open_server(
    settings: Settings | None = None,
    *,
    admin_key: str | None = None,
    secret_key: str | None = None,
    base_path: str = "",
    runner: str | None = None,
) -> ServerParts:
    """Services of all workspaces over one store, for a server; see ``open_embedded`` for the arguments.

    ``admin_key`` opens everything. ``secret_key`` signs links to blobs, by default that in a file of the home.
    ``base_path`` is the path under which a proxy serves Qiosk's paths. Raises InvalidValue for settings that are wrong;
    Conflict or ServiceUnavailable for a database that cannot be used.
    """
    chosen = settings if settings is not None else read_settings(os.environ)
    assembly = _Assembly(chosen, served=ServedLocations(base_path), runner=runner)
    home, stores, executor = assembly.home, assembly.stores, assembly.executor
    presence = ServerPresence(home)
    executor.revive()
    secret = load_secret(home.path / "secret.key") if secret_key is None else secret_key.encode()
    checks = {"database": stores.check_database, "storage": stores.check_storage, "supervisor": executor.check}
    if stores.link_secrets is not None:
        checks["links"] = LinkSecret(secret, stores.link_secrets, stores.clock).check
    patience_s = chosen.stop_seconds + STOP_MARGIN_S

    def stop() -> bool:
        presence.end()
        # Another server of this home still needs the supervisor.
        return home.is_served() or executor.stop(patience_s)

    def close() -> None:
        presence.end()
        stores.close()

    return ServerParts(
        jobs=lru_cache(_OPEN_WORKSPACES)(assembly.jobs),
        storage=stores.storage,
        secret=secret,
        authenticator=Authenticator(stores.keys, stores.clock, admin_key=admin_key),
        keys=KeyService(stores.keys, stores.clock),
        limits=stores.limits,
        check_bytes=stores.quotas.check_bytes,
        executor=executor,
        now=stores.clock.now,
        statistics=JobStatistics(stores.statistics, stores.clock),
        running=stores.jobs.running,
        version=stores.jobs.version,
        checks=checks,
        announce=checks.get("links", lambda: None),
        examine=stores.examine,
        stop=stop,
        close=close,
    )


@final
class _Assembly:
    """The adapters of one home, and the services made of them."""

    def __init__(self, settings: Settings, *, served: BlobLocations | None = None, runner: str | None = None) -> None:
        self.home = Home(settings.home)
        self.stores = Stores(self.home, settings, served)
        environ = replace(settings, home=self.home.path).to_environ()
        self.executor = SupervisorLauncher(self.home, environ, is_secret=is_secret_variable, runner=runner)
        self._targets = Catalogue()

    def jobs(self, workspace: str) -> JobService:
        """The jobs of a workspace."""
        return JobService(
            workspace=workspace,
            jobs=self.stores.jobs,
            blobs=self.stores.storage.blobs(workspace),
            targets=self._targets,
            executor=self.executor,
            clock=self.stores.clock,
            new_id=_new_id,
            sessions=self.stores.sessions,
            quotas=self.stores.quotas,
            submitter=user_and_host(),
        )


def _new_id() -> str:
    return str(uuid.uuid4())
