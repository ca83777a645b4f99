"""Hosts: a server, its home and all of its processes, with ways of their own to the database and the object store."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from homes import titled
from patience import HANG_S, eventually
from proxies import Proxy
from qiosk.adapters.home.home import SupervisorLock

MARK = "QIOSK_ENDURANCE_RUN"
"""Variable by which all processes of a run are found."""


class Host:
    """One of the machines, so to say: ``database`` and ``storage`` are its ways, ``disk`` is a folder for its home.
    ``executor`` says where its jobs run.

    ``environ`` is added to the environment of its processes. ``clock`` is the file from which they read by how much
    their time of day is wrong, None where that cannot be had.
    """

    def __init__(
        self,
        name: str,
        disk: Path,
        *,
        executor: str,
        database: Proxy,
        storage: Proxy | None,
        environ: Mapping[str, str],
    ) -> None:
        self.name = name
        self.executor = executor
        self.disk = disk
        self.home = disk / "home"
        self.database = database
        self.storage = storage
        self.clock = disk.with_name(f"{name}.clock")
        self.log = disk.with_name(f"{name}-server.log")
        self._environ = dict(environ)
        self._server: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"

    def add_environ(self, environ: Mapping[str, str]) -> None:
        """More variables of its processes."""
        self._environ |= environ

    def start(self) -> None:
        """Start the server, unless it runs."""
        if self._server is not None and self._server.poll() is None:
            return
        command = [sys.executable, "-m", "qiosk", "serve", "--home", str(self.home)]
        command += ["--port", self.url.rpartition(":")[2]]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("QIOSK_")}
        with self.log.open("ab") as log:
            environ = {**inherited, **self._environ}
            self._server = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait(self) -> None:
        """Wait until the server is ready, and has a supervisor."""
        if not eventually(lambda: self.is_ready() and (self.home / "home.id").exists()):
            raise RuntimeError(f"{self.name}: is not ready: {self.log.read_text()[-2000:]}")

    def is_ready(self) -> bool:
        """Whether it says that it can take and run jobs."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=HANG_S) as reply:
                return reply.status == 200
        except OSError:
            return False

    def kill_server(self) -> None:
        """Kill the server alone; its supervisor goes on."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def stop(self) -> None:
        """Stop the server as an administrator would, and its supervisor with it."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(HANG_S)

    def identity(self) -> str:
        """The id of its home, which its claims contain."""
        return (self.home / "home.id").read_text().strip()

    def supervisor(self) -> psutil.Process | None:
        """Its supervisor."""
        lock = SupervisorLock(self.home / "supervisor.lock")
        pid = lock.holder() if lock.is_held() else None
        with suppress(psutil.Error):
            return None if pid is None else psutil.Process(pid)
        return None

    def fork_server(self) -> psutil.Process | None:
        """The parent of the processes of its jobs."""
        with suppress(psutil.Error):
            children = [] if (supervisor := self.supervisor()) is None else supervisor.children()
            return next(iter(titled(children, "forkserver")), None)
        return None

    def job_processes(self) -> list[psutil.Process]:
        """The processes of its running jobs."""
        with suppress(psutil.Error):
            server = self.fork_server()
            return [] if server is None else server.children()
        return []

    def processes(self) -> list[psutil.Process]:
        """All of them."""
        found = []
        for process in [self.supervisor(), psutil.Process(self._server.pid) if self._server else None]:
            with suppress(psutil.Error):
                if process is not None:
                    found += [process, *process.children(recursive=True)]
        return found

    def signal(self, number: signal.Signals) -> int:
        """Send a signal to all of its processes; returns how many there are."""
        processes = self.processes()
        for process in processes:
            with suppress(psutil.Error):
                process.send_signal(number)
        return len(processes)


def remaining(mark: str) -> list[psutil.Process]:
    """All processes of a run that still live."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def kill_remaining(mark: str) -> list[str]:
    """Kill them; returns what they were."""
    named = []
    while left := remaining(mark):
        for process in left:
            with suppress(psutil.Error):
                named.append(f"{process.pid} {' '.join(process.cmdline())[:120]}")
                process.kill()
        time.sleep(0.1)
    return named
