"""The same problem with its variables numbered in another order."""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property
from typing import Any

import numpy as np

from qiosk.model.compact import CompactProblem
from qiosk.model.compiled import I32, CompiledProblem
from qiosk.model.cost_function import F64, I64


def reorder(problem: CompiledProblem, order: I64) -> CompiledProblem:
    """A problem whose variable k is variable ``order[k]`` of this one; ``order`` (n,) is a permutation.

    Pairs, and members of terms and groups, are sorted again; ``variables`` is no longer ascending.
    """
    if isinstance(problem, CompactProblem):
        return ReorderedProblem(problem, order)
    return _reordered(_columns(problem), order)


class ReorderedProblem(CompiledProblem):
    """A large problem in another order, whose pairs are sorted only when somebody asks for the whole list.

    ``source`` is the problem as it was, ``order`` and ``place`` (n,) the permutation and its inverse.
    """

    source: CompactProblem
    order: I64
    place: I64

    def __init__(self, source: CompactProblem, order: I64) -> None:
        nothing = _reordered(_columns(source, pairs=False), order)
        place = np.empty(source.n, np.int64)
        place[order] = np.arange(source.n)
        own = {name: value for name, value in vars(nothing).items() if not name.startswith("pair_")}
        vars(self).update(own, source=source, order=order, place=place)

    @cached_property
    def _pairs(self) -> CompiledProblem:
        return _reordered(_columns(self.source), self.order)

    @property
    def n_pairs(self) -> int:
        """Number of pairs."""
        return self.source.n_pairs

    @property
    def pair_rows(self) -> I32:
        """(P,) sorted when first asked for."""
        return self._pairs.pair_rows

    @property
    def pair_cols(self) -> I32:
        """(P,) sorted when first asked for."""
        return self._pairs.pair_cols

    @property
    def pair_values(self) -> F64:
        """(P,) sorted when first asked for."""
        return self._pairs.pair_values


def _columns(problem: CompiledProblem, *, pairs: bool = True) -> dict[str, Any]:
    """All fields by name; without ``pairs``, as if there were none."""
    none = {"pair_rows": np.empty(0, np.int32), "pair_cols": np.empty(0, np.int32), "pair_values": np.empty(0)}
    names = [field.name for field in fields(CompiledProblem)]
    return {name: none[name] if name in none and not pairs else getattr(problem, name) for name in names}


def _reordered(given: dict[str, Any], order: I64) -> CompiledProblem:
    n = len(order)
    place = np.empty(n, np.int64)
    place[order] = np.arange(n)
    ends = np.sort(np.stack([place[given["pair_rows"]], place[given["pair_cols"]]]), axis=0)
    by_row = np.argsort(ends[0] * n + ends[1], kind="stable")
    term_variables, _ = _sorted_members(place, given["term_indptr"], given["term_variables"], None)
    weights = given["group_weights"]
    group_variables, group_weights = _sorted_members(place, given["group_indptr"], given["group_variables"], weights)
    changed = {
        "variables": given["variables"][order],
        "linear": given["linear"][order],
        "pair_rows": ends[0][by_row].astype(np.int32),
        "pair_cols": ends[1][by_row].astype(np.int32),
        "pair_values": given["pair_values"][by_row],
        "term_variables": term_variables,
        "group_variables": group_variables,
        "group_weights": weights if group_weights is None else group_weights,
    }
    return CompiledProblem(**{**given, **changed})


def _sorted_members(place: I64, indptr: I64, members: I32, weights: F64 | None) -> tuple[I32, F64 | None]:
    owner = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    moved = place[members]
    inside = np.lexsort((moved, owner))
    return moved[inside].astype(np.int32), None if weights is None else weights[inside]
