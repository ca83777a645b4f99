"""The database's schema: created in an empty database, upgraded from older releases, shared with compatible ones.

**Compatible releases.** While servers are replaced one after the other, those of the older release work with the newer
schema. So the database contains the oldest revision whose releases can do that: a release rejects a newer schema only
if its own revision is older. Most revisions only add what older releases do without.

The history of the schema is in ``migrations`` (Alembic). A new database does not go through it: it gets the tables as
they are declared now, and a test makes sure that both are the same. So Alembic is imported for upgrades only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from qiosk.adapters.sql import keys as sql_keys
from qiosk.adapters.sql import quotas as sql_quotas
from qiosk.adapters.sql import sessions as sql_sessions
from qiosk.adapters.sql import sharing as sql_sharing
from qiosk.adapters.sql import tables as sql_tables
from qiosk.adapters.sql.databases.database import Database, parse_url
from qiosk.errors import Conflict

if TYPE_CHECKING:
    from alembic.config import Config

REVISION = "0017"
"""The newest revision in ``migrations``."""
OLDEST = "0016"
"""The oldest revision whose releases can work with tables of ``REVISION``. A migration that removes or changes what
they use, or whose release stores values that they cannot read, sets this to its own revision.
"""
DECLARATIONS = (sql_tables, sql_sessions, sql_keys, sql_quotas, sql_sharing)
"""All modules that declare tables: importing them completes the metadata."""

_MIGRATIONS = Path(__file__).with_name("migrations")
_FIRST = "0001"  # the revision of databases with schema version 1 in the table `qiosk_schema`
_LOCK = 0x0510_5C  # PostgreSQL's advisory lock on creating and upgrading the tables
_revisions = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))
_compatibility = sa.Table(
    "schema_compatibility",
    sql_tables.metadata,
    sa.Column("oldest_revision", sql_tables.TEXT, primary_key=True),
    info=sql_tables.NOT_BACKED_UP,
)
_restores = sa.Table("qiosk_restore", sa.MetaData(), sa.Column("digest", sa.Text, primary_key=True))
"""Exists while a restore is under way, with the digest of its backup."""


def open_database(url: sa.URL) -> Database:
    """The database, with a schema that this release can work with.

    An empty database gets its tables; a SQLite file of an older release is upgraded. Raises Conflict for PostgreSQL
    that needs an upgrade, since other processes may be using it, and for a database that is not Qiosk's, or whose newer
    schema is not compatible; ServiceUnavailable if it cannot be reached.
    """
    database = Database(url)
    try:
        _make_current(database)
    except BaseException:
        database.close()
        raise
    database.follow_file(_make_current)
    return database


def _make_current(database: Database) -> None:
    if revision_of(database) != REVISION:
        _prepare(database, may_upgrade=database.is_sqlite)


def open_sqlite_database(path: Path) -> Database:
    """The database in a SQLite file, which is created if it does not exist. Raises Conflict."""
    return open_database(parse_url("", default=path))


def upgrade(database: Database) -> None:
    """Upgrade the schema; a newer one that is compatible stays as it is. Raises Conflict as ``open_database`` does."""
    _prepare(database, may_upgrade=True)


def revision_of(database: Database) -> str | None:
    """The schema's revision; None if there is none yet. Raises Conflict if the database is not Qiosk's."""
    with database.read() as connection:
        return found_revision(connection, database)


def _prepare(database: Database, *, may_upgrade: bool) -> None:
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        found = found_revision(connection, database)
        if found is None:
            _create(connection)
        elif found == REVISION or _is_compatible(connection, found):
            return  # another process was faster, or a newer release
        elif found < REVISION and not may_upgrade:
            others = "servers of the older release may run on" if found >= OLDEST else "but stop all servers first"
            raise Conflict(
                f"database {database}: schema revision must be {REVISION}, found {found}; run `qiosk db upgrade`,"
                f" {others}"
            )
        else:
            _migrate(connection, database, found)


def _is_compatible(connection: sa.Connection, found: str) -> bool:
    """Whether this release can work with tables of a newer revision."""
    if found <= REVISION or not sa.inspect(connection).has_table(_compatibility.name):
        return False
    return str(connection.execute(sa.select(_compatibility.c.oldest_revision)).scalar_one()) <= REVISION


def _note_compatibility(connection: sa.Connection) -> None:
    connection.execute(_compatibility.delete())
    connection.execute(_compatibility.insert().values(oldest_revision=OLDEST))


def _create(connection: sa.Connection) -> None:
    sql_tables.metadata.create_all(connection)
    _revisions.create(connection)
    connection.execute(_revisions.insert().values(version_num=REVISION))
    _note_compatibility(connection)


def found_revision(connection: sa.Connection, database: Database) -> str | None:
    """As ``revision_of``, with a connection of the database."""
    tables = set(sa.inspect(connection).get_table_names())
    if _restores.name in tables:
        raise Conflict(
            f"database {database}: a restore is under way, or was interrupted; then repeat `qiosk admin restore` with"
            " the same backup"
        )
    if _revisions.name in tables:
        return str(connection.execute(sa.select(_revisions.c.version_num)).scalar_one())
    if "qiosk_schema" in tables:
        version = connection.exec_driver_sql("SELECT version FROM qiosk_schema").scalar_one()
        if version != 1:
            raise Conflict(f"database {database}: schema version must be 1, found {version}")
        return _FIRST
    if "jobs" in tables:
        raise Conflict(f"database {database}: has a table `jobs` that Qiosk did not make")
    return None


def restore_begun(connection: sa.Connection) -> str | None:
    """The digest of the backup whose restore has begun; None if none has."""
    if not sa.inspect(connection).has_table(_restores.name):
        return None
    return str(connection.execute(sa.select(_restores.c.digest)).scalar_one())


def note_restore(connection: sa.Connection, digest: str) -> None:
    """Keep the database closed until ``forget_restore``."""
    _restores.create(connection)
    connection.execute(_restores.insert().values(digest=digest))


def forget_restore(connection: sa.Connection) -> None:
    """Let the database be opened again."""
    _restores.drop(connection)


def make_anew(connection: sa.Connection, revision: str) -> None:
    """Remove all tables of Qiosk's, and make those of a revision."""
    there = set(sa.inspect(connection).get_table_names())
    for table in reversed(sql_tables.metadata.sorted_tables):
        if table.name in there:
            connection.execute(sa.schema.DropTable(table))
    for name in {_revisions.name, "qiosk_schema"} & there:
        connection.exec_driver_sql(f"DROP TABLE {name}")
    if revision == REVISION:
        _create(connection)
    else:
        from alembic import command

        command.upgrade(_alembic(connection), revision)


def complete(connection: sa.Connection, database: Database, revision: str) -> None:
    """Upgrade tables that ``make_anew`` made."""
    if revision != REVISION:
        _migrate(connection, database, revision)


def _alembic(connection: sa.Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _migrate(connection: sa.Connection, database: Database, found: str) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = _alembic(connection)
    try:
        ScriptDirectory.from_config(config).get_revision(found)
    except CommandError as error:
        raise Conflict(
            f"database {database}: schema revision must be {REVISION} or older, found {found}; a newer release of"
            " Qiosk made it, and this one cannot work with it"
        ) from error
    if _revisions.name not in sa.inspect(connection).get_table_names():
        command.stamp(config, found)
    command.upgrade(config, REVISION)
    _note_compatibility(connection)
