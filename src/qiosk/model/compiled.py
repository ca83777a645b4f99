"""The arrays that solvers work on: variables numbered 0..n-1, like terms merged, constants split off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from qiosk.model.arrays.pairs import PairBlock, Pairs
from qiosk.model.constraints.one_hot import OneHot
from qiosk.model.constraints.slack import SlackRow
from qiosk.model.cost_function import F64, I32, I64

T = TypeVar("T")


@dataclass(frozen=True, eq=False, kw_only=True)
class CompiledProblem:
    """A cost function over variables 0..n-1 in ascending order of their ids, each set of variables at most once.

    cost(x) = constant + sum_i linear[i] x_i + sum_p pair_values[p] x_{pair_rows[p]} x_{pair_cols[p]}
              + sum_t term_values[t] prod_{i in term t} x_i
              + sum_g group_values[g] (group_offsets[g] + sum_i weight x_i)^2

    Shapes: n variables, P pairs, T terms of three or more variables with K ids in all, G groups with M
    members in all. All coefficients are float64 in the problem's own unit. Pairs have row < col and are
    sorted by (row, col). Merged coefficients that are exactly 0 are left out (their variables stay). A
    group's members are distinct, sorted and nonzero; groups with coefficient 0 or without members are folded
    into the constant or left out.
    """

    is_spin: bool  # x in {-1, +1}; else {0, 1}
    variables: I64  # (n,) ids, ascending
    constant: float
    linear: F64  # (n,)
    pairs: Pairs  # P of them
    term_indptr: I64  # (T + 1,)
    term_variables: I32  # (K,) sorted inside a term
    term_values: F64  # (T,)
    group_indptr: I64  # (G + 1,)
    group_variables: I32  # (M,)
    group_weights: F64  # (M,)
    group_values: F64  # (G,)
    group_offsets: F64  # (G,)
    one_hot: OneHot | None = None  # promises that configurations keep; members are variables
    slack: tuple[SlackRow, ...] = ()  # rows whose slack searches may choose at once; members are variables

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self.variables)

    @property
    def n_pairs(self) -> int:
        """Number of pairs."""
        return len(self.pairs)

    @property
    def pair_rows(self) -> I32:
        """(P,) smaller variables of the pairs; a new array for large problems, as are the next two."""
        return self.pairs.rows

    @property
    def pair_cols(self) -> I32:
        """(P,) larger variables of the pairs."""
        return self.pairs.cols

    @property
    def pair_values(self) -> F64:
        """(P,) coefficients of the pairs."""
        return self.pairs.values

    def pair_blocks(self) -> Iterator[PairBlock]:
        """All pairs, in blocks that need not be made at once."""
        return self.pairs.blocks()

    @property
    def is_quadratic(self) -> bool:
        """Whether there are neither terms of three or more variables nor groups."""
        return len(self.term_values) == 0 and len(self.group_values) == 0

    def derived(self, make: Callable[..., T], **options: Any) -> T:
        """``make(self, **options)``, which is made once and kept with the problem, so it must not be changed.

        The options must not decide what is made.
        """
        kept: dict[Callable[..., T], T] = self.__dict__.setdefault("_derived", {})
        if make not in kept:
            kept[make] = make(self, **options)
        return kept[make]

    def forget(self) -> None:
        """Let go of what was derived: most of that refers to the problem, so it would stay for the collector."""
        derived: dict[Any, Any] = self.__dict__.pop("_derived", {})
        for made in derived.values():
            if hasattr(made, "forget"):
                made.forget()

    @property
    def locality(self) -> int:
        """Variables in the largest term; a group counts as 2."""
        if len(self.term_values):
            return int(np.diff(self.term_indptr).max())
        if self.n_pairs or len(self.group_values):
            return 2
        return 1 if np.any(self.linear) else 0
