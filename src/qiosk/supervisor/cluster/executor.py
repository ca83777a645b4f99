"""The executor of a Ray cluster, in the supervisor: it starts the gateway, again and again if that ends."""

from __future__ import annotations

import logging
import socket
import struct
import subprocess
import sys
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import final

from qiosk.service.jobs.runs import JobSpec
from qiosk.settings import Settings
from qiosk.supervisor.cluster.events import (
    Alive,
    Began,
    Cluster,
    Command,
    Event,
    GatewayOptions,
    Order,
    Ordered,
    Over,
    Sent,
    Start,
)
from qiosk.supervisor.executor import Ended, Fate, Message
from qiosk.supervisor.pauses import GrowingPause
from qiosk.supervisor.processes.job_process import ProcessOptions

GATEWAY_PAUSES_S = (1.0, 15.0)
"""First and longest pause before a gateway is started again."""
SILENCE_S = 60.0
"""A gateway that tells nothing for so long hangs."""
ALIVE_S = 1.0
"""How often the gateway is told that the supervisor lives."""
SOCKET_S = 5.0
"""How long the supervisor waits for a gateway that does not read, or stops in the middle of an event."""
DEMAND = 0.25
"""So many more runs than fit are placed, as a share of those that fit: Ray's autoscaler sees what is waited for."""

log = logging.getLogger(__name__)


@final
class RayExecutor:
    """Runs jobs on the cluster that the settings name. ``environ``: variables that nodes need to reach the storage."""

    starts_at_once = 1_000_000
    shares_machine = False
    spans_machines = True

    def __init__(self, settings: Settings, options: ProcessOptions, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._options = GatewayOptions(address=settings.ray_address, options=options, environ=dict(environ))
        self._runs: dict[str, RayRun] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._cluster: Cluster | None = None
        self._heard_at = self._told_at = 0.0
        self._trouble = f"connecting to the Ray cluster at {settings.ray_address}"
        self._pause = GrowingPause(*GATEWAY_PAUSES_S)
        self._tend()

    def slots(self) -> int:
        """As many as the settings say, or one per ``threads`` CPUs of the cluster and ``DEMAND`` more.

        A cluster without nodes gets a run as well: its autoscaler starts nodes for what is waited for.
        """
        if self._cluster is None or self._cluster.trouble:
            return 0
        if self._settings.concurrent_jobs is not None:
            return self._settings.concurrent_jobs
        fitting = self._cluster.cpus // (self._settings.threads or 1)
        return fitting + max(1, int(DEMAND * fitting))

    def threads(self, runs: int) -> int:
        """Each run's share of the CPUs of the cluster, on one node."""
        if self._cluster is None:
            return 1
        return max(1, min(self._cluster.most_cpus, self._cluster.cpus // runs))

    def start(self, spec: JobSpec) -> RayRun:
        """Ask Ray for a place. Raises OSError while there is no connection to the cluster."""
        threads = spec.threads or 1
        settings = self._settings
        name = uuid.uuid4().hex
        start = Start(name, spec, threads, settings.memory_limit or 0, dict(settings.ray_resources))
        if self._cluster is None or not self._send(start):
            raise ConnectionError(self.trouble())
        run = RayRun(name, self, threads)
        self._runs[name] = run
        return run

    def wait_on(self) -> Sequence[Connection | int]:
        """The gateway's socket."""
        self._tend()
        return () if self._connection is None else (self._connection,)

    def trouble(self) -> str:
        """Why the cluster cannot be used."""
        self._tend()
        return self._trouble

    def close(self) -> None:
        """End the gateway, and with it all agents and runs."""
        self._end_gateway()

    def order(self, run: str, order: Order) -> None:
        """Order something of a run."""
        self._send(Ordered(run, order))

    def forget(self, run: str) -> None:
        """A run was closed."""
        self._runs.pop(run, None)

    def receive(self) -> None:
        """Take what the gateway has sent."""
        try:
            while self._connection is not None and self._connection.poll():
                self._take(self._connection.recv())
        except (EOFError, OSError):
            self._drop(self._trouble or "the connection to the Ray cluster was lost")

    def _tend(self) -> None:
        """Start a gateway if there is none, and end one that hangs."""
        self.receive()
        now = time.monotonic()
        if self._process is not None and now - self._heard_at > SILENCE_S:
            self._drop(f"the Ray cluster at {self._options.address} does not answer")
        if self._process is not None and now - self._told_at >= ALIVE_S:
            self._told_at = now
            self._send(Alive())
        if self._process is None and not self._pause.is_on(now):
            self._start_gateway(now)

    def _start_gateway(self, now: float) -> None:
        self._heard_at = self._told_at = now
        ours, theirs = socket.socketpair()
        with ours, theirs:
            for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
                ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(SOCKET_S), 0))
            command = [sys.executable, "-m", "qiosk.supervisor.cluster.gateway"]
            self._process = subprocess.Popen(command, stdin=theirs.fileno())
            self._connection = Connection(ours.detach())
        self._connection.send(self._options)

    def _take(self, event: Event) -> None:
        self._heard_at = time.monotonic()
        match event:
            case Cluster():
                if event.cpus and not event.trouble:
                    self._pause.note_success()
                self._cluster = event
                waiting = f"no node of the Ray cluster at {self._options.address} is ready"
                self._trouble = event.trouble if event.cpus or event.trouble else waiting
            case Began(run, place) if run in self._runs:
                self._runs[run].begin(place)
            case Sent(run, message) if run in self._runs:
                self._runs[run].add(message)
            case Over(run, end) if run in self._runs:
                self._runs[run].finish(end)
            case Began(run) | Sent(run):  # it was given up here
                self._send(Ordered(run, Order.KILL))

    def _drop(self, reason: str) -> None:
        """End the gateway. Its runs have ended, and their jobs are not to blame."""
        if not self._end_gateway():
            return
        self._trouble = reason
        pause_s = self._pause.note_failure(time.monotonic())
        log.warning("%s; connecting again in %g s", reason, pause_s)
        for run in self._runs.values():
            run.finish(Ended(reason, Fate.EXCUSED))

    def _end_gateway(self) -> bool:
        """Whether there was one."""
        if self._process is None or self._connection is None:
            return False
        self._process.kill()
        self._process.wait()
        self._connection.close()
        self._process = self._connection = self._cluster = None
        return True

    def _send(self, command: Command) -> bool:
        """Whether there is a gateway that takes it. One that cannot be sent to is dropped by the next ``_tend``."""
        if self._connection is None:
            return False
        try:
            self._connection.send(command)
        except OSError:
            self._heard_at = float("-inf")  # a part of the command may have been sent: no other one can follow
            return False
        return True


@final
class RayRun:
    """A run on the cluster, seen from the supervisor."""

    def __init__(self, name: str, executor: RayExecutor, cpus: int) -> None:
        self._name = name
        self._executor = executor
        self._messages: deque[Message] = deque()
        self._end: Ended | None = None
        self.is_starting = True
        self.start_error: Exception | None = None
        self.place = ""
        self.activity = f"waiting for a node of the cluster with {cpus} free CPU{'s' if cpus > 1 else ''}…"

    @property
    def is_waiting(self) -> bool:
        """Whether it has no node yet."""
        return self.is_starting

    def begin(self, place: str) -> None:
        """Its process lives."""
        self.is_starting, self.place = False, place

    def add(self, message: Message) -> None:
        """It has sent a message."""
        self._messages.append(message)

    def finish(self, end: Ended) -> None:
        """It has ended."""
        if self._end is not None:
            return
        self._end = end
        if self.is_starting and end.verdict is not Fate.EXCUSED:
            self.is_starting = False
            self.start_error = OSError(end.reason)

    def wait_on(self) -> Sequence[Connection | int]:
        """The gateway's socket, which the executor waits on."""
        return ()

    def messages(self) -> Iterator[Message]:
        """The messages that have arrived."""
        while self._messages:
            yield self._messages.popleft()

    def has_ended(self) -> bool:
        """Whether its end has arrived."""
        self._executor.receive()
        return self._end is not None

    def end(self) -> Ended | None:
        """How it ended."""
        return self._end

    def observe(self) -> None:
        """Its agent does."""

    def cancel(self) -> None:
        """Ask it to stop and store its best solution."""
        self._executor.order(self._name, Order.CANCEL)

    def suspend(self) -> None:
        """Ask it to store a checkpoint and end."""
        self._executor.order(self._name, Order.SUSPEND)

    def kill(self) -> None:
        """End it at once."""
        self._executor.order(self._name, Order.KILL)
        if self.is_starting and self._end is None:
            self._end = Ended("it was withdrawn", Fate.LOST)

    def close(self) -> None:
        """Forget it; one that has not ended is killed."""
        if self._end is None:
            self.kill()
        self._executor.forget(self._name)
