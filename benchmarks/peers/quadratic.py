"""Quadratic problems as peers want them."""

from __future__ import annotations

import numpy as np

from benchmarks.instance import Instance
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8


def is_quadratic(instance: Instance) -> bool:
    """Whether there are only pairs, linear terms and constants."""
    return instance.problem.is_quadratic


def spin_fields(problem: CompiledProblem) -> tuple[F64, F64]:
    """Fields (n,) and couplings (P,) of the same pairs over spins, x = (1 + s) / 2 for bits; constants left out."""
    if problem.is_spin:
        return problem.linear, problem.pair_values
    fields = problem.linear / 2
    for ends in (problem.pair_rows, problem.pair_cols):
        fields = fields + np.bincount(ends, problem.pair_values / 4, problem.n)
    return fields, problem.pair_values / 4


def from_spins(problem: CompiledProblem, spins: I8) -> I8:
    """Spins (..., n) in the problem's own domain."""
    return spins if problem.is_spin else ((1 + spins) // 2).astype(np.int8)


def neighbours(problem: CompiledProblem) -> float:
    """Mean number of neighbours of a variable."""
    return 2 * len(problem.pair_values) / max(1, problem.n)
