"""Ray clusters on this machine, of several nodes, which listen on a loopback address and want a token.

Each node is a process tree of its own, begun by ``ray start``: it can be killed, frozen and started again.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest

from patience import HANG_S, eventually

HOST = "127.0.0.2"
"""A loopback address; Ray replaces 127.0.0.1 by the machine's own."""
OBJECT_STORE_BYTES = 80_000_000


class RayNode:
    """A node, or the head, of a cluster."""

    def __init__(
        self,
        arguments: list[str],
        log: Path,
        environ: Mapping[str, str] = MappingProxyType({}),
        *,
        host: str = HOST,
        within: Sequence[str] = (),
    ) -> None:
        options = ["--node-ip-address", host, "--object-store-memory", str(OBJECT_STORE_BYTES), "--disable-usage-stats"]
        program = [*within, sys.executable, "-m", "ray.scripts.scripts"]
        self._command = [*program, "start", *arguments, *options, "--block"]
        self._environ = {**os.environ, **environ}
        self._log = log
        self._process = self._start()
        assert eventually(self._is_up), log.read_text()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as output:
            return subprocess.Popen(
                self._command, stdout=output, stderr=output, start_new_session=True, env=self._environ
            )

    def _is_up(self) -> bool:
        said = self._log.read_text()
        if self._process.poll() is not None:  # Ray gives a node half a minute, which is too short on a busy machine
            assert "timed out during startup" in said, said
            self._process = self._start()
        return "Ray runtime started" in said

    def processes(self) -> list[psutil.Process]:
        """All processes of the node; none if it was killed."""
        with suppress(psutil.NoSuchProcess):
            top = psutil.Process(self._process.pid)
            return [top, *top.children(recursive=True)]
        return []

    def kill(self) -> None:
        """End all processes of the node at once, as a power cut does."""
        found = self.processes()
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(HANG_S)
        psutil.wait_procs(found, HANG_S)

    def freeze(self) -> None:
        """Stop all processes of the node; ``thaw`` continues them."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue the processes of a frozen node."""
        self._send(signal.SIGCONT)

    def _send(self, number: int) -> None:
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


class RayCluster:
    """A head without CPUs, and its nodes."""

    def __init__(self, folder: Path, host: str = HOST) -> None:
        with socket.socket() as free:
            free.bind((host, 0))
            self._port = free.getsockname()[1]
        self._folder = folder
        self._host = host
        self.address = f"{host}:{self._port}"
        self.nodes: list[RayNode] = []
        self.start_head()

    def start_head(self) -> None:
        """Start the head, at the address that the cluster always has."""
        arguments = ["--head", "--port", str(self._port), "--num-cpus", "0", "--include-dashboard", "false"]
        self.head = RayNode(arguments, self._new_log(), host=self._host)

    def add_node(self, cpus: int = 2, host: str = "", within: Sequence[str] = (), **environ: str) -> RayNode:
        """A further node with so many CPUs, and variables of its own.

        It has the head's address unless it is given another ``host``; the command ``within`` begins it.
        """
        arguments = ["--address", self.address, "--num-cpus", str(cpus)]
        node = RayNode(arguments, self._new_log(), environ, host=host or self._host, within=within)
        self.nodes.append(node)
        return node

    def _new_log(self) -> Path:
        return self._folder / f"node-{secrets.token_hex(4)}.log"

    def close(self) -> None:
        """End all of it."""
        for node in (*self.nodes, self.head):
            node.kill()


@contextmanager
def ray_cluster(folder: Path, *cpus: int, host: str = HOST) -> Iterator[RayCluster]:
    """A cluster with nodes of so many CPUs each. The environment of this process gets what its clients need."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # else other programs of the machine go first
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("PYTHONPATH", os.path.dirname(__file__))
        cluster = RayCluster(folder, host)
        try:
            for number in cpus:
                cluster.add_node(number)
            yield cluster
        finally:
            cluster.close()
