"""Databases for tests: a schema of PostgreSQL that nobody else uses, where one answers."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from patience import HANG_S
from qiosk.adapters.sql.databases.database import Database, parse_url
from qiosk.adapters.sql.tables import metadata

DEFAULT_URL = "postgresql://postgres@127.0.0.1:5432/test"


def postgres_url() -> sa.URL:
    """The server that ``QIOSK_TEST_POSTGRES_URL`` names, else the one on the standard port.

    Skips the test if none answers; fails it if ``QIOSK_TEST_POSTGRES`` is ``require``.
    """
    url = parse_url(os.environ.get("QIOSK_TEST_POSTGRES_URL", "") or DEFAULT_URL, default=Path())
    engine = sa.create_engine(url, connect_args={"connect_timeout": int(HANG_S)}, poolclass=sa.NullPool)
    try:
        engine.connect().close()
    except sa.exc.OperationalError as error:
        word = f"no PostgreSQL answers at {url.render_as_string(hide_password=True)}"
        if os.environ.get("QIOSK_TEST_POSTGRES") == "require":
            pytest.fail(f"{word}: {error}")
        pytest.skip(word)
    return url


@contextmanager
def postgres_schema() -> Iterator[str]:
    """The URL of an empty schema, which is dropped at the end."""
    url = postgres_url()
    name = f"qiosk_test_{uuid.uuid4().hex}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    try:
        yield url.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")


def empty(database: Database) -> None:
    """Delete every row."""
    with database.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
