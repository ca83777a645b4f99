"""The one place that names adapters: puts a service together."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import final

from qiosk.adapters.blobs.storage import open_storage, storage_url
from qiosk.adapters.home.home import Home, ServerPresence
from qiosk.adapters.home.launcher import SupervisorLauncher
from qiosk.adapters.home.secret_key import load_secret
from qiosk.adapters.sql.database import Database
from qiosk.adapters.sql.jobs import SqlJobStore
from qiosk.adapters.sql.keys import SqlKeyStore
from qiosk.adapters.sql.quotas import SqlLimitStore
from qiosk.adapters.sql.schema import open_home_database
from qiosk.adapters.sql.sessions import SqlSessionStore
from qiosk.adapters.sql.statistics import SqlStatistics
from qiosk.contract.quotas import QuotaView
from qiosk.machine import SystemClock
from qiosk.service.blobs import Storage
from qiosk.service.job_service import JobService
from qiosk.service.keys import Authenticator, KeyService
from qiosk.service.locations import BlobLocations, ServedLocations
from qiosk.service.ports import Executor
from qiosk.service.quotas import LimitStore, QuotaService, default_limits
from qiosk.service.retention import Pruned, prune
from qiosk.service.statistics import JobStatistics
from qiosk.settings import Settings, read_settings
from qiosk.solvers.targets.catalogue import Catalogue

STOP_MARGIN_S = 10.0
"""How much longer than its jobs a supervisor may take to stop: it ends those that do not, and writes them all."""
_OPEN_WORKSPACES = 1024
"""Workspaces whose services are kept at hand; those of others are put together anew."""


def open_embedded(
    home: Path | None = None,
    workspace: str = "default",
    settings: Settings | None = None,
    *,
    runner: str | None = None,
) -> JobService:
    """A service over a folder of this machine; processes that open the same one share its jobs.

    ``home`` and ``settings`` default to the environment's; ``workspace`` is any text, and isolates jobs and
    blobs. ``runner`` is the dotted name of a ``service.ports.JobRunner`` to use instead of the solvers'.
    Raises InvalidValue for settings that are wrong.
    """
    return _Assembly(_chosen(home, settings), runner=runner).jobs(workspace)


@dataclass(frozen=True, kw_only=True)
class ServerParts:
    """What a server serves. Services of a workspace are cheap.

    ``secret`` signs links to blobs. ``check_bytes(workspace, extra)`` raises QuotaExceeded if so many more bytes are
    too many. ``version`` is the store's. ``checks`` are what has to work, by name: each one raises if it does not.
    ``stop`` ends the work on jobs, which wait again then; False if that takes longer than the settings allow and
    ``STOP_MARGIN_S`` on top.
    """

    jobs: Callable[[str], JobService]
    storage: Storage
    secret: bytes = field(repr=False)
    authenticator: Authenticator
    check_bytes: Callable[[str, int], None]
    executor: Executor
    now: Callable[[], datetime]
    statistics: JobStatistics
    version: Callable[[], int]
    checks: Mapping[str, Callable[[], object]]
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
    ``base_path`` is what a proxy in front puts before our paths. Raises InvalidValue for settings that are wrong;
    Conflict or ServiceUnavailable for a database that cannot be used.
    """
    chosen = settings if settings is not None else read_settings(os.environ)
    assembly = _Assembly(chosen, served=ServedLocations(base_path), runner=runner)
    place, executor = assembly.place, assembly.executor
    presence = ServerPresence(place)
    patience_s = chosen.stop_seconds + STOP_MARGIN_S

    def stop() -> bool:
        presence.end()
        # Another server of this home still needs the supervisor.
        return place.is_served() or executor.stop(patience_s)

    def close() -> None:
        presence.end()
        assembly.store.close()

    return ServerParts(
        jobs=lru_cache(_OPEN_WORKSPACES)(assembly.jobs),
        storage=assembly.storage,
        secret=load_secret(place.path / "secret.key") if secret_key is None else secret_key.encode(),
        authenticator=Authenticator(SqlKeyStore(assembly.database), assembly.clock, admin_key=admin_key),
        check_bytes=assembly.quotas.check_bytes,
        executor=executor,
        now=assembly.clock.now,
        statistics=JobStatistics(SqlStatistics(assembly.database), assembly.clock),
        version=assembly.store.version,
        checks={"database": lambda: assembly.store.waiting(1), "supervisor": executor.wake},
        stop=stop,
        close=close,
    )


@dataclass(frozen=True, kw_only=True)
class Administration:
    """What an administrator does to all workspaces. ``prune`` is ``retention.prune`` from now on."""

    keys: KeyService
    limits: LimitStore
    quotas: Callable[[str], Sequence[QuotaView]]
    prune: Callable[..., Pruned]


@contextmanager
def open_administration(home: Path | None = None, settings: Settings | None = None) -> Iterator[Administration]:
    """The administration of a home, or of the database and storage that its settings name."""
    assembly = _Assembly(_chosen(home, settings))
    try:
        yield Administration(
            keys=KeyService(SqlKeyStore(assembly.database), assembly.clock),
            limits=SqlLimitStore(assembly.database),
            quotas=assembly.quotas.view,
            prune=partial(
                prune,
                now=assembly.clock.now(),
                jobs=assembly.store,
                sessions=SqlSessionStore(assembly.database),
                storage=assembly.storage,
            ),
        )
    finally:
        assembly.database.close()


def _chosen(home: Path | None, settings: Settings | None) -> Settings:
    chosen = settings if settings is not None else read_settings(os.environ)
    return chosen if home is None else replace(chosen, home=home)


@final
class _Assembly:
    """Adapters over one home, and the services made of them."""

    def __init__(self, settings: Settings, *, served: BlobLocations | None = None, runner: str | None = None) -> None:
        self.place = Home(settings.home)
        settings = replace(settings, home=self.place.path)
        self.clock = SystemClock()
        self.database = open_home_database(self.place, settings)
        self.store = SqlJobStore(self.database)
        self.storage = open_storage(storage_url(self.place, settings), served)
        self.executor = SupervisorLauncher(self.place, settings.to_environ(), runner=runner)
        self.quotas = open_quotas(self.database, self.storage, settings)
        self._sessions = SqlSessionStore(self.database)
        self._targets = Catalogue()

    def jobs(self, workspace: str) -> JobService:
        """The jobs of a workspace."""
        return JobService(
            workspace=workspace,
            jobs=self.store,
            blobs=self.storage.blobs(workspace),
            targets=self._targets,
            executor=self.executor,
            clock=self.clock,
            new_id=_new_id,
            sessions=self._sessions,
            quotas=self.quotas,
        )


def _new_id() -> str:
    return str(uuid.uuid4())


def open_quotas(database: Database, storage: Storage, settings: Settings) -> QuotaService:
    """The quotas of all workspaces."""
    return QuotaService(
        jobs=SqlJobStore(database),
        limits=SqlLimitStore(database),
        defaults=default_limits(settings),
        clock=SystemClock(),
        stored_bytes=lambda workspace: storage.blobs(workspace).usage(),
    )
