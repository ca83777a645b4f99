"""Quadratic problems with some of their variables at fixed values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qiosk.model.arrays.pairs import PairList
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8


def fix(problem: CompiledProblem, is_fixed: NDArray[np.bool_], values: I8) -> CompiledProblem:
    """The problem of the variables that are not fixed, in their order; the others are at ``values`` (n,).

    Only pairs and groups: ``problem`` must have no terms of three or more variables. A configuration of what is left
    costs as much as it does together with the fixed values. One-hot groups are dropped.
    """
    v = np.where(is_fixed, values, 0).astype(np.float64)
    place = np.cumsum(~is_fixed) - 1
    rows, cols, pair_values = problem.pair_rows, problem.pair_cols, problem.pair_values
    linear = problem.linear.copy()
    linear += np.bincount(rows, pair_values * v[cols], problem.n) + np.bincount(cols, pair_values * v[rows], problem.n)
    is_free = ~(is_fixed[rows] | is_fixed[cols])
    is_left = ~is_fixed[problem.group_variables]
    owner = np.repeat(np.arange(len(problem.group_values)), np.diff(problem.group_indptr))
    offsets = np.asarray(problem.group_offsets, np.float64)
    offsets = offsets + np.bincount(owner, problem.group_weights * v[problem.group_variables], len(offsets))
    sizes = np.bincount(owner[is_left], minlength=len(offsets))
    has_members = sizes > 0
    constant = problem.linear @ v + pair_values @ (v[rows] * v[cols])
    constant += problem.group_values[~has_members] @ offsets[~has_members] ** 2
    return replace(
        problem,
        variables=problem.variables[~is_fixed],
        constant=problem.constant + float(constant),
        linear=linear[~is_fixed],
        pairs=PairList(
            place[rows[is_free]].astype(np.int32), place[cols[is_free]].astype(np.int32), pair_values[is_free]
        ),
        group_indptr=np.concatenate([[0], np.cumsum(sizes[has_members])]).astype(np.int64),
        group_variables=place[problem.group_variables[is_left]].astype(np.int32),
        group_weights=problem.group_weights[is_left],
        group_values=problem.group_values[has_members],
        group_offsets=offsets[has_members],
        one_hot=None,
        slack=(),
    )
