"""Jobs from their submission to their final states, by the number of slots and of supervisors."""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from benchmarks.scale.places import LOCAL, a_home, settings_of
from benchmarks.scale.runners import SLEEPING
from benchmarks.service.served import PARAMETERS, PROBLEM, TARGET
from qiosk.adapters.home.home import Home
from qiosk.bootstrap import open_embedded
from qiosk.contract.jobs import JobQuery, JobStatus, SubmitJob
from qiosk.service.jobs.job_service import JobService

TRIVIAL, SECOND = "trivial", "1 s"
LOOK_S = 0.2
LOADING_S = 3.0
"""How long fork servers are given to load the solvers."""
OPEN = JobQuery(statuses=[JobStatus.WAITING, JobStatus.EXECUTING])
SEED = 7
LOAD = 0.5
"""Share of the throughput at which latencies are measured."""


def trivial() -> SubmitJob:
    """A job whose solver has next to nothing to do."""
    return SubmitJob(name="t", provider_id="Microsoft", target=TARGET, input_data=PROBLEM, input_params=PARAMETERS)


def sleeping(seconds: float) -> SubmitJob:
    """A job of ``SLEEPING``."""
    data = json.dumps({"seconds": seconds}).encode()
    return SubmitJob(name="s", provider_id="Microsoft", target=TARGET, input_data=data)


@dataclass(frozen=True)
class Setting:
    """What is measured: jobs of one kind, with so many supervisors of so many slots each."""

    database: str
    kind: str
    supervisors: int
    slots: int
    executor: str = LOCAL


@dataclass(frozen=True)
class JobsRow:
    """Jobs a second while there is a backlog, and, at half that rate, seconds from submissions to final states."""

    setting: Setting
    rate: float
    latencies_s: Sequence[float]
    arrivals_s: Sequence[float]
    load: float
    """The machine's average number of running processes when this was measured."""

    @property
    def median_ms(self) -> float:
        """Of the latencies."""
        return 1e3 * statistics.median(self.latencies_s)

    @property
    def p95_ms(self) -> float:
        """Of the latencies."""
        return 1e3 * sorted(self.latencies_s)[int(0.95 * (len(self.latencies_s) - 1))]


def measure_jobs(database: str, setting: Setting, jobs: int) -> JobsRow:
    """Measure in homes of their own."""
    runner = None if setting.kind == TRIVIAL else SLEEPING
    command = trivial() if setting.kind == TRIVIAL else sleeping(1.0)
    with a_home(database) as (folder, url):
        homes = [folder / f"home{number}" for number in range(setting.supervisors)]
        services = [_open(home, folder / "blobs", url, setting, runner) for home in homes]
        try:
            _warm_up(services, homes, command, setting.slots)
            rate = _backlog(services[0], command, jobs)
            arrivals = arrival_times(LOAD * rate, max(20, jobs))
            latencies = _open_loop(services, command, arrivals)
        finally:
            for service in services:
                service.close()
    return JobsRow(setting, rate, latencies, arrivals, os.getloadavg()[0])


def arrival_times(rate: float, count: int) -> list[float]:
    """Seconds, at random with the same seed for all, so that the model is given the same ones."""
    chance = random.Random(SEED)
    return list(accumulate(chance.expovariate(rate) for _ in range(count)))


def _open(home: Path, blobs: Path, url: str, setting: Setting, runner: str | None) -> JobService:
    settings = settings_of(
        home, url, executor=setting.executor, concurrent_jobs=setting.slots, storage=blobs.absolute().as_uri()
    )
    return open_embedded(settings=settings, runner=runner)


def _warm_up(services: Sequence[JobService], homes: Sequence[Path], command: SubmitJob, slots: int) -> None:
    """Let every supervisor have come up, with its solvers loaded, and have run some jobs."""
    for service in services:
        service.submit(command)  # starts the supervisor of its home
    while not all(Home(home).heartbeat.exists() for home in homes):
        time.sleep(LOOK_S)
    _wait(services[0])
    time.sleep(LOADING_S)
    for service in services * slots:
        service.submit(command)
    _wait(services[0])


def _wait(service: JobService) -> None:
    """Until all jobs have ended."""
    while next(service.list(OPEN), None) is not None:
        time.sleep(LOOK_S)


def _backlog(service: JobService, command: SubmitJob, jobs: int) -> float:
    """Jobs a second, of those that ended after the last one was submitted."""
    views = [service.submit(command) for _ in range(jobs)]
    submitted = max(view.creation_time for view in views)
    _wait(service)
    ends = sorted(service.get(view.id).end_execution_time for view in views)
    counted = [end for end in ends if end > submitted]
    return (len(counted) - 1) / (counted[-1] - counted[0]).total_seconds()


def _open_loop(services: Sequence[JobService], command: SubmitJob, arrivals: Sequence[float]) -> list[float]:
    """Seconds from submission to final state, of jobs that arrive at these times at the homes in turn."""
    began, views = time.monotonic(), []
    for number, at in enumerate(arrivals):
        time.sleep(max(0.0, began + at - time.monotonic()))
        views.append(services[number % len(services)].submit(command))
    _wait(services[0])
    found = [services[0].get(view.id) for view in views]
    return [(view.end_execution_time - view.creation_time).total_seconds() for view in found]
