"""Measures a time to target: anneals of every length, or runs that stop at the target.

Seconds are of the processor: everything runs on one thread, and others on the machine do not count.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.contender import Annealer, Contender, LongAnneals, Restarts, StopsAtTarget
from benchmarks.instance import Instance
from benchmarks.time_to_target.formula import from_run_times, success_rate, time_to_target
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import I8

SHORTEST, FACTOR = 16, 4  # sweeps of the shortest anneals, and from one length to the next
MOST_READS = 2000
FEWEST_RUNS, MOST_RUNS = 3, 100
# Runs that all miss the target tell no more than that it takes longer.
HOPELESS = 3


@dataclass(frozen=True)
class Measured:
    """Seconds to the target (infinite: never found), and how that was reached."""

    seconds: float
    how: str


def measure(contender: Contender, instance: Instance, seconds: float, limit: float) -> Measured:
    """Time to target, from about ``seconds`` of anneals of each length, or from runs of at most ``limit`` seconds."""
    search = contender.prepare(instance)
    if isinstance(search, LongAnneals | Restarts):
        return annealed(search.annealer, instance, seconds, limit)
    if isinstance(search, StopsAtTarget):
        return repeated(search.until, instance, seconds * FACTOR, limit)
    raise TypeError(f"{contender.name} neither anneals nor stops at a target")


def annealed(annealer: Annealer, instance: Instance, seconds: float, limit: float) -> Measured:
    """Over anneals of 16, 64, 256 … sweeps: the length of which restarts find the target soonest."""
    best, how = math.inf, ""
    sweeps = SHORTEST
    annealer.anneal(sweeps, 1, 1)  # load what it needs
    while True:
        single, _ = _timed(annealer, instance, sweeps, 1, 2)
        if single > min(limit, 2 * seconds):
            return Measured(best, how)
        reads = int(np.clip(seconds / single, 1, MOST_READS))
        took, costs = _timed(annealer, instance, sweeps, reads, 3)
        p = success_rate(sum(instance.is_reached(cost) for cost in costs), len(costs))
        # A call of one read may hold several trajectories: no attempt is shorter than that.
        found = max(time_to_target(took / len(costs), p), single if p else 0.0)
        if found < best:
            best, how = found, f"{sweeps} sweeps"
        # Longer anneals than it takes to find the target cannot be better.
        if single > best:
            return Measured(best, how)
        sweeps *= FACTOR


def _timed(annealer: Annealer, instance: Instance, sweeps: int, reads: int, seed: int) -> tuple[float, list[float]]:
    """Seconds of a call, and the exact costs of all its configurations."""
    began = time.process_time()
    raw = annealer.anneal(sweeps, reads, seed)
    took = time.process_time() - began
    configurations: I8 = annealer.configurations(raw)
    return took, np.asarray(evaluate(instance.cost_function, configurations), np.float64).tolist()


def repeated(until: Callable[[float, float, int], I8], instance: Instance, seconds: float, limit: float) -> Measured:
    """Over runs that stop at the target, for about ``seconds`` or three runs, whichever is more."""
    if instance.best_known is None:
        raise ValueError(f"instance {instance.name} has no known target")
    until(instance.best_known, 0.1, 10**6)  # load what it needs
    times: list[float] = []
    began = time.process_time()
    while len(times) < FEWEST_RUNS or (len(times) < MOST_RUNS and time.process_time() - began < seconds):
        start = time.process_time()
        configuration = until(instance.best_known, limit, len(times))
        took = time.process_time() - start
        reached = instance.is_reached(float(evaluate(instance.cost_function, configuration)))
        times.append(took if reached else math.inf)
        if len(times) == HOPELESS and not any(map(math.isfinite, times)):
            break
    solved = sum(map(math.isfinite, times))
    return Measured(from_run_times(times), f"{solved} of {len(times)} runs")
