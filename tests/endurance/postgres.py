"""A PostgreSQL cluster of its own, which can be stopped, crashed and filled up without harm to others."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from patience import HANG_S

USER = "postgres"
_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 64MB
max_wal_size = 128MB
"""


class Cluster:
    """A server on a free port of this machine, and its data in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._log = folder / "postgres.log"
        self._programs = programs()
        # The server refuses to be root's.
        self._user = USER if os.geteuid() == 0 else None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        self._run("initdb", "--auth=trust", f"--username={USER}", "--encoding=UTF8", "-D", str(self._data))
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(f"{_SETTINGS}port = {self.port}\n")

    @property
    def url(self) -> sa.URL:
        """Its database, past all proxies."""
        return sa.URL.create("postgresql+psycopg", USER, host="127.0.0.1", port=self.port, database="postgres")

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        if not self.is_running():
            self._control("start", "-l", str(self._log))

    def stop(self, mode: str) -> None:
        """Stop it, if it runs: ``fast`` ends all transactions, ``immediate`` is a crash."""
        if self.is_running():
            self._control("stop", "-m", mode)

    def is_running(self) -> bool:
        """Whether there is a server process: it ends by itself when it cannot write its log."""
        return self._call("pg_ctl", "-D", str(self._data), "status")[0] == 0

    def terminate_backends(self) -> int:
        """End all connections to the database but this one; returns how many there were."""
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        with self.connect() as connection:
            ended = connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) {others}")
            return len(ended.all())

    def begin_log_file(self) -> None:
        """Let it begin the next file of its write-ahead log."""
        with self.connect() as connection:
            connection.exec_driver_sql("SELECT pg_switch_wal()")

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """A connection of the run itself, in whose transactions every statement is one."""
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            yield connection

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", str(int(HANG_S)), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        status, out = self._call(program, *arguments)
        if status:
            raise RuntimeError(f"{program} ended with status {status}: {out}")

    def _call(self, program: str, *arguments: str) -> tuple[int, str]:
        # Not a pipe: the server would keep its end open. Not this folder: the server's user may be unable to enter it.
        with tempfile.TemporaryFile() as out:
            command = [str(self._programs / program), *arguments]
            done = subprocess.run(command, stdout=out, stderr=out, user=self._user, cwd="/", check=False)
            out.seek(0)
            return done.returncode, out.read().decode(errors="replace")[-2000:]


def programs() -> Path:
    """The folder of PostgreSQL's programs: Debian keeps those of the server out of PATH."""
    found = [path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    if (initdb := shutil.which("initdb")) is not None:
        found.insert(0, Path(initdb).resolve().parent)
    if not found:
        raise FileNotFoundError("initdb of PostgreSQL is not installed")
    return found[0]
