"""The same problem with its variables numbered in another order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qiosk.model.compiled import I32, CompiledProblem
from qiosk.model.cost_function import F64, I64


def reorder(problem: CompiledProblem, order: I64) -> CompiledProblem:
    """A problem whose variable k is variable ``order[k]`` of this one; ``order`` (n,) is a permutation.

    Pairs, and members of terms and groups, are sorted again; ``variables`` is no longer ascending.
    """
    place = np.empty(problem.n, np.int64)
    place[order] = np.arange(problem.n)
    ends = np.sort(np.stack([place[problem.pair_rows], place[problem.pair_cols]]), axis=0)
    by_row = np.argsort(ends[0] * problem.n + ends[1], kind="stable")
    term_variables, _ = _sorted_members(place, problem.term_indptr, problem.term_variables, None)
    group_variables, group_weights = _sorted_members(
        place, problem.group_indptr, problem.group_variables, problem.group_weights
    )
    return replace(
        problem,
        variables=problem.variables[order],
        linear=problem.linear[order],
        pair_rows=ends[0][by_row].astype(np.int32),
        pair_cols=ends[1][by_row].astype(np.int32),
        pair_values=problem.pair_values[by_row],
        term_variables=term_variables,
        group_variables=group_variables,
        group_weights=problem.group_weights if group_weights is None else group_weights,
    )


def _sorted_members(place: I64, indptr: I64, members: I32, weights: F64 | None) -> tuple[I32, F64 | None]:
    owner = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    moved = place[members]
    inside = np.lexsort((moved, owner))
    return moved[inside].astype(np.int32), None if weights is None else weights[inside]
