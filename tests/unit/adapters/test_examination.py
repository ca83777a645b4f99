"""Damage in a database is found before a request meets it."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.databases.examination import Examination
from qiosk.adapters.sql.schema import open_sqlite_database
from qiosk.adapters.sql.tables import metadata
from qiosk.errors import ServiceUnavailable


def damage(path: Path, name: str) -> None:
    """Overwrite the first page of a table or an index."""
    database = open_sqlite_database(path)
    with database.read() as connection:
        (page,) = connection.exec_driver_sql("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).one()
        (size,) = connection.exec_driver_sql("PRAGMA page_size").one()
    database.checkpoint()
    database.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


def tables_and_indices(path: Path) -> list[str]:
    database = open_sqlite_database(path)
    with database.read() as connection:
        found = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE rootpage > 0").scalars().all()
    database.close()
    return list(found)


def test_an_intact_database_is_read_to_its_end(database: Database) -> None:
    assert Examination(database).run()
    database.check()


def test_damage_is_found_wherever_it_is(tmp_path: Path) -> None:
    names = tables_and_indices(tmp_path / "intact.db")
    assert len(names) > len(metadata.tables)
    for number, name in enumerate(names):
        path = tmp_path / f"{number}.db"
        damage(path, name)
        database = Database(sa.URL.create("sqlite", database=str(path)))
        database.check()
        with pytest.raises(ServiceUnavailable, match="database: "):
            Examination(database).run()
        with pytest.raises(ServiceUnavailable, match="database: "):
            database.check()
        database.close()


def test_an_examination_ends_in_time_and_goes_on_with_another_table(database: Database) -> None:
    examination = Examination(database)
    assert examination.run(-1.0) is not database.is_sqlite
    database.check()
    assert examination.run()
