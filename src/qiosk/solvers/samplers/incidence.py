"""Which terms and groups a variable occurs in: the second index that single-variable moves need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qiosk.kernels.pair_sums import both_ends, by_variable
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I32, I64


def index_by_variable(variables: I32, n: int) -> tuple[I64, I64]:
    """Occurrences by variable, in their order: those of i are ``order[indptr[i]:indptr[i + 1]]``.

    variables: (K,). Returns indptr (n + 1,) and order (K,).
    """
    indptr = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(variables, minlength=n), out=indptr[1:])
    order = np.empty(len(variables), np.int64)
    by_variable()(variables, indptr[:-1].copy(), order)
    return indptr, order


def symmetric_rows(rows: I32, cols: I32, values: F64, n: int) -> tuple[I64, I32, F64]:
    """CSR with each pair in both rows: indptr (n + 1,), neighbors (2P,), values (2P,).

    Pairs have row < col and are sorted by (row, col); so are the rows that come out.
    """
    indptr = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=n) + np.bincount(cols, minlength=n), out=indptr[1:])
    there, out = np.empty(2 * len(rows), rows.dtype), np.empty(2 * len(rows), values.dtype)
    both_ends()(rows, cols, values, indptr[:-1].copy(), there, out)
    return indptr, there, out


@dataclass(frozen=True, eq=False)
class Incidence:
    """A problem's terms of two or more variables in one list (pairs first), and everything by variable.

    Shapes: n variables, T terms with K ids, G groups with M members.
    """

    problem: CompiledProblem

    @cached_property
    def terms(self) -> tuple[I64, I32, F64]:
        """indptr (T + 1,), variables (K,), values (T,)."""
        p = self.problem
        pairs = np.stack([p.pair_rows, p.pair_cols], axis=1).ravel()
        n_pairs = len(p.pair_values)
        indptr = np.concatenate([2 * np.arange(n_pairs, dtype=np.int64), 2 * n_pairs + p.term_indptr])
        variables = np.concatenate([pairs, p.term_variables]).astype(np.int32)
        return indptr, variables, np.concatenate([p.pair_values, p.term_values])

    @property
    def groups(self) -> tuple[I64, I32, F64, F64, F64]:
        """indptr (G + 1,), variables (M,), weights (M,), values (G,), offsets (G,)."""
        p = self.problem
        return p.group_indptr, p.group_variables, p.group_weights, p.group_values, p.group_offsets

    @cached_property
    def by_variable(self) -> tuple[I64, I32, I64, I32, F64]:
        """Of each variable: indptr (n + 1,) and terms (K,); indptr (n + 1,), groups and weights (M,)."""
        term_indptr, term_variables, term_values = self.terms
        term_of = np.repeat(np.arange(len(term_values), dtype=np.int32), np.diff(term_indptr))
        var_indptr, order = index_by_variable(term_variables, self.problem.n)
        return var_indptr, term_of[order], *self.members

    @cached_property
    def members(self) -> tuple[I64, I32, F64]:
        """Of each variable: indptr (n + 1,), groups and weights (M,)."""
        group_indptr, group_variables, weights, values, _ = self.groups
        group_of = np.repeat(np.arange(len(values), dtype=np.int32), np.diff(group_indptr))
        indptr, members = index_by_variable(group_variables, self.problem.n)
        return indptr, group_of[members], weights[members]

    @cached_property
    def bounds(self) -> F64:
        """(n,) the most that flipping each variable can change the cost, either way."""
        p = self.problem
        step = 2.0 if p.is_spin else 1.0
        term_indptr, term_variables, term_values = self.terms
        per_id = np.repeat(np.abs(term_values), np.diff(term_indptr))
        bound = step * (np.abs(p.linear) + np.bincount(term_variables, per_id, minlength=p.n))
        indptr, variables, weights, values, offsets = self.groups
        group_of = np.repeat(np.arange(len(values)), np.diff(indptr))
        largest = np.abs(offsets) + np.bincount(group_of, np.abs(weights), minlength=len(values))
        per_member = np.abs(values)[group_of] * step * np.abs(weights) * (2 * largest[group_of])
        return np.asarray(bound + np.bincount(variables, per_member, minlength=p.n), np.float64)
