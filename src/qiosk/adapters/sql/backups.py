"""All rows of a database, read as of one moment, and written into an empty one.

Rows are read and written as the tables of their revision have them, so that a database can be backed up before its
upgrade, and a backup of an older release can be restored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import sqlalchemy as sa
from sqlalchemy import exc

from qiosk.adapters.sql import schema
from qiosk.adapters.sql.databases.database import Database, keep_waiting
from qiosk.adapters.sql.databases.readable import has_key, readable
from qiosk.adapters.sql.tables import jobs, metadata
from qiosk.errors import Conflict, UnreadableInput
from qiosk.service.backups.backup import Table
from qiosk.service.backups.restore import Rows
from qiosk.service.jobs.fences import CLAIMS
from qiosk.service.jobs.job import JobState

_BATCH = 500
_NEW_ERA = (
    jobs.update()
    .where(jobs.c.state.in_([state.value for state in JobState if not state.is_final]))
    .values(fence=sa.bindparam("first_fence") + jobs.c.fence % CLAIMS, revision=jobs.c.revision + 1)
)


@final
class SqlSnapshot:
    """``Snapshot`` in an open transaction."""

    def __init__(self, connection: sa.Connection, revision: str) -> None:
        self.revision = revision
        self.unreadable = 0
        self._connection = connection

    def tables(self) -> Iterator[Table]:
        """All tables of Qiosk's."""
        for table in _tables_in(self._connection):
            yield Table(str(table.name), [str(column.name) for column in table.columns], self._batches(table))

    def _batches(self, table: sa.Table) -> Iterator[Sequence[Sequence[Any]]]:
        ordered = sa.select(table).order_by(*table.primary_key)
        found = self._connection.execution_options(yield_per=_BATCH).execute(ordered)
        for batch in found.mappings().partitions():
            sound = [row for row in batch if has_key(table, row)]
            self.unreadable += len(batch) - len(sound)
            yield [list(readable(table, row).values()) for row in sound]


@final
class SqlRows:
    """``RowSource`` and ``RowTarget``: the rows of a database, of whatever revision."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def snapshot(self) -> Iterator[SqlSnapshot]:
        """The rows at one moment, in one transaction that only reads."""
        begin = "BEGIN" if self._database.is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
        with self._database.read() as connection:
            connection.exec_driver_sql(begin)
            keep_waiting(connection)
            revision = schema.found_revision(connection, self._database)
            if revision is None:
                raise Conflict(f"database {self._database}: has no tables of Qiosk's: there is nothing to back up")
            self.check_revision(revision, "a newer release")
            yield SqlSnapshot(connection, revision)

    def check_revision(self, revision: str, release: str) -> None:
        """Raise Conflict for rows of a newer schema."""
        if revision > schema.REVISION:
            raise Conflict(
                f"schema revision must be {schema.REVISION} or older, found {revision}: use the release of Qiosk that"
                f" wrote it, {release}, or a newer one"
            )

    def has_begun(self, digest: str) -> bool:
        """Whether this restore has begun; Conflict if another one has, or there are rows."""
        with self._database.read() as connection:
            found = schema.restore_begun(connection)
            if found is not None and found != digest:
                raise Conflict(
                    f"database {self._database}: the restore of another backup was interrupted here; repeat that one,"
                    " or empty the database and the storage"
                )
            if found is None and schema.found_revision(connection, self._database) is not None:
                for table in _tables_in(connection):
                    if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
                        raise Conflict(f"database {self._database}: must be empty, table {table.name} has rows")
        return found is not None

    def begin(self, digest: str) -> None:
        """Note that a restore has begun."""
        with self._database.write() as connection:
            schema.note_restore(connection, digest)

    def load(self, revision: str, rows: Iterable[Rows], *, era: int) -> None:
        """Replace the tables by empty ones, insert rows, upgrade, and begin an era of fences."""
        with self._database.write() as connection:
            keep_waiting(connection)
            schema.make_anew(connection, revision)
            tables = {table.name: table for table in _tables_in(connection)}
            for found in rows:
                table = tables.get(found.table)
                if table is None or set(found.columns) != set(table.columns.keys()):
                    raise UnreadableInput(f"table {found.table}: schema revision {revision} has no such table")
                if any(len(row) != len(found.columns) for row in found.values):
                    raise UnreadableInput(f"table {found.table}: a row has not one value for each column")
                values = [dict(zip(found.columns, row, strict=True)) for row in found.values]
                try:
                    connection.execute(table.insert(), values)
                except (exc.DataError, exc.IntegrityError, exc.ProgrammingError) as error:
                    reason = str(error.orig).strip().partition("\n")[0]
                    raise UnreadableInput(f"table {found.table}: the database refuses a row: {reason}") from error
            schema.complete(connection, self._database, revision)
            connection.execute(_NEW_ERA, {"first_fence": era * CLAIMS})

    def end(self) -> None:
        """Remove the note."""
        with self._database.write() as connection:
            schema.forget_restore(connection)


def _tables_in(connection: sa.Connection) -> Sequence[sa.Table]:
    """Qiosk's tables as they are in the database, each after those that it refers to, if they are backed up."""
    there = set(sa.inspect(connection).get_table_names())
    kept = [name for name, table in metadata.tables.items() if table.info.get("is_backed_up", True)]
    reflected = sa.MetaData()
    reflected.reflect(connection, only=[name for name in kept if name in there])
    return reflected.sorted_tables
