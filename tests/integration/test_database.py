"""Databases: how they are named, made, upgraded, and what is said when they fail."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import databases
from qiosk.adapters.sql import migrations
from qiosk.adapters.sql.databases.database import Database, parse_url
from qiosk.adapters.sql.jobs import SqlJobStore
from qiosk.adapters.sql.schema import REVISION, open_database, open_sqlite_database, revision_of, upgrade
from qiosk.adapters.sql.tables import metadata
from qiosk.contract.jobs import JobQuery
from qiosk.errors import Conflict, InvalidValue, ServiceUnavailable, StorageFull
from qiosk.service.jobs.job import JobKey

MIGRATIONS = Path(migrations.__file__).parent


def migrate(database: Database, revision: str) -> None:
    """Take an empty database through the history of the schema, up to ``revision``."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """An empty database, without tables."""
    if request.param == "sqlite":
        yield parse_url("", default=tmp_path / "new.db")
    else:
        with databases.postgres_schema() as text:
            yield parse_url(text, default=tmp_path)


def add_as_the_first_release_did(database: Database, job_id: str, name: str) -> None:
    row = {"workspace": "w", "id": job_id, "name": name, "is_urgent": 0, "created_at": 1, "state": "Waiting"}
    texts = ("provider_id", "target", "job_type", "container", "input_container", "input_blob")
    row |= dict.fromkeys((*texts, "input_data_format", "output_data_format", "definition"), "X")
    row |= dict.fromkeys(("fence", "losses", "progress_fraction", "progress_sweeps", "progress_seconds", "revision"), 0)
    row |= {"input_params": "null", "metadata": "null", "tags": "[]"}
    with database.write() as connection:
        table = sa.table("jobs", *map(sa.column, row))
        connection.execute(table.insert().values(row))


def test_history_and_declarations_lead_to_the_same_schema(url):
    database = Database(url)
    migrate(database, "head")
    with database.read() as connection, warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*expression-based index")
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [change for change in compare_metadata(context, metadata) if change[0] != "add_index"]
        indexes = index_definitions(connection)
    assert differences == []
    with database.write() as connection:
        metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
    upgrade(database)
    with database.read() as connection:
        assert index_definitions(connection) == indexes
    database.close()


def index_definitions(connection: sa.Connection) -> dict[str, str]:
    """SQL of every index: expressions and directions, too, which Alembic does not compare."""
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL")
        return {name: sql.replace('"', "").lower() for name, sql in rows}
    wanted = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
    rows = connection.exec_driver_sql(wanted).all()
    return {name: sql for name, sql in rows if not name.startswith("alembic")}


def test_the_newest_revision_is_the_one_that_is_expected():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


def test_an_empty_database_gets_its_tables_and_keeps_its_rows(url):
    open_database(url).close()
    database = open_database(url)
    assert revision_of(database) == REVISION
    database.close()


def test_a_database_of_the_first_release_is_brought_up_to_date(url):
    database = Database(url)
    migrate(database, "0001")
    with database.write() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")  # it had none
        connection.exec_driver_sql("INSERT INTO qiosk_schema VALUES (1)")
    add_as_the_first_release_did(database, "j", "Straße")
    assert revision_of(database) == "0001"
    if not database.is_sqlite:
        with pytest.raises(Conflict, match=r"schema revision must be \d+, found 0001; .*run `qiosk db upgrade`"):
            open_database(url)
        upgrade(database)
    database.close()
    database = open_database(url)
    store = SqlJobStore(database)
    assert store.get(JobKey("w", "j")).supervisor_deaths == 0
    assert [job.id for job in store.page("w", JobQuery(name_prefix="STRASSE"), None, 9)] == ["j"]
    assert [job.id for job in store.page("w", JobQuery(targets=["x"], provider_ids=["X"]), None, 9)] == ["j"]
    database.close()


def test_tags_of_earlier_releases_are_found(url):
    database = Database(url)
    migrate(database, "0006")
    add_as_the_first_release_did(database, "j", "a")
    add_as_the_first_release_did(database, "k", "a")
    with database.write() as connection:
        for job_id, tags in (("j", '["x", "y, \\"z\\""]'), ("k", '["x", "')):
            connection.execute(sa.text("UPDATE jobs SET tags = :t WHERE id = :i"), {"t": tags, "i": job_id})
    upgrade(database)
    store = SqlJobStore(database)
    for tag in ("x", 'y, "z"'):
        assert [job.id for job in store.page("w", JobQuery(tags=[tag], id_prefix="j"), None, 9)] == ["j"]
    assert store.get(JobKey("w", "j")).tags == ("x", 'y, "z"')
    assert store.get(JobKey("w", "k")).tags == ()
    database.close()


def test_errors_do_not_show_what_users_store(url):
    database = open_database(url)
    with database.write() as connection, pytest.raises(sa.exc.DBAPIError, match="nowhere") as caught:
        connection.execute(sa.text("INSERT INTO nowhere VALUES (:name)"), {"name": "a secret"})
    database.close()
    assert "a secret" not in str(caught.value)


def test_many_may_make_the_tables_at_once(url):
    start = threading.Barrier(6)

    def make(_: int) -> str | None:
        start.wait()
        database = open_database(url)
        found = revision_of(database)
        database.close()
        return found

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(make, range(6))) == {REVISION}


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE schema_compatibility SET oldest_revision = '9999'", "or older, found 9999; a newer release .* cannot"),
        ("DROP TABLE schema_compatibility", "must be .* or older, found 9999; a newer release"),
        ("DROP TABLE alembic_version", "has a table `jobs` that Qiosk did not make"),
    ],
)
def test_what_is_not_ours_is_left_alone(url, statement, message):
    database = open_database(url)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.exec_driver_sql(statement)
    with pytest.raises(Conflict, match=message):
        upgrade(database)
    with pytest.raises(Conflict):
        open_database(url)
    database.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "sqlite:////home/jobs.db"),
        ("postgres://u:p@h:1/d", "postgresql+psycopg://u:***@h:1/d"),
        ("postgresql://h/d?sslmode=require", "postgresql+psycopg://h/d?sslmode=require"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
    ],
)
def test_a_url_names_a_database(text, expected):
    assert str(parse_url(text, default=Path("/home/jobs.db"))) == expected


@pytest.mark.parametrize(
    "text", ["x", "mysql://u:secret@h/d", "sqlite:///relative.db", "sqlite://", "postgresql://h:x/d"]
)
def test_other_urls_are_refused_without_their_secrets(text):
    with pytest.raises(InvalidValue, match="database: must be") as caught:
        parse_url(text, default=Path("/home/jobs.db"))
    assert "secret" not in str(caught.value)


def test_a_database_that_is_not_there_is_unavailable():
    with pytest.raises(ServiceUnavailable, match="database: .*refused"):
        open_database(parse_url("postgresql://postgres@127.0.0.1:1/none", default=Path()))


@pytest.fixture
def lonely(postgres):
    """The database, which is empty, over connections of which there is one, to be lost."""
    databases.empty(postgres)
    opened = Database(postgres.url)
    yield opened
    opened.close()


def own_process(connection: sa.Connection) -> int:
    return connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()


def lose_connection(postgres: Database, process: int) -> None:
    with postgres.read() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({process}, 5000)")


def test_a_lost_connection_is_said_and_replaced(postgres, lonely):
    def lose_it() -> None:
        with lonely.write() as connection:
            lose_connection(postgres, own_process(connection))
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(ServiceUnavailable, match="database: .*terminating connection"):
        lose_it()
    assert list(SqlJobStore(lonely).running()) == []


def test_connections_that_were_lost_while_idle_are_not_noticed(postgres, lonely, monkeypatch):
    monkeypatch.setattr("qiosk.adapters.sql.databases.database.PING_S", 0.0)
    with lonely.read() as connection:
        process = own_process(connection)
    lose_connection(postgres, process)
    assert list(SqlJobStore(lonely).running()) == []


def test_statements_are_not_compiled(lonely):
    with lonely.read() as connection:
        assert connection.exec_driver_sql("SHOW jit").scalar_one() == "off"
    with lonely.write() as connection:
        assert connection.exec_driver_sql("SHOW jit").scalar_one() == "off"


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path):
    database = open_sqlite_database(tmp_path / "jobs.db")

    def insert(size: int) -> None:
        with database.write() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 3}")
            connection.exec_driver_sql(f"INSERT INTO t VALUES (zeroblob({size}))")

    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    insert(1)
    with pytest.raises(StorageFull, match="database: database or disk is full"):
        insert(1_000_000)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == 1
    database.close()
