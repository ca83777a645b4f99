"""What processes that share a database know of each other: secrets of links, and who watches claims; over SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.tables import NOT_BACKED_UP, TEXT, metadata, to_time
from qiosk.service.ports import Watcher

link_secrets = sa.Table(
    "link_secrets",
    metadata,
    sa.Column("fingerprint", TEXT, primary_key=True),
    sa.Column("begun_at", sa.BigInteger, nullable=False),
    sa.Column("seen_at", sa.BigInteger, nullable=False),
    info=NOT_BACKED_UP,
)
watchers = sa.Table(
    "watchers",
    metadata,
    sa.Column("seat", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("worker", TEXT, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    info=NOT_BACKED_UP,
)

_WATCHERS = sa.select(watchers).order_by(watchers.c.seat)
_SIT = (
    watchers.update()
    .where(watchers.c.seat == sa.bindparam("the_seat"), watchers.c.revision == sa.bindparam("expected"))
    .values(worker=sa.bindparam("who"), revision=watchers.c.revision + 1)
)
_LEAVE = watchers.delete().where(watchers.c.worker == sa.bindparam("who"))


@final
class SqlLinkSecrets:
    """``LinkSecrets`` over a database; several processes may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def announce(self, fingerprint: str, now: datetime, lapse: timedelta) -> bool:
        """Note that a server uses a secret now; whether another one was in use before, and is."""
        row = {"fingerprint": fingerprint, "begun_at": to_time(now), "seen_at": to_time(now)}
        seen = _insert(self._database, link_secrets).values(row)
        seen = seen.on_conflict_do_update(index_elements=["fingerprint"], set_={"seen_at": to_time(now)})
        with self._database.write() as tx:
            tx.execute(link_secrets.delete().where(link_secrets.c.seen_at < to_time(now - lapse)))
            tx.execute(seen)
            oldest_first = sa.select(link_secrets.c.fingerprint).order_by(
                link_secrets.c.begun_at, link_secrets.c.fingerprint
            )
            return str(tx.execute(oldest_first.limit(1)).scalar_one()) != fingerprint


@final
class SqlWatchers:
    """``Watchers`` over a database; several processes may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Sequence[Watcher]:
        """Who has seats."""
        with self._database.read() as tx:
            return [Watcher(*row) for row in tx.execute(_WATCHERS)]

    def sit(self, seat: int, worker: str, expected: int | None) -> bool:
        """Give a seat to a worker if its revision is the expected one."""
        parameters = {"the_seat": seat, "who": worker, "expected": expected}
        row = {"seat": seat, "worker": worker, "revision": 0}
        with self._database.write_once() as tx:
            if expected is None:
                taking = _insert(self._database, watchers).values(row).on_conflict_do_nothing()
                return tx.execute(taking.returning(watchers.c.seat)).one_or_none() is not None
            return bool(tx.execute(_SIT, parameters).rowcount)

    def leave(self, worker: str) -> None:
        """Free the seat of a worker, if it has one."""
        with self._database.write_once() as tx:
            tx.execute(_LEAVE, {"who": worker})


def _insert(database: Database, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    return sqlite.insert(table) if database.is_sqlite else postgresql.insert(table)
