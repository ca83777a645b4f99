"""The world of a run: a PostgreSQL cluster, an object store or a shared folder, and hosts; all of its own.

Each host reaches the database and the object store through proxies of its own, so that a fault can concern one host or
all of them. Where the run may mount, the database's data, each home and the shared folder are on small file systems of
their own, which a fault can fill. Where libfaketime is installed, each host has a time of day of its own.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from endurance import history, hosts
from endurance.disks import Disks, may_mount
from endurance.hosts import Host
from endurance.postgres import Cluster
from patience import HANG_S
from proxies import Proxy
from qiosk.adapters.sql.schema import open_database
from qiosk.client.workspace import Workspace
from qiosk.contract.api import JobsApi
from ray_clusters import RayCluster, ray_cluster

TRIPLE = ("00000000-0000-0000-0000-000000000000", "endurance", "endurance")
_LIBRARY = "vendor/libfaketime/src/libfaketime.so.1"
_SYSTEM_LIBRARY = "/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1"
SKEWS_S = (0, 6 * 3600, -26 * 3600)
"""By how much the clocks of the hosts are wrong; a fault makes one jump."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a run is made of. ``storage`` is ``s3`` or ``folder``; ``settings`` are variables of all hosts.

    ``executor`` is where jobs run: ``local``, ``ray``, or ``both``: on a Ray cluster those of the last host.
    """

    hosts: int = 3
    slots: int = 2
    storage: str = "s3"
    executor: str = "local"
    settings: Mapping[str, str]

    def executor_of(self, number: int) -> str:
        """Where a host's jobs run."""
        if self.executor == "both":
            return "ray" if number == self.hosts - 1 else "local"
        return self.executor


class World:
    """Everything that is there; ``open`` makes one."""

    def __init__(self, folder: Path, options: Options, disks: Disks) -> None:
        self.options = options
        self.mark = uuid.uuid4().hex
        self.clock_library = _clock_library()
        self.hosts: list[Host] = []
        self.ray: RayCluster | None = None
        self._folder = folder
        self._disks = disks
        self.shared = disks.make("shared", 512)
        self.database_disk = disks.make("database", 768)
        self.cluster = Cluster(self.database_disk)

    def why_without(self, need: str) -> str | None:
        """Why something is not here that a fault needs; None if it is here.

        Needs are ``disks``, ``clocks``, ``several hosts``, ``object store``, ``shared folder``, ``local`` and ``ray``.
        """
        options = self.options
        missing = {
            "disks": None if may_mount() else "no right to mount file systems",
            "clocks": None if self.clock_library else "libfaketime is not installed",
            "several hosts": None if options.hosts > 1 else "there is one host",
            "object store": None if options.storage == "s3" else "blobs are in a folder",
            "shared folder": None if options.storage == "folder" else "blobs are in an object store",
        }
        return missing.get(need, None if self.hosts_of(need) else f"jobs run by {options.executor!r}")

    def hosts_of(self, executor: str) -> Sequence[Host]:
        """Those whose jobs run so."""
        return [host for host in self.hosts if host.executor == executor]

    def database_proxies(self) -> Sequence[Proxy]:
        """The ways of all hosts to the database."""
        return [host.database for host in self.hosts]

    def storage_proxies(self) -> Sequence[Proxy]:
        """The ways of all hosts to the object store."""
        return [host.storage for host in self.hosts if host.storage is not None]

    def api(self, host: Host) -> JobsApi:
        """The jobs, as clients of a host's server have them."""
        return Workspace(*TRIPLE, url=host.url).api

    def set_clock(self, host: Host, offset_s: float) -> None:
        """Let the time of day of a host's processes be wrong by so much."""
        host.clock.write_text(f"{offset_s:+.0f}s\n")

    def keep_logs(self, folder: Path) -> None:
        """Copy all logs to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for path in [*self._folder.glob("*.log"), *self.database_disk.glob("*.log")]:
            shutil.copy(path, folder)
        for host in self.hosts:
            for path in host.home.glob("supervisor.log*"):
                shutil.copy(path, folder / f"{host.name}-{path.name}")

    def add_host(self, number: int, environ: Mapping[str, str], objects: tuple[str, int] | None) -> None:
        """Make one more host; ``objects`` is where the object store listens."""
        name = f"host-{number}"
        database = Proxy("127.0.0.1", self.cluster.port)
        url = self.cluster.url.set(drivername="postgresql", port=database.port)
        storage = None if objects is None else Proxy(*objects)
        given = {
            "QIOSK_DATABASE": url.render_as_string(hide_password=False),
            "QIOSK_STORAGE": self.shared.as_uri() if storage is None else "s3://bucket/endurance",
            "QIOSK_CONCURRENT_JOBS": str(self.options.slots),
            "QIOSK_THREADS": "1",
            "QIOSK_SECRET_KEY": self.mark,
            hosts.MARK: self.mark,
            **environ,
            **self.options.settings,
        }
        executor = self.options.executor_of(number)
        if executor == "ray" and self.ray is not None:
            given |= {"QIOSK_EXECUTOR": executor, "QIOSK_RAY_ADDRESS": self.ray.address}
        if storage is not None:
            given["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{storage.port}"
        disk = self._disks.make(name, 48)
        host = Host(name, disk, executor=executor, database=database, storage=storage, environ=given)
        if self.clock_library is not None:
            self.set_clock(host, SKEWS_S[number % len(SKEWS_S)])
            host.add_environ(_clock_environ(self.clock_library, host.clock))
        self.hosts.append(host)


@contextmanager
def opened(folder: Path, options: Options) -> Iterator[World]:
    """A world whose hosts are ready; nothing of it stays."""
    with ExitStack() as stack:
        disks = Disks(folder)
        stack.callback(disks.unmount)
        world = World(folder, options, disks)
        stack.callback(hosts.kill_remaining, world.mark)
        world.cluster.start()
        stack.callback(world.cluster.stop, "immediate")
        open_database(world.cluster.url).close()
        with world.cluster.connect() as connection:
            history.install(connection)
        objects, environ = None, {}
        if options.storage == "s3":
            objects, environ = stack.enter_context(_object_store(folder))
        if (on_ray := [options.executor_of(number) for number in range(options.hosts)].count("ray")) > 0:
            world.ray = stack.enter_context(ray_cluster(folder, *[options.slots] * max(2, on_ray)))
        for number in range(options.hosts):
            world.add_host(number, environ, objects)
        for host in world.hosts:
            stack.callback(host.database.close)
            host.start()
        for host in world.hosts:
            host.wait()
        yield world


@contextmanager
def _object_store(folder: Path) -> Iterator[tuple[tuple[str, int], Mapping[str, str]]]:
    """An S3 service in a process of its own, with a bucket: where it listens, and the variables of its clients."""
    program = (
        "import sys; from moto.server import ThreadedMotoServer as S; s = S('127.0.0.1', 0, verbose=False); s.start();"
        "print(s.get_host_and_port()[1], flush=True); sys.stdin.read()"
    )
    with (folder / "objects.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        request = urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT")
        urllib.request.urlopen(request, timeout=HANG_S).close()
        yield (
            ("127.0.0.1", port),
            {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"},
        )
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def _clock_library() -> Path | None:
    """The library that lets a program see another time of day."""
    spec = importlib.util.find_spec("libfaketime")
    packaged = [] if spec is None or spec.origin is None else [Path(spec.origin).parent / _LIBRARY]
    found = [path for path in (*packaged, Path(_SYSTEM_LIBRARY.format(os.uname().machine))) if path.exists()]
    return found[0] if found else None


def _clock_environ(library: Path, file: Path) -> Mapping[str, str]:
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "DONT_FAKE_MONOTONIC": "1",  # a clock that never goes back is right on every host
    }
