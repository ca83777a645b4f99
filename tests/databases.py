"""Databases for tests: a schema of PostgreSQL that nobody else uses, where one answers."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


class Proxy:
    """A way to a server that can be cut and mended."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._is_cut = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Drop all connections, and every new one at once."""
        self._is_cut = True
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let connections through again."""
        self._is_cut = False

    def close(self) -> None:
        """Drop everything for good."""
        self.cut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                client.close()
                continue
            server = socket.create_connection(self._server)
            with self._lock:
                self._open |= {client, server}
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(source)
        source.close()
