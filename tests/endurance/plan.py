"""One fault after the other, and how long it took after each until jobs were finished again."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa

from endurance import history
from endurance.faults import FAULTS, Fault
from endurance.hosts import Host
from endurance.ray_faults import CLUSTER_FAULTS
from endurance.traffic import Traffic
from endurance.world import World

ALL_FAULTS = FAULTS | CLUSTER_FAULTS
TICK_S = 0.25
RECOVERY_S = 120.0
"""So long the next fault waits for jobs to be finished again; whether they ever are is checked at the end."""
FRESH = 12
"""Jobs that are submitted when a fault begins, and when fewer than that are in flight."""
GAPS_S = (1.0, 4.0)
"""Shortest and longest pause before the next fault; a quarter of it in the short form."""


@dataclass
class Brought:
    """A fault that was brought about. Times are in UTC.

    ``finished`` counts jobs that ended meanwhile, ``recovery_s`` is for each host concerned the time from the fault's
    end to the first job that it finished, None where it finished none.
    """

    name: str
    what: str
    began: datetime
    ended: datetime
    finished: int = 0
    recovery_s: dict[str, float | None] = field(default_factory=dict)


@dataclass
class Plan:
    """The faults of a run in their order, and those that are not here, with the reason."""

    faults: Sequence[Fault]
    missing: dict[str, str]
    is_short: bool
    stretch: float
    rng: random.Random

    def run(self, world: World, traffic: Traffic) -> list[Brought]:
        """Bring all faults about, the first one when every host has finished a job; adds jobs to each."""
        now = datetime.now(UTC)
        _wait_for_recovery(world, traffic, world.hosts, Brought("", "", now, now))
        brought = []
        for fault in self.faults:
            time.sleep(self.rng.uniform(*GAPS_S) * (0.25 if self.is_short else 1.0))
            traffic.submit(FRESH)
            brought.append(self._bring(world, traffic, fault))
        return brought

    def _bring(self, world: World, traffic: Traffic, fault: Fault) -> Brought:
        began = datetime.now(UTC)
        until = time.monotonic() + self.stretch * fault.lasts_s[self.is_short]
        what = fault.begin()
        print(f"{began:%H:%M:%S} {fault.name}: {what}", flush=True)
        try:
            while True:
                fault.tick()
                if time.monotonic() >= until:
                    break
                time.sleep(TICK_S)
        finally:
            fault.end()
        seen = Brought(fault.name, what, began, datetime.now(UTC))
        _wait_for_recovery(world, traffic, fault.hosts, seen)
        return seen


def planned(world: World, names: Sequence[str], *, seed: int, is_short: bool, stretch: float = 1.0) -> Plan:
    """The named faults, or all of this length, in an order by chance; each lasts ``stretch`` times as long as usual."""
    rng = random.Random(f"{seed} faults")
    chosen = [ALL_FAULTS[name] for name in names] or [
        kind for kind in ALL_FAULTS.values() if kind.is_short or not is_short
    ]
    missing = {kind.name: reason for kind in chosen for need in kind.needs if (reason := world.why_without(need))}
    here = [kind for kind in chosen if kind.name not in missing]
    if not names:
        rng.shuffle(here)
    return Plan([kind(world, random.Random(f"{seed} {kind.name}")) for kind in here], missing, is_short, stretch, rng)


def _wait_for_recovery(world: World, traffic: Traffic, hosts: Sequence[Host], seen: Brought) -> None:
    """Until each host has finished a job, for which there are always some."""
    wanted = {host.identity(): host.name for host in hosts}
    seen.recovery_s = dict.fromkeys(wanted.values())
    deadline = time.monotonic() + RECOVERY_S
    while None in seen.recovery_s.values() and time.monotonic() < deadline:
        time.sleep(TICK_S)
        left = unfinished(world)
        if left is not None and traffic.in_flight(left) < FRESH:
            traffic.submit(FRESH)
        for step in ends_since(world, seen.ended):
            name = wanted.get(step.home or "")
            if name is not None and seen.recovery_s[name] is None:
                seen.recovery_s[name] = (step.at - seen.ended).total_seconds()
    seen.finished = sum(step.at <= seen.ended for step in ends_since(world, seen.began))


def ends_since(world: World, since: datetime) -> Sequence[history.Step]:
    """Ends of jobs since a time; none while the database does not answer."""
    with suppress(sa.exc.OperationalError), world.cluster.connect() as connection:
        return history.ends(connection, since)
    return []


def unfinished(world: World) -> int | None:
    """How many jobs have not ended; None while the database does not answer."""
    with suppress(sa.exc.OperationalError), world.cluster.connect() as connection:
        return history.unfinished(connection)
    return None
