"""A discrete-event model of the scheduler: supervisors, their slots, and the database that they share.

It knows what a supervisor does and in which order, and takes all durations from measurements (``costs``). The time
of a part is drawn from those that were measured. Of this the processor time of the caller is spent on a core of its
host, that of the database on a core of its server, and the rest is a pure delay: commits that wait for the disk, and
messages. Every use of a core and of the server waits for its turn.

A supervisor is one thread. It sleeps until a message, a new job or ``poll_s``, then looks for changes in the database,
and if there were any it looks for jobs to cancel and claims one, if a slot is free and no process is starting. Once a
second it renews leases and looks whether a seat is free among the few that look at the claims of all others; one of
these looks at them.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

from benchmarks.scale.costs import Cost, Costs
from qiosk.supervisor.watch import SEATS

Steps = Generator[simpy.Event, Any, Any]
SLICE_S = 0.002
"""How long a host's core works for one process before another one has its turn."""
MAINTENANCE_S = 1.0
LEASE_RENEWALS_S = 10.0
OTHER_WAKES = 3
"""Messages of a job that are not sent during its run: that it lives, that its solver begins, and its exit."""


@dataclass(frozen=True)
class Design:
    """How the scheduler works; the defaults are how it does.

    ``watchers``: so many supervisors look at the claims of others; None: all. ``batch``: jobs of one claim. ``shards``:
    databases, each with its part of the nodes and of the jobs. ``notifies``: the database tells of changes that
    concern a supervisor, which then looks for them only once in ``poll_s``.
    """

    poll_s: float = 0.02
    watchers: int | None = SEATS
    batch: int = 1
    shards: int = 1
    notifies: bool = False


@dataclass(frozen=True)
class Plant:
    """Supervisors, with slots and cores each (None: cores without limit), on one host if ``is_one_host``.

    The database has so many cores; None: those of the one host. ``distance_s`` is added to each call of it.
    """

    supervisors: int
    slots: int
    cores: int | None
    is_one_host: bool = True
    database_cores: int | None = None
    distance_s: float = 0.0


@dataclass
class Outcome:
    """What a run of the model found: when jobs ended, how long after their submission, and what kept whom busy."""

    ended_s: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    database_s: Counter[str] = field(default_factory=Counter)
    """Busy core seconds of the database by part."""
    supervisor_s: Counter[str] = field(default_factory=Counter)
    """Seconds that all supervisors' threads spent, by part."""
    simulated_s: float = 0.0

    def rate(self, since_s: float = 0.0) -> float:
        """Jobs a second, of those that ended after a time."""
        counted = [at for at in self.ended_s if at > since_s]
        return (len(counted) - 1) / (counted[-1] - counted[0]) if len(counted) > 1 else 0.0


@dataclass(frozen=True, slots=True)
class _Job:
    submitted_s: float
    run: Cost | float


class _Cores:
    """Cores that many use, a slice each in turn; without limit for None."""

    def __init__(self, env: simpy.Environment, count: int | None) -> None:
        self._env = env
        self._cores = None if count is None else simpy.Resource(env, count)

    def work(self, seconds: float, slice_s: float = SLICE_S) -> Steps:
        if self._cores is None:
            yield self._env.timeout(seconds)
            return
        while seconds > 1e-9:
            with self._cores.request() as turn:
                yield turn
                part = min(seconds, slice_s)
                yield self._env.timeout(part)
                seconds -= part


class Model:
    """One database with its supervisors. Give it jobs by ``backlog`` or ``arrivals``, then ``run`` it."""

    def __init__(self, costs: Costs, plant: Plant, design: Design | None = None, *, seed: int = 0) -> None:
        self.env = simpy.Environment()
        self.outcome = Outcome()
        self.waiting: deque[_Job] = deque()
        self.running = 0
        self.version = 0
        self.costs, self.plant, self.design = costs, plant, design or Design()
        self._random = random.Random(seed)
        hosts = 1 if plant.is_one_host else plant.supervisors
        self._hosts = [_Cores(self.env, plant.cores) for _ in range(hosts)]
        self._server = self._hosts[0] if plant.database_cores is None else _Cores(self.env, plant.database_cores)
        watchers = plant.supervisors if self.design.watchers is None else self.design.watchers
        self._supervisors = [
            _Supervisor(self, self._hosts[n % hosts], is_watcher=n < watchers) for n in range(plant.supervisors)
        ]

    @property
    def is_on_cluster(self) -> bool:
        """Whether a Ray cluster places the processes of jobs."""
        return "place" in self.costs.parts

    def backlog(self, count: int, run: Cost | float) -> None:
        """Jobs that wait at the begin; ``run`` is their cost, or seconds that they take without work."""
        self.waiting.extend([_Job(0.0, run)] * count)

    def occupy(self, seconds: float) -> None:
        """Let all slots be taken at the begin, by jobs of which so many seconds or fewer are left."""
        for supervisor in self._supervisors:
            supervisor.occupy(seconds)

    def arrivals(self, at_s: Sequence[float], run: Cost | float) -> None:
        """Jobs that a client on the first host submits at these times."""
        self.env.process(self._arrive(at_s, run))

    def run(self, until_s: float, jobs: int | None = None) -> Outcome:
        """Until a time, or until so many jobs have ended."""
        while self.env.peek() < until_s and (jobs is None or len(self.outcome.ended_s) < jobs):
            self.env.step()
        self.outcome.simulated_s = self.env.now
        return self.outcome

    def use(
        self, part: str, host: _Cores, extra: Cost | None = None, times: float = 0.0, writes: bool = False
    ) -> Steps:
        """One call of the database; ``extra`` is added so many ``times``."""
        cost = self.costs.parts[part]
        client, server, delay = self.split(cost)
        if extra is not None:
            client += 1e-3 * extra.client * times
            server += 1e-3 * extra.server * times
        yield from host.work(client)
        if server:
            yield from self._server.work(server)
            self.outcome.database_s[part] += server
        yield self.env.timeout(delay + self.plant.distance_s)
        self.version += writes

    def split(self, cost: Cost) -> tuple[float, float, float]:
        """Seconds of work of the caller and of the server, and of waiting, of one sample."""
        took = 1e-3 * self._random.choice(cost.samples)
        client, server = 1e-3 * cost.client, 1e-3 * cost.server
        if client + server > took:  # a sample that is faster than the average
            share = took / (client + server)
            return client * share, server * share, 0.0
        return client, server, took - client - server

    def notify(self, first: int) -> None:
        """Wake a supervisor that may claim, beginning with that of the client's home."""
        count = len(self._supervisors)
        wanted = (self._supervisors[(first + n) % count] for n in range(count if self.design.notifies else 1))
        next((s for s in wanted if s.has_room()), self._supervisors[first % count]).ring()

    def _arrive(self, at_s: Sequence[float], run: Cost | float) -> Steps:
        for number, at in enumerate(at_s):
            yield self.env.timeout(max(0.0, at - self.env.now))
            job = _Job(self.env.now, run)
            yield from self.use("submit", self._hosts[0], writes=True)
            self.waiting.append(job)
            self.notify(number)


class _Supervisor:
    """One supervisor's thread, and the processes of its jobs."""

    def __init__(self, model: Model, host: _Cores, *, is_watcher: bool) -> None:
        self._model, self._host, self._env = model, host, model.env
        self._bell = model.env.event()
        self._ended: list[_Job] = []
        self._rings = self._reports = 0
        self._held: deque[_Job] = deque()
        self._taken = 0
        self._starting = simpy.Resource(model.env, 1)
        self._is_starting = False
        self._has_started = False
        self._unrecorded = 0
        self._version = -1
        self._maintain_at = model._random.random()
        self._renew_at = model._random.random() * LEASE_RENEWALS_S
        self._is_watcher = is_watcher
        model.env.process(self._loop())

    def ring(self) -> None:
        """A message has arrived, or a job."""
        self._rings += 1
        if not self._bell.triggered:
            self._bell.succeed()

    def has_room(self) -> bool:
        """Whether it may claim."""
        return self._taken < self._model.plant.slots and not self._is_starting

    def occupy(self, seconds: float) -> None:
        """Take all slots by jobs of which so many seconds or fewer are left."""
        for _ in range(self._model.plant.slots):
            self._taken += 1
            self._model.running += 1
            self._env.process(self._remaining(_Job(0.0, seconds * self._model._random.random())))

    def _remaining(self, job: _Job) -> Steps:
        assert isinstance(job.run, float)
        yield self._env.timeout(job.run)
        self._ended.append(job)
        self.ring()

    def _loop(self) -> Steps:
        design = self._model.design
        yield self._env.timeout(self._model._random.random() * Design.poll_s)
        while True:
            yield self._bell | self._env.timeout(design.poll_s)
            is_rung = self._bell.triggered
            self._bell = self._env.event()
            yield from self._step(is_rung)

    def _step(self, is_rung: bool) -> Steps:
        model = self._model
        ended, self._ended = self._ended, []
        yield from self._timed("turn")
        rings, self._rings = self._rings, 0
        for _ in range(rings):
            yield from self._timed("attend")
        reports, self._reports = self._reports, 0
        for _ in range(reports):
            yield from self._timed("report", writes=True)
        for job in ended:
            model.outcome.ended_s.append(self._env.now)  # the time in the row is that before its last write
            model.outcome.latencies_s.append(self._env.now - job.submitted_s)
            yield from self._timed("finish", writes=True)
            model.running -= 1
            self._taken -= 1
        if self._env.now >= self._maintain_at:
            yield from self._maintain()
        if not model.design.notifies or not is_rung:
            yield from self._timed("poll")
        was_over, self._has_started = self._has_started, False
        if ended or was_over or model.version != self._version:
            self._version = model.version
            if self._taken:
                yield from self._timed("cancelled")
            yield from self._fill()

    def _maintain(self) -> Steps:
        model = self._model
        self._maintain_at = self._env.now + MAINTENANCE_S
        due, self._unrecorded = self._unrecorded, 0
        if self._env.now >= self._renew_at:
            self._renew_at = self._env.now + LEASE_RENEWALS_S
            due = max(due, self._taken)
        for _ in range(due):
            yield from self._timed("record", writes=True)
        if "seat" in model.costs.parts and model.design.watchers is not None:
            yield from self._timed("seat")
        if self._is_watcher:
            yield from self._timed("watch", model.costs.row, model.running)
        self._version = -1

    def _fill(self) -> Steps:
        while self.has_room():
            if not self._held:
                yield from self._claim()
            if not self._held:
                return
            yield from self._timed("count")
            self._taken += 1
            self._is_starting = not self._model.is_on_cluster  # there a node starts one process at a time, and not this
            self._env.process(self._run(self._held.popleft()))

    def _claim(self) -> Steps:
        model = self._model
        free = min(model.design.batch, model.plant.slots - self._taken)
        took = [model.waiting.popleft() for _ in range(min(free, len(model.waiting)))]
        # The first job costs a claim, further ones of the same claim as much as a report each.
        yield from self._timed("claim", model.costs.parts["record"], max(0, len(took) - 1), writes=bool(took))
        model.running += len(took)
        self._held.extend(took)

    def _run(self, job: _Job) -> Steps:
        model = self._model
        if model.is_on_cluster:
            yield from self._process("place")
        with self._starting.request() as turn:
            yield turn
            yield from self._process("fork")
        self._is_starting, self._has_started = False, True
        self._unrecorded += 1
        self.ring()
        yield from self._process("prepare")
        self.ring()
        pieces = max(1, round(model.costs.wakes) - OTHER_WAKES)
        if isinstance(job.run, Cost):
            yield from self._process("run", job.run, pieces)
        else:
            yield self._env.timeout(job.run)
            self._reports += 1
        self._unrecorded -= self._unrecorded > 0
        if model.is_on_cluster:
            yield from self._process("deliver")
            self._env.process(self._process("settle"))
        self._ended.append(job)
        self.ring()
        yield from self._process("exit")
        self.ring()

    def _process(self, part: str, cost: Cost | None = None, pieces: int = 1) -> Steps:
        """A part that a job's process works at; between pieces it sends messages, in the last of them what it found."""
        client, _, delay = self._model.split(cost or self._model.costs.parts[part])
        for number in range(pieces):
            if number:
                self._reports += number == pieces - 1
                self.ring()
            yield from self._host.work(client / pieces)
            yield self._env.timeout(delay / pieces)

    def _timed(self, part: str, extra: Cost | None = None, times: float = 0.0, writes: bool = False) -> Steps:
        began = self._env.now
        yield from self._model.use(part, self._host, extra, times, writes)
        self._model.outcome.supervisor_s[part] += self._env.now - began
