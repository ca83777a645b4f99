"""Releases beside each other: which schemas an older one works with, and which it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

import databases
import homes
from qiosk.adapters.sql import migrations, schema
from qiosk.adapters.sql.databases.database import Database, parse_url
from qiosk.adapters.sql.schema import OLDEST, REVISION, open_database, revision_of, upgrade
from qiosk.cli.app import app
from qiosk.contract.jobs import JobStatus
from qiosk.errors import Conflict

NEXT = f"{int(REVISION) + 1:04}"
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("of_the_next_release", sa.Text))
    op.create_table("tables_of_the_next_release", sa.Column("id", sa.Integer, primary_key=True))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.URL]:
    if request.param == "sqlite":
        yield parse_url("", default=tmp_path / "jobs.db")
    else:
        with databases.postgres_schema() as text:
            yield parse_url(text, default=tmp_path)


@pytest.fixture
def upgrade_by_next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[sa.URL, str], None]:
    """Upgrades a database as a release with one more migration does; the oldest revision that can use it is given."""
    folder = tmp_path / "migrations"
    shutil.copytree(Path(migrations.__file__).parent, folder)
    (folder / "versions" / f"r{NEXT}_next.py").write_text(MIGRATION.format(revision=NEXT, before=REVISION))

    def upgrade_as_it_does(url: sa.URL, oldest: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(schema, "_MIGRATIONS", folder)
            patch.setattr(schema, "REVISION", NEXT)
            patch.setattr(schema, "OLDEST", oldest)
            database = Database(url)
            upgrade(database)
            database.close()

    return upgrade_as_it_does


def test_a_release_works_with_a_newer_schema_that_is_compatible(url, upgrade_by_next_release, tmp_path):
    open_database(url).close()
    upgrade_by_next_release(url, REVISION)
    database = open_database(url)
    assert revision_of(database) == NEXT
    upgrade(database)
    assert revision_of(database) == NEXT, "an older release changes nothing"
    database.close()
    settings = {"database": url.render_as_string(hide_password=False)} if not database.is_sqlite else {}
    opened = homes.open_home(tmp_path, runner=None, **settings)
    try:
        view = homes.submit(opened, {}, target="microsoft.tabu.cpu", input_data=b"no problem")
        assert homes.finished(opened, view.id).status is JobStatus.FAILED, "its supervisor works with it, too"
    finally:
        opened.close()
        homes.close_home(tmp_path)


def test_a_release_refuses_a_newer_schema_that_is_not_compatible(url, upgrade_by_next_release):
    open_database(url).close()
    upgrade_by_next_release(url, NEXT)
    with pytest.raises(Conflict, match=f"must be {REVISION} or older, found {NEXT}; .* cannot work with it"):
        open_database(url)


def test_an_older_release_makes_no_backup_of_a_newer_schema(url, upgrade_by_next_release, tmp_path):
    open_database(url).close()
    upgrade_by_next_release(url, REVISION)
    environ = {"QIOSK_DATABASE": url.set(drivername=url.get_backend_name()).render_as_string(hide_password=False)}
    done = CliRunner().invoke(app, ["admin", "backup", str(tmp_path / "backup"), "--home", str(tmp_path)], env=environ)
    assert done.exit_code == 1
    assert f"schema revision must be {REVISION} or older, found {NEXT}" in done.stderr


def test_the_schema_is_that_of_the_oldest_compatible_revision_with_additions(tmp_path):
    """What a release of ``OLDEST`` writes and reads is there, and it need not know of what is new."""
    before, after = (_inspected(tmp_path / f"{revision}.db", revision) for revision in (OLDEST, REVISION))
    for name in set(before.get_table_names()) - {"alembic_version"}:
        columns = {column["name"]: column for column in after.get_columns(name)}
        known = {column["name"]: column for column in before.get_columns(name)}
        assert {name: str(columns[name]) for name in known} == {name: str(column) for name, column in known.items()}
        new = [column for column in columns.values() if column["name"] not in known]
        assert all(column["nullable"] or column["default"] is not None for column in new), f"{name}: {new}"
        for restrictions in ("get_pk_constraint", "get_foreign_keys", "get_unique_constraints"):
            assert getattr(after, restrictions)(name) == getattr(before, restrictions)(name)
        unique = [index for index in after.get_indexes(name) if index["unique"]]
        assert [index for index in unique if index not in before.get_indexes(name)] == []


def _inspected(path: Path, revision: str) -> sa.Inspector:
    database = Database(parse_url("", default=path))
    with database.write() as connection:
        schema.make_anew(connection, revision)
    database.close()
    return sa.inspect(sa.create_engine(database.url, poolclass=sa.NullPool))
