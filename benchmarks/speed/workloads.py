"""The problems that kernels are timed on, generated from fixed seeds."""

from __future__ import annotations

import numpy as np

from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I64, CostFunction, ProblemType


def _terms(kind: ProblemType, coefficients: F64, ids: I64) -> CostFunction:
    """Terms of one size: coefficients (T,), ids (T, k)."""
    indptr = np.arange(len(ids) + 1) * ids.shape[1]
    return CostFunction(kind, np.asarray(coefficients, np.float64), indptr, ids.astype(np.int64).ravel())


def _compiled(kind: ProblemType, coefficients: F64, ids: I64) -> CompiledProblem:
    return compile_problem(_terms(kind, coefficients, ids))


def torus_terms(side: int) -> CostFunction:
    """Square lattice with periodic boundaries, couplings +-1, side ** 2 spins."""
    rng = np.random.default_rng(1)
    place = np.arange(side * side).reshape(side, side)
    ids = np.concatenate([np.stack([place, np.roll(place, -1, axis)], axis=-1).reshape(-1, 2) for axis in (0, 1)])
    return _terms(ProblemType.ising, rng.choice([-1.0, 1.0], len(ids)), ids)


def torus(side: int) -> CompiledProblem:
    """The same, compiled."""
    return compile_problem(torus_terms(side))


def regular(n: int, degree: int) -> CompiledProblem:
    """Random graph of ``degree`` stubs per spin, couplings +-1; the few loops are left out, multiple edges merged."""
    rng = np.random.default_rng(2)
    ids = rng.permutation(np.repeat(np.arange(n), degree)).reshape(-1, 2)
    ids = ids[ids[:, 0] != ids[:, 1]]
    return _compiled(ProblemType.ising, rng.choice([-1.0, 1.0], len(ids)), ids)


def random_graph(n: int, density: float) -> CompiledProblem:
    """G(n, density), couplings +-1."""
    rng = np.random.default_rng(3)
    ids = np.stack(np.triu_indices(n, 1), axis=1)
    ids = ids[rng.random(len(ids)) < density]
    return _compiled(ProblemType.ising, rng.choice([-1.0, 1.0], len(ids)), ids)


def spin_glass(n: int, variance: float) -> CompiledProblem:
    """Sherrington-Kirkpatrick: normal couplings between all spins. At variance 1 / n they freeze at beta 1."""
    ids = np.stack(np.triu_indices(n, 1), axis=1)
    return _compiled(ProblemType.ising, np.random.default_rng(4).normal(size=len(ids)) * np.sqrt(variance), ids)


def klocal(kind: ProblemType, n: int, terms: int, locality: int, *, whole: bool = False) -> CompiledProblem:
    """``terms`` random terms of ``locality`` variables; coefficients are normal, or +-1 if ``whole``."""
    rng = np.random.default_rng(5)
    ids = np.array([rng.choice(n, locality, replace=False) for _ in range(terms)])
    return _compiled(kind, rng.choice([-1.0, 1.0], terms) if whole else rng.normal(size=terms), ids)
