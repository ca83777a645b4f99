"""The same problem with its variables numbered in another order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qiosk.model.arrays.pairs import inverse
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I32, I64


def reorder(problem: CompiledProblem, order: I64) -> CompiledProblem:
    """A problem whose variable k is variable ``order[k]`` of this one; ``order`` (n,) is a permutation.

    Pairs, and members of terms and groups, are sorted again; ``variables`` is no longer ascending. One-hot groups are
    dropped.
    """
    place = inverse(order)
    _, term_variables = _sorted_members(place, problem.term_indptr, problem.term_variables)
    in_groups, group_variables = _sorted_members(place, problem.group_indptr, problem.group_variables)
    return replace(
        problem,
        variables=problem.variables[order],
        linear=problem.linear[order],
        pairs=problem.pairs.reordered(order),
        term_variables=term_variables,
        group_variables=group_variables,
        group_weights=problem.group_weights[in_groups],
        one_hot=None,
        slack=(),
    )


def _sorted_members(place: I64, indptr: I64, members: I32) -> tuple[I64, I32]:
    """Where each member was before they were sorted again, and the members."""
    owner = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    moved = place[members]
    inside = np.lexsort((moved, owner))
    return inside, moved[inside].astype(np.int32)
