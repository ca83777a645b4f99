"""Whole jobs, measured, and what the model makes of the parts that were measured just before and after."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.scale.cluster_costs import on_cluster
from benchmarks.scale.costs import Cost, Costs
from benchmarks.scale.jobs import TRIVIAL, JobsRow, Setting, measure_jobs
from benchmarks.scale.model import Model, Plant
from benchmarks.scale.parts import measure_parts
from benchmarks.scale.places import LOCAL

ALLOWED = 0.15
"""How far off the model may be."""
JOBS = 400
"""Jobs of the model's backlog."""


@dataclass(frozen=True)
class Checked:
    """A measured row, and what the model says of it: jobs a second, and the median latency [ms]."""

    row: JobsRow
    rate: float
    median_ms: float

    @property
    def errors(self) -> tuple[float, float]:
        """Of the rate and of the median latency, relative to what was measured."""
        return self.rate / self.row.rate - 1.0, self.median_ms / self.row.median_ms - 1.0

    def line(self) -> str:
        """A line of the table."""
        s, pairs = self.row.setting, ((self.row.rate, self.rate, ".1f"), (self.row.median_ms, self.median_ms, ".0f"))
        cells = [
            f"{measured:{form}} | {model:{form}} | {100 * error:+.0f} %{' (off)' if abs(error) > ALLOWED else ''}"
            for (measured, model, form), error in zip(pairs, self.errors, strict=True)
        ]
        names = f"{s.database} | {s.executor} | {s.kind} | {s.supervisors} | {s.slots}"
        return f"| {names} | {' | '.join(cells)} | {self.row.p95_ms:.0f} | {self.row.load:.0f} |"


HEADER = (
    "| database | executor | jobs | supervisors | slots | jobs/s | model | error | median ms | model | error | p95 ms |"
    " load |\n" + "| --- " * 13 + "|"
)


def parts_of(database: str, executor: str, jobs: int) -> Costs:
    """Measure the parts of so many jobs; the cluster is that of the environment."""
    costs = measure_parts(database, jobs)
    return costs if executor == LOCAL else on_cluster(costs, jobs)


def measure_and_check(
    database: str, setting: Setting, jobs: int, parts_jobs: int, cores: int | None, repeats: int
) -> Checked:
    """The repetition of the median throughput; ``cores`` as for ``check``."""
    found, before = [], parts_of(database, setting.executor, parts_jobs)
    for _ in range(repeats):
        row = measure_jobs(database, setting, jobs)
        after = parts_of(database, setting.executor, parts_jobs)
        found.append(check(row, both(before, after), cores))
        before = after
    rate = statistics.median_low([checked.row.rate for checked in found])
    return next(checked for checked in found if checked.row.rate == rate)


def both(first: Costs, second: Costs) -> Costs:
    """The samples of two measurements, and the means of their processor times."""
    parts = {name: _both(cost, second.parts[name]) for name, cost in first.parts.items()}
    return replace(first, parts=parts, row=_both(first.row, second.row))


def _both(first: Cost, second: Cost) -> Cost:
    samples: Sequence[float] = [*first.samples, *second.samples]
    return Cost(samples, (first.client + second.client) / 2, (first.server + second.server) / 2)


def check(row: JobsRow, costs: Costs, cores: int | None) -> Checked:
    """Predict a row from the costs of parts alone; the host has so many cores, None: without limit."""
    plant = Plant(row.setting.supervisors, row.setting.slots, cores)
    run: Cost | float = costs.parts["run"] if row.setting.kind == TRIVIAL else 1.0
    busy = Model(costs, plant, seed=1)
    busy.backlog(JOBS, run)
    rate = busy.run(math.inf, jobs=JOBS).rate(busy.env.now / 10)
    calm = Model(costs, plant, seed=2)
    calm.arrivals(row.arrivals_s, run)
    found = calm.run(math.inf, jobs=len(row.arrivals_s))
    return Checked(row, rate, 1e3 * statistics.median(found.latencies_s))
