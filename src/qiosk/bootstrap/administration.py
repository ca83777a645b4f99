"""What an administrator does to a home, or to the database and storage that its settings name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

from qiosk.adapters.home.home import Home
from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.schema import REVISION, revision_of, upgrade
from qiosk.bootstrap.stores import Stores, database_url
from qiosk.contract.quotas import QuotaView
from qiosk.service.accounts.keys import KeyService
from qiosk.service.accounts.quotas import LimitStore
from qiosk.service.jobs.retention import Pruned, prune
from qiosk.settings import Settings, choose_settings, of_server


@dataclass(frozen=True, kw_only=True)
class Administration:
    """What an administrator does to all workspaces. ``prune`` is ``retention.prune`` at the time of the opening."""

    keys: KeyService
    limits: LimitStore
    quotas: Callable[[str], Sequence[QuotaView]]
    jobs_by_workspace: Callable[[], Mapping[str, int]]
    prune: Callable[..., Pruned]


@contextmanager
def open_administration(home: Path | None = None, settings: Settings | None = None) -> Iterator[Administration]:
    """The administration of a home; ``home`` and ``settings`` default to the environment's.

    Limits that are not set are those of a server.
    """
    chosen = of_server(choose_settings(home, settings))
    stores = Stores(Home(chosen.home), chosen)
    try:
        yield Administration(
            keys=KeyService(stores.keys, stores.clock),
            limits=stores.limits,
            quotas=stores.quotas.view,
            jobs_by_workspace=stores.statistics.by_workspace,
            prune=partial(
                prune, now=stores.clock.now(), jobs=stores.jobs, sessions=stores.sessions, storage=stores.storage
            ),
        )
    finally:
        stores.close()


@final
class Schema:
    """The schema of a database. ``expected`` is the revision that this release works with."""

    expected = REVISION

    def __init__(self, database: Database) -> None:
        self._database = database

    def __str__(self) -> str:
        return str(self._database)

    def revision(self) -> str | None:
        """The revision it has; None for an empty database. Raises Conflict if the database is not Qiosk's."""
        return revision_of(self._database)

    def upgrade(self) -> None:
        """Bring it to the expected revision. Raises Conflict if it is not Qiosk's, or a newer release's."""
        upgrade(self._database)


@contextmanager
def open_schema(home: Path | None = None) -> Iterator[Schema]:
    """The schema of a home's database, of whatever revision; ``home`` defaults to the environment's."""
    chosen = choose_settings(home, None)
    database = Database(database_url(Home(chosen.home), chosen))
    try:
        yield Schema(database)
    finally:
        database.close()
