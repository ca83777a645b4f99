"""What a job costs more on a Ray cluster of this machine than in processes of its supervisor."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import psutil

from benchmarks.scale.costs import Cost, Costs
from benchmarks.scale.parts import PAUSE_S
from benchmarks.scale.places import LOCAL
from benchmarks.scale.starts import Run, an_executor
from benchmarks.service.served import PARAMETERS, PROBLEM, TARGET
from qiosk.supervisor.processes.job_process import SOLVER_RUNNER

IDLE_S = 3.0
"""How long this machine is watched while no job runs."""


@dataclass(frozen=True)
class _Measured:
    """Trivial jobs, one after the other, and processor time of the whole machine for each [ms], but for idle work."""

    runs: Sequence[Run]
    processor_ms: float


def on_cluster(costs: Costs, jobs: int) -> Costs:
    """The parts of jobs that run on the cluster that the environment names, from those of this machine.

    Only what runs on this machine while this measures is to be the jobs'.
    """
    here, there = (_measure(executor, jobs) for executor in (LOCAL, "ray"))
    before = [run.lives for run in here.runs]
    place = [1e3 * max(0.0, run.lives - median(before)) for run in there.runs]
    after = [median(run.over - run.lives for run in each.runs) for each in (here, there)]
    more = max(0.0, there.processor_ms - here.processor_ms)
    placing = min(more, median(place))
    parts = {
        "place": Cost(place, placing),
        "deliver": Cost([1e3 * max(0.0, after[1] - after[0])], 0.0),
        "settle": Cost([more - placing], more - placing),
    }
    return replace(costs, database=f"{costs.database}-ray", parts={**costs.parts, **parts})


def _measure(executor: str, jobs: int) -> _Measured:
    members = {"target": TARGET, "input_params": PARAMETERS}
    with an_executor(executor, SOLVER_RUNNER, PROBLEM, **members) as start:
        began, idle = time.perf_counter(), _busy_seconds()
        time.sleep(IDLE_S)
        share = (_busy_seconds() - idle) / (time.perf_counter() - began)
        began, used = time.perf_counter(), _busy_seconds()
        runs = []
        for _ in range(jobs):
            time.sleep(PAUSE_S)
            runs.append(start())
        passed = time.perf_counter() - began
        return _Measured(runs, 1e3 * (_busy_seconds() - used - share * passed) / jobs)


def _busy_seconds() -> float:
    """Of all processors together, so far."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)
