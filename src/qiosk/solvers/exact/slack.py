"""Which squared rows of a problem have slack: bits whose best values follow from the others, by a proof.

A bit is the slack of a row if it occurs in its square alone, in no term and in no one-hot group. Several of them add
up to every multiple of the least weight u from 0 to S if each weight is a multiple of u and at most u more than all
smaller ones together. If the other weights and the offset are multiples of u, too, the best slack is known (see
``samplers/one_hot/core.py``). Any best configuration stays one if its slack is replaced by the best slack.

Rows are the squared linear combinations of the problem, and the squares multiplied out that its metadata declare: those
are subtracted from the pairs, and the bits that are declared as slack must then have nothing left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qiosk.model.compiled import CompiledProblem
from qiosk.model.constraints.slack import SlackRow
from qiosk.model.cost_function import F64
from qiosk.solvers.samplers.one_hot.core import Rest

MOST_PAIRS = 20_000_000
"""Pairs of the problem and of declared rows up to which rows that are multiplied out are looked at."""
LARGEST_SUM = 2.0**52
"""In units: sums of a row below it are exact."""


def proven_rows(problem: CompiledProblem, *, is_sought: bool) -> tuple[SlackRow, ...]:
    """The rows with slack of a problem. Without ``is_sought`` only bits that are declared as slack count."""
    if problem.is_spin:
        return ()
    is_free = np.ones(problem.n, np.bool_)
    if problem.one_hot is not None:
        is_free[problem.one_hot.members] = is_free[problem.one_hot.never] = False
    is_free[problem.term_variables] = False
    declared = np.zeros(problem.n, np.bool_)
    for row in problem.slack:
        declared[row.slack] = True
    in_squares = _in_squares(problem, is_free & (declared | is_sought))
    return in_squares + _multiplied_out(problem, is_free)


def _in_squares(problem: CompiledProblem, may_be_slack: NDArray[np.bool_]) -> tuple[SlackRow, ...]:
    p = problem
    is_private = may_be_slack & (p.linear == 0) & (np.bincount(p.group_variables, minlength=p.n) == 1)
    if not is_private[p.group_variables].any():
        return ()
    for rows, cols, _ in p.pair_blocks():
        is_private[rows] = is_private[cols] = False
    found = []
    for g in np.flatnonzero(np.add.reduceat(is_private[p.group_variables], p.group_indptr[:-1])):
        own = slice(p.group_indptr[g], p.group_indptr[g + 1])
        members, weights = p.group_variables[own].astype(np.int64), p.group_weights[own]
        row = SlackRow(float(p.group_values[g]), members, weights, float(p.group_offsets[g]), 0, int(g))
        found.append(_divided(row, is_private[members]))
    return tuple(row for row in found if row is not None)


def _multiplied_out(problem: CompiledProblem, is_free: NDArray[np.bool_]) -> tuple[SlackRow, ...]:
    p = problem
    in_group = np.zeros(p.n, np.bool_)
    in_group[p.group_variables] = True
    is_candidate = is_free & ~in_group
    uses = Counter(i for row in p.slack for i in row.members.tolist())
    rows = list[SlackRow]()
    for row in p.slack:
        if row.n_slack and all(uses[i] == 1 and is_candidate[i] for i in row.slack.tolist()):
            is_slack = np.arange(len(row.members)) >= len(row.members) - row.n_slack
            divided = _divided(row, is_slack)
            if divided is not None and divided.n_slack == row.n_slack:
                rows.append(divided)
    if p.n_pairs + sum(len(row.members) ** 2 // 2 for row in rows) > MOST_PAIRS:
        return ()
    while rows:  # a row that fails is not subtracted from the others
        rest = Rest.of(p, rows)
        is_left = rest.linear != 0
        some = rest.values != 0
        is_left[rest.rows[some]] = is_left[rest.cols[some]] = True
        proven = [row for row in rows if not is_left[row.slack].any()]
        if len(proven) == len(rows):
            break
        rows = proven
    return tuple(rows)


def _divided(row: SlackRow, is_private: NDArray[np.bool_]) -> SlackRow | None:
    """The row with as many private bits as slack as add up to a range without gaps, last; None if there are none."""
    if row.penalty <= 0 or not is_private.any():
        return None
    private = np.flatnonzero(is_private)
    private = private[np.argsort(np.abs(row.weights[private]), kind="stable")]
    unit = float(np.abs(row.weights[private[0]]))
    if not unit > 0 or np.abs(row.weights).sum() + abs(row.offset) >= LARGEST_SUM * unit:
        return None
    sizes = np.abs(row.weights[private]) / unit
    covered = np.concatenate([[0.0], np.cumsum(sizes)[:-1]])
    count = int(np.argmin(np.append((sizes == np.rint(sizes)) & (sizes <= covered + 1.0), False)))
    slack = private[:count]
    others = np.setdiff1d(np.arange(len(row.members)), slack)
    if not _are_multiples(np.append(row.weights[others], row.offset), unit):
        return None
    order = np.concatenate([others, slack])
    return replace(row, members=row.members[order], weights=row.weights[order], n_slack=count)


def _are_multiples(values: F64 | Sequence[float], unit: float) -> bool:
    units = np.asarray(values, np.float64) / unit
    return bool((units == np.rint(units)).all())
