"""Comparison of solvers over the instances of a study: performance profiles, times to target, mean ranks.

Only instances on which every solver has a run that has ended are compared. Models have no times to target.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qiosk.errors import InvalidValue
from qiosk.studies.rows import UNREADABLE, Row
from qiosk.studies.trials import ROUNDING

EARLIEST_S = 1e-3
"""Shorter times to target count as this long: below it, measured times are noise."""
RESAMPLES = 2000
"""Samples of a bootstrap."""
CONFIDENCE = 0.95

F8 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Medians:
    """The median over the seeds, of each instance (row) and solver (column); infinite without one."""

    solvers: Sequence[str]
    instances: Sequence[str]
    values: F8


class Rank(NamedTuple):
    """A mean rank, and its confidence interval."""

    mean: float
    low: float
    high: float


def median_times(rows: Sequence[Row]) -> Medians:
    """The median times to target [s]; infinite where fewer than half of the runs reach it.

    Raises InvalidValue if there is nothing to compare.
    """
    timed = [row for row in rows if row.time_to_target is not None]
    return _medians(rows, timed, lambda row: max(row.time_to_target or 0.0, EARLIEST_S))


def median_values(rows: Sequence[Row]) -> Medians:
    """The medians of the costs, or of the objectives of models with the sign changed where they are maximized.

    Raises InvalidValue if there is nothing to compare.
    """
    return _medians(rows, [row for row in rows if row.is_final and row.status != UNREADABLE], lambda row: row.value)


def _medians(rows: Sequence[Row], measured: Sequence[Row], measure: Callable[[Row], float]) -> Medians:
    """Medians of those rows that are measured, on the instances on which each solver of all rows has some."""
    solvers = list(dict.fromkeys(row.solver for row in rows))
    found: dict[str, dict[str, list[float]]] = {}
    for row in measured:
        found.setdefault(row.instance, {}).setdefault(row.solver, []).append(measure(row))
    instances = [name for name, by_solver in found.items() if len(by_solver) == len(solvers)]
    if not instances:
        raise InvalidValue("study: no instance has runs of all solvers that have ended, so nothing can be compared")
    return Medians(
        solvers,
        instances,
        np.array([[_median(found[name][solver]) for solver in solvers] for name in instances]),
    )


def _median(values: Sequence[float]) -> float:
    """The upper of the two middle values where their mean is infinite or no number."""
    ordered = sorted(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return (low + high) / 2 if math.isfinite(high) else high


def performance_ratios(times: F8) -> F8:
    """Each solver's time divided by the shortest one on the instance; infinite where it did not reach the target."""
    shortest = times.min(axis=1, keepdims=True)
    ratios: F8 = np.divide(times, shortest, out=np.full(times.shape, np.inf), where=np.isfinite(times))
    return ratios


def profile(ratios: F8, at: F8) -> F8:
    """The share of the instances on which a solver's ratio is at most each of ``at``."""
    return np.searchsorted(np.sort(ratios), at, side="right") / len(ratios)


def reached(rows: Sequence[Row]) -> Mapping[str, tuple[F8, int]]:
    """By solver: the times to target [s] of the runs that reached it, sorted, and how many runs have ended."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row.time_to_target is not None:
            found.setdefault(row.solver, []).append(row.time_to_target)
    if not found:
        raise InvalidValue("study: no run with a target cost has ended, so there are no times to target")
    return {
        solver: (np.sort([max(each, EARLIEST_S) for each in times if math.isfinite(each)]), len(times))
        for solver, times in found.items()
    }


def ranks(values: F8) -> F8:
    """The rank of each solver (column) on each instance (row), 1 for the lowest value; equal values, up to rounding,
    share the mean of their ranks."""
    mine, other = values[:, :, None], values[:, None, :]
    with np.errstate(invalid="ignore"):
        is_equal = (mine == other) | (np.abs(mine - other) <= ROUNDING * np.maximum(np.abs(mine), np.abs(other)))
    is_equal &= np.isfinite(mine) == np.isfinite(other)
    is_lower = (other < mine) & ~is_equal
    found: F8 = 1.0 + is_lower.sum(axis=2) + (is_equal.sum(axis=2) - 1) / 2
    return found


def mean_ranks(medians: Medians, *, seed: int = 0) -> Mapping[str, Rank]:
    """The mean rank of each solver over the instances, with a percentile bootstrap interval of 95 %.

    The instances are drawn with replacement, 2000 times; the same ``seed`` gives the same intervals. J. Demsar, Journal
    of Machine Learning Research 7, 1 (2006); B. Efron, Annals of Statistics 7, 1 (1979), doi:10.1214/aos/1176344552.
    """
    found = ranks(medians.values)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(found), np.full(len(found), 1 / len(found)), size=RESAMPLES)
    means = counts @ found / len(found)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return {
        solver: Rank(float(found[:, k].mean()), float(low[k]), float(high[k]))
        for k, solver in enumerate(medians.solvers)
    }
