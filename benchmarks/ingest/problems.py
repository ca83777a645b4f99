"""Problems to read, and how long jobs take by turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np

from qiosk.model.cost_function import CostFunction, ProblemType

REPLICAS = 64


def quadratic(terms: int, coefficients: str) -> CostFunction:
    """Random pairs over a tenth as many variables, of integer or normally distributed coefficients."""
    rng = np.random.default_rng(0)
    n = max(terms // 10, 2)
    first = rng.integers(0, n, terms)
    ids = np.stack([first, (first + rng.integers(1, n, terms)) % n], axis=1)
    c = rng.integers(-9, 10, terms).astype(np.float64) if coefficients == "integer" else rng.normal(size=terms)
    return CostFunction(ProblemType.ising, c, np.arange(terms + 1) * 2, ids.ravel())


def medians(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each job, one of each in turn, so that a slow moment of the machine hits all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for job in jobs.values():
        job()  # load kernels, warm caches
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(some) for name, some in seconds.items()}
