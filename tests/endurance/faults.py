"""The faults that a run can bring about.

A fault is a class with a ``name``, what it ``needs`` of the world, for how long it lasts at length and in short
(``lasts_s``), and two methods: ``begin`` brings it about and returns what was done, ``end`` makes everything whole
again. In between ``tick`` is called some times a second. ``hosts`` are those concerned, for which the report says when
they finished a job again. ``FAULTS`` has all of them; other modules add theirs with ``register``.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, TypeVar

import psutil
import sqlalchemy as sa

from endurance import disks
from endurance.hosts import Host
from endurance.world import World


class Fault:
    """One fault, which is brought about once."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    lasts_s: ClassVar[tuple[float, float]] = (8.0, 3.0)
    is_short: ClassVar[bool] = True

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.hosts: Sequence[Host] = next(filter(None, map(world.hosts_of, self.needs)), world.hosts)

    def begin(self) -> str:
        """Bring it about; returns what was done, in a few words."""
        raise NotImplementedError

    def tick(self) -> None:
        """Something to do again and again while it lasts."""

    def end(self) -> None:
        """Make everything whole again."""

    def one_host(self) -> Host:
        """Concern one of its hosts, by chance."""
        host = self.rng.choice(self.hosts)
        self.hosts = [host]
        return host


FAULTS: dict[str, type[Fault]] = {}
Kind = TypeVar("Kind", bound=type[Fault])


def register(kind: Kind) -> Kind:
    """Add a fault, as a decorator of its class."""
    FAULTS[kind.name] = kind
    return kind


@register
class DatabaseRestarted(Fault):
    """PostgreSQL is stopped, all transactions are ended, and is started again."""

    name = "database restarted"
    mode: ClassVar[str] = "fast"

    def begin(self) -> str:
        self.world.cluster.stop(self.mode)
        return f"stopped ({self.mode})"

    def end(self) -> None:
        self.world.cluster.start()


@register
class DatabaseCrashed(DatabaseRestarted):
    """PostgreSQL dies without a word to anyone, and recovers from its log."""

    name = "database crashed"
    mode = "immediate"


@register
class ConnectionsTerminated(Fault):
    """An administrator ends all connections to the database, again and again."""

    name = "connections terminated"

    def begin(self) -> str:
        self.ended = 0
        return "pg_terminate_backend of all"

    def tick(self) -> None:
        self.ended += self.world.cluster.terminate_backends()


@register
class DatabaseCut(Fault):
    """No host reaches the database: all connections break, and new ones are refused."""

    name = "database cut off"
    lasts_s = (12.0, 3.0)

    def begin(self) -> str:
        for proxy in self.world.database_proxies():
            proxy.cut()
        return "all hosts"

    def end(self) -> None:
        for proxy in self.world.database_proxies():
            proxy.mend()


@register
class DatabaseSilent(DatabaseCut):
    """The network loses every packet between hosts and database; no connection is closed."""

    name = "database silent"
    lasts_s = (12.0, 3.0)

    def begin(self) -> str:
        for proxy in self.world.database_proxies():
            proxy.silence()
        return "all hosts"


@register
class DatabaseSlow(DatabaseCut):
    """Every answer of the database takes long."""

    name = "database slow"
    lasts_s = (12.0, 3.0)

    def begin(self) -> str:
        for proxy in self.world.database_proxies():
            proxy.slow(0.1)
        return "0.2 s for each round trip"


@register
class HostCutOff(Fault):
    """One host alone does not reach the database for longer than its leases last."""

    name = "host cut off"
    needs = ("several hosts",)
    lasts_s = (42.0, 0.0)
    is_short = False

    def begin(self) -> str:
        host = self.one_host()
        self.rng.choice([host.database.cut, host.database.silence])()
        return host.name

    def end(self) -> None:
        for host in self.hosts:
            host.database.mend()


@register
class SupervisorKilled(Fault):
    """A supervisor is killed, and with it all its jobs."""

    name = "supervisor killed"
    lasts_s = (0.0, 0.0)

    def begin(self) -> str:
        host = self.one_host()
        if (supervisor := host.supervisor()) is None:
            return f"{host.name}: had none"
        supervisor.kill()
        return host.name


@register
class SupervisorFrozen(Fault):
    """A supervisor alone is stopped (SIGSTOP), and stopped again when something lets it go on, beyond its leases."""

    name = "supervisor frozen"
    lasts_s = (42.0, 0.0)
    is_short = False

    def begin(self) -> str:
        self.frozen = self.one_host().supervisor()
        return self.hosts[0].name

    def tick(self) -> None:
        self._send(signal.SIGSTOP)

    def end(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        with suppress(psutil.Error):
            if self.frozen is not None:
                self.frozen.send_signal(number)


@register
class HostFrozen(Fault):
    """All processes of a host are stopped beyond its leases, as a virtual machine that is moved or paused."""

    name = "host frozen"
    needs = ("several hosts",)
    lasts_s = (42.0, 0.0)
    is_short = False

    def begin(self) -> str:
        host = self.one_host()
        return f"{host.name}: {host.signal(signal.SIGSTOP)} processes"

    def end(self) -> None:
        self.hosts[0].signal(signal.SIGCONT)


@register
class ServerKilled(Fault):
    """A server is killed, and started again."""

    name = "server killed"
    lasts_s = (5.0, 2.0)

    def begin(self) -> str:
        host = self.one_host()
        host.kill_server()
        return host.name

    def end(self) -> None:
        self.hosts[0].start()


@register
class ForkServerKilled(Fault):
    """The parent of all processes of jobs of one host is killed."""

    name = "fork server killed"
    needs = ("local",)
    lasts_s = (0.0, 0.0)

    def begin(self) -> str:
        host = self.one_host()
        if (server := host.fork_server()) is None:
            return f"{host.name}: had none"
        server.kill()
        return host.name


@register
class JobsKilled(Fault):
    """Processes of jobs are killed on all hosts."""

    name = "job processes killed"

    def begin(self) -> str:
        return "on all hosts"

    def tick(self) -> None:
        for host in self.world.hosts:
            for process in host.job_processes():
                with suppress(psutil.Error):
                    process.kill()


class StorageFault(Fault):
    """One that concerns the ways to the object store."""

    needs = ("object store",)
    lasts_s = (12.0, 4.0)

    def end(self) -> None:
        for proxy in self.world.storage_proxies():
            proxy.mend()


@register
class StorageRefuses(StorageFault):
    """The object store accepts no connections."""

    name = "storage refuses"

    def begin(self) -> str:
        for proxy in self.world.storage_proxies():
            proxy.cut()
        return "all hosts"


@register
class StorageCut(StorageFault):
    """Connections to the object store break off, again and again."""

    name = "storage connections cut"

    def begin(self) -> str:
        return "several times a second"

    def tick(self) -> None:
        for proxy in self.world.storage_proxies():
            proxy.drop()


@register
class StorageSlow(StorageFault):
    """Every answer of the object store takes long."""

    name = "storage slow"

    def begin(self) -> str:
        for proxy in self.world.storage_proxies():
            proxy.slow(0.5)
        return "1 s for each round trip"


@register
class StorageSilent(StorageFault):
    """The object store answers nothing; no connection is closed."""

    name = "storage silent"

    def begin(self) -> str:
        for proxy in self.world.storage_proxies():
            proxy.silence()
        return "all hosts"


@register
class ClockJumps(Fault):
    """The time of day of one host jumps, and later back."""

    name = "clock jumps"
    needs = ("clocks",)

    def begin(self) -> str:
        host = self.one_host()
        offset_s = self.rng.choice([-40 * 24 * 3600, -3600, 3600, 40 * 24 * 3600])
        self.world.set_clock(host, offset_s)
        return f"{host.name}: by {offset_s / 3600:+g} h"

    def end(self) -> None:
        self.world.set_clock(self.hosts[0], 0)


@register
class HomeFull(Fault):
    """The file system of a home has no room."""

    name = "disk of a host full"
    needs = ("disks",)

    def begin(self) -> str:
        host = self.one_host()
        return f"{host.name}: {disks.fill(host.disk) >> 20} MB written"

    def end(self) -> None:
        disks.free(self.hosts[0].disk)


@register
class SharedFull(Fault):
    """The shared folder of blobs has no room."""

    name = "disk of the storage full"
    needs = ("disks", "shared folder")

    def begin(self) -> str:
        return f"{disks.fill(self.world.shared) >> 20} MB written"

    def tick(self) -> None:
        disks.fill(self.world.shared)

    def end(self) -> None:
        disks.free(self.world.shared)


@register
class DatabaseFull(Fault):
    """The file system of the database has no room, so that it may have to recover afterwards."""

    name = "disk of the database full"
    needs = ("disks",)

    def begin(self) -> str:
        return f"{disks.fill(self.world.database_disk) >> 20} MB written"

    def tick(self) -> None:
        disks.fill(self.world.database_disk)
        # A busy server needs the next file of its log soon. Without it, it ends all connections, and perhaps itself.
        with suppress(sa.exc.OperationalError):
            self.world.cluster.begin_log_file()

    def end(self) -> None:
        disks.free(self.world.database_disk)
        self.world.cluster.start()
