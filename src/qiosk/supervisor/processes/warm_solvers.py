"""Importing this module runs the most used kernels once, in a fork server, so that its children have them loaded.

Loading the kernels from Numba's cache on disk takes some 0.4 s, which every job would otherwise spend.
"""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Iterator

import numpy as np

from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.presolve import reduce
from qiosk.solvers import solve as api

WARM_UP_S = 1.0
"""No further kernel is run after so many seconds: if the cache is empty kernels are compiled, and jobs wait."""
RESTARTS = (64, 1)
"""Many restarts at once use other kernels than a single one."""


def warm_up() -> None:
    """Run the kernels that jobs are most likely to need."""
    began = time.monotonic()
    for problem in _samples():
        if time.monotonic() - began >= WARM_UP_S:
            return
        api.solve(problem, seed=0, threads=1)  # small ones are solved without a search
        for restarts in RESTARTS:
            api.solve(problem, "microsoft.simulatedannealing.cpu", seed=0, threads=1, sweeps=1, restarts=restarts)
    if time.monotonic() - began < WARM_UP_S:
        reduce(_magnet(), is_strict=True)


def _samples() -> Iterator[CostFunction]:
    """Rings of 40 variables: one for each arithmetic and kind of term."""
    yield _ring(ProblemType.ising, 2, 1.0)
    yield _ring(ProblemType.ising, 2, 0.1234567)
    yield _ring(ProblemType.pubo, 3, 1.0)


def _ring(problem_type: ProblemType, locality: int, coefficient: float, n: int = 40) -> CostFunction:
    ids = (np.arange(n)[:, None] + np.arange(locality)) % n
    coefficients = coefficient * np.arange(1, n + 1) / (1 if coefficient == 1.0 else n)
    indptr = np.arange(0, n * locality + 1, locality)
    return CostFunction(problem_type, coefficients, indptr, ids.ravel())


def _magnet(n: int = 12) -> CostFunction:
    """A ring of spins that want to be equal, with fields, which roof duality decides and no other rule."""
    spins = np.arange(n)
    pairs = np.concatenate([np.stack([spins, (spins + d) % n], axis=1) for d in (1, 2, 3)])
    coefficients = np.concatenate([np.full(len(pairs), -1.0), np.where(spins % 3, 1.5, -1.0)])
    indptr = np.append(2 * np.arange(len(pairs)), 2 * len(pairs) + np.arange(n + 1))
    return CostFunction(ProblemType.ising, coefficients, indptr, np.concatenate([pairs.ravel(), spins]))


try:
    warm_up()
except Exception:  # noqa: BLE001 - a solver that fails here fails its own jobs; the fork server has to live
    traceback.print_exc()
gc.collect()
gc.freeze()  # garbage collections of the children do not touch inherited objects, whose pages stay shared
