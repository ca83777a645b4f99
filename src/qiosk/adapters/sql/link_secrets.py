"""Which secrets sign links at the servers that use a database now, over SQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.tables import NOT_BACKED_UP, TEXT, metadata, to_time

link_secrets = sa.Table(
    "link_secrets",
    metadata,
    sa.Column("fingerprint", TEXT, primary_key=True),
    sa.Column("begun_at", sa.BigInteger, nullable=False),
    sa.Column("seen_at", sa.BigInteger, nullable=False),
    info=NOT_BACKED_UP,
)


@final
class SqlLinkSecrets:
    """``LinkSecrets`` over a database; several processes may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def announce(self, fingerprint: str, now: datetime, lapse: timedelta) -> bool:
        """Note that a server uses a secret now; whether another one was in use before, and is."""
        insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
        row = {"fingerprint": fingerprint, "begun_at": to_time(now), "seen_at": to_time(now)}
        seen = insert(link_secrets).values(row)
        seen = seen.on_conflict_do_update(index_elements=["fingerprint"], set_={"seen_at": to_time(now)})
        with self._database.write() as tx:
            tx.execute(link_secrets.delete().where(link_secrets.c.seen_at < to_time(now - lapse)))
            tx.execute(seen)
            oldest_first = sa.select(link_secrets.c.fingerprint).order_by(
                link_secrets.c.begun_at, link_secrets.c.fingerprint
            )
            return str(tx.execute(oldest_first.limit(1)).scalar_one()) != fingerprint
