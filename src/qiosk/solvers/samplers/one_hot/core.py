"""What is left of a problem without the slack of its rows.

The best slack of a row follows from its other bits. If the slack bits add up to every multiple of a unit from 0 to S,
and the rest L of the row is such a multiple, the least value of (L + slack)**2 is the squared distance of L to -S .. 0.
So a row with slack is a square with a *width*: in the core it costs penalty * beyond(L + S)**2, where

    beyond(x) = min(x, 0) + max(x - width, 0),  width = S.

Ordinary squares have width 0. Rows whose square is multiplied out are taken out of the pairs first. What rounding
leaves of a coefficient counts as nothing; integers of which sums are exact leave no rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qiosk.model.arrays.pairs import PairList
from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.constraints.one_hot import OneHot
from qiosk.model.constraints.slack import SlackRow
from qiosk.model.cost_function import CONSTANT, F64, I8, I64, CostFunction, Groups, ProblemType
from qiosk.model.transforms.domain import to_bits

ROUNDING = 2.0**-44
"""Share of what was added up below which a rest is rounding: some 500 units in the last place."""
EXACT = 2.0**53
"""Sums of integers are exact below this."""


@dataclass(frozen=True, eq=False)
class Core:
    """A problem over K bits, whose squares have widths; and how its configurations are those of n variables."""

    problem: CompiledProblem
    widths: F64  # (G,) of its squared linear combinations
    variables: I64  # (K,) the number of each of its bits in the whole problem
    whole: CompiledProblem

    def restrict(self, configuration: I8) -> NDArray[np.bool_]:
        """(..., K) the bits of configurations (..., n)."""
        return np.asarray(configuration[..., self.variables] > 0)

    def lift(self, bits: NDArray[np.bool_]) -> I8:
        """(n,) the configuration of bits (K,), with the best slack."""
        values = np.full(self.whole.n, -1 if self.whole.is_spin else 0, np.int8)
        values[self.variables[bits]] = 1
        for row in self.whole.slack:
            _choose_slack(row, values)
        return values


def core_of(problem: CompiledProblem) -> Core:
    """The core of a problem. Its rows with slack must be proven (see ``solvers/exact/slack.py``)."""
    if not problem.slack:
        bits = replace(bit_form(problem), one_hot=problem.one_hot)
        return Core(bits, np.zeros(len(bits.group_values)), np.arange(problem.n), problem)
    p, n = problem, problem.n
    is_kept = np.ones(n, np.bool_)
    for row in p.slack:
        is_kept[row.slack] = False
    variables = np.flatnonzero(is_kept)
    number = np.full(n, -1, np.int64)
    number[variables] = np.arange(len(variables))

    rest = Rest.of(p, [row for row in p.slack if row.group < 0])
    ends = is_kept[rest.rows] & is_kept[rest.cols] & (rest.values != 0)
    squares = _Squares.of(p, is_kept)
    core = replace(
        p,
        variables=p.variables[variables],
        constant=rest.constant,
        linear=rest.linear[variables],
        pairs=PairList(
            number[rest.rows[ends]].astype(np.int32), number[rest.cols[ends]].astype(np.int32), rest.values[ends]
        ),
        term_variables=number[p.term_variables].astype(np.int32),
        group_indptr=np.cumsum([0, *map(len, squares.members)], dtype=np.int64),
        group_variables=number[np.concatenate([np.empty(0, np.int64), *squares.members])].astype(np.int32),
        group_weights=np.concatenate([np.empty(0), *squares.weights]),
        group_values=np.array(squares.values, np.float64),
        group_offsets=np.array(squares.offsets, np.float64),
        one_hot=_numbered(p.one_hot, number),
        slack=(),
    )
    return Core(core, np.array(squares.widths, np.float64), variables, problem)


@dataclass(frozen=True, eq=False)
class Rest:
    """Constant, linear (n,) and pairs of a problem of bits, after squares were taken out; what is rounding is 0."""

    constant: float
    linear: F64
    rows: I64  # (P,)
    cols: I64
    values: F64

    @classmethod
    def of(cls, problem: CompiledProblem, squares: Sequence[SlackRow]) -> Rest:
        """Of a problem without the terms of ``squares``."""
        n, p = problem.n, problem
        constant, size = p.constant, abs(p.constant)
        linear, sizes = p.linear.copy(), np.abs(p.linear)
        keys, values = [p.pair_rows.astype(np.int64) * n + p.pair_cols], [p.pair_values]
        for row in squares:
            order = np.argsort(row.members)
            members, weights = row.members[order], row.weights[order]
            constant -= row.penalty * row.offset**2
            size += row.penalty * row.offset**2
            linear[members] -= row.penalty * weights * (weights + 2.0 * row.offset)
            sizes[members] += row.penalty * np.abs(weights) * (np.abs(weights) + 2.0 * abs(row.offset))
            first, second = np.triu_indices(len(members), 1)
            keys.append(members[first] * n + members[second])
            values.append(-row.penalty * (2.0 * weights[first] * weights[second]))
        distinct, place = np.unique(np.concatenate(keys), return_inverse=True)
        every = np.concatenate(values)
        left: F64 = np.bincount(place, every, len(distinct)).astype(np.float64, copy=False)
        scalars = [p.constant, *(value for row in squares for value in (row.penalty, row.offset))]
        is_whole = _are_whole(np.array(scalars, np.float64), p.linear, every, *(row.weights for row in squares))
        added: F64 = np.bincount(place, np.abs(every), len(distinct)).astype(np.float64, copy=False)
        left[np.abs(left) <= _rounding(added, is_whole=is_whole)] = 0.0
        linear[np.abs(linear) <= _rounding(sizes, is_whole=is_whole)] = 0.0
        constant = 0.0 if abs(constant) <= _rounding(np.array([size]), is_whole=is_whole) else constant
        return cls(constant, linear, distinct // max(n, 1), distinct % max(n, 1), left)


def _are_whole(*every: F64) -> bool:
    return all(bool((values == np.trunc(values)).all()) for values in every)


def _rounding(sizes: F64, *, is_whole: bool) -> F64:
    """What rounding may leave of sums of so much."""
    return np.where(is_whole & (sizes < EXACT), 0.0, ROUNDING * sizes)


@dataclass(slots=True)
class _Squares:
    """The squares of a core: those without slack, then those with it."""

    members: list[I64]
    weights: list[F64]
    values: list[float]
    offsets: list[float]
    widths: list[float]

    @classmethod
    def of(cls, p: CompiledProblem, is_kept: NDArray[np.bool_]) -> _Squares:
        found = cls([], [], [], [], [])
        with_slack = {row.group for row in p.slack}
        for g, value in enumerate(p.group_values.tolist()):
            if g not in with_slack:
                own = slice(p.group_indptr[g], p.group_indptr[g + 1])
                found._add(
                    p.group_variables[own].astype(np.int64), p.group_weights[own], value, p.group_offsets[g], 0.0
                )
        for row in p.slack:
            others = is_kept[row.members]
            largest, least = row.slack_weights.clip(min=0).sum(), row.slack_weights.clip(max=0).sum()
            offset, width = row.offset + largest, float(largest - least)
            found._add(row.members[others], row.weights[others], row.penalty, offset, width)
        return found

    def _add(self, members: I64, weights: F64, value: float, offset: float, width: float) -> None:
        self.members.append(members)
        self.weights.append(weights)
        self.values.append(value)
        self.offsets.append(float(offset))
        self.widths.append(width)


def _numbered(one_hot: OneHot | None, number: I64) -> OneHot | None:
    if one_hot is None:
        return None
    return OneHot(one_hot.indptr, number[one_hot.members], one_hot.is_exact, number[one_hot.never])


def _choose_slack(row: SlackRow, values: I8) -> None:
    """Set the slack bits of a row to what is best: the multiple of the unit that is next to the negative rest."""
    others = len(row.members) - row.n_slack
    weights = row.slack_weights
    unit = np.abs(weights).min()
    rest = row.offset + float(row.weights[:others] @ (values[row.members[:others]] > 0))
    units = np.rint(np.abs(weights) / unit)
    least = weights.clip(max=0).sum()
    left = float(np.clip(np.rint((-rest - least) / unit), 0, units.sum()))
    is_taken = np.zeros(len(weights), np.bool_)
    for k in np.argsort(-units, kind="stable"):
        if left >= units[k]:
            is_taken[k] = True
            left -= units[k]
    values[row.slack] = is_taken != (weights < 0)  # a bit of negative weight is set where it is not taken


def bit_form(problem: CompiledProblem) -> CompiledProblem:
    """The problem over bits that are 1 where its spins are +1; itself if it has bits."""
    if not problem.is_spin:
        return problem
    n, p = problem.n, problem
    pairs = np.stack([p.pair_rows, p.pair_cols], axis=1).ravel().astype(np.int64)
    sizes = np.concatenate([[0], np.ones(n), np.full(p.n_pairs, 2), np.diff(p.term_indptr)])
    members = np.repeat(np.arange(len(p.group_values)), np.diff(p.group_indptr))
    ends = np.arange(len(p.group_values))
    owner = np.concatenate([members, ends])
    order = np.argsort(owner, kind="stable")
    spins = CostFunction(
        ProblemType.ising_grouped,
        np.concatenate([[p.constant], p.linear, p.pair_values, p.term_values]),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.concatenate([np.arange(n), pairs, p.term_variables]).astype(np.int64),
        Groups(
            p.group_values,
            p.group_indptr + np.arange(len(p.group_indptr)),
            np.concatenate([p.group_weights, p.group_offsets])[order],
            np.concatenate([p.group_variables, np.full(len(ends), CONSTANT)])[order].astype(np.int64),
        ),
    )
    return compile_problem(to_bits(spins))
