"""Quadratic problems as integer couplings of spins, where a ghost spin, +1, takes the place of fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from qiosk.bounds.bound import Scale, scale_of
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8, I64
from qiosk.model.exact import MOST_BITS, ExactCosts, SpinIntegers, spin_integers

ROUNDED_BITS = 50
"""Where coefficients must be rounded, their sum is below 2**50, so that float64 holds all weights."""
DECIMALS = Fraction(5, 4)
"""The error of rounded coefficients, if they are decimal fractions: those differ from their float64 numbers as well."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SpinGraph:
    """level = constant + sum_e weights[e] s_{rows[e]} s_{cols[e]}; vertex ``n`` is the ghost.

    Flipping all spins changes no product, so the minimum is that of the problem, whose ghost is +1.
    """

    n: int
    rows: I64  # (E,) row < col
    cols: I64  # (E,)
    weights: I64  # (E,) none is 0
    constant: int
    scale: Scale
    costs: Callable[[I8], Fraction] | None = None  # of spins (n,), where coefficients were rounded

    @property
    def vertices(self) -> int:
        """n and, if there are fields, the ghost."""
        return self.n + self.has_ghost

    @cached_property
    def has_ghost(self) -> bool:
        """Whether there are fields."""
        return bool(np.any(self.cols == self.n))

    @cached_property
    def size(self) -> int:
        """Sum of the sizes of all weights."""
        return int(np.abs(self.weights).sum())

    @property
    def least(self) -> int:
        """The level at which every coupling would be at its least; all levels differ from it by multiples of
        ``spacing``.
        """
        return self.constant - self.size

    @cached_property
    def spacing(self) -> int:
        """Twice the greatest common divisor of the weights: flipping a product changes a level by so much."""
        return max(2, 2 * int(np.gcd.reduce(self.weights, initial=0)))

    def rounded_up(self, level: Fraction | int) -> Fraction:
        """The least attainable level that is at least ``level``."""
        return Fraction(self.least - ((self.least - level) // self.spacing) * self.spacing)

    def attainable(self, level: Fraction | int) -> Fraction:
        """The least level of a configuration that is at least ``level``, as far as parities tell.

        Flipping a spin changes the level by twice the sum of its couplings, but for multiples of four times their
        greatest common divisor. Where all these sums are even in it, levels are twice as far apart as products permit.
        """
        some, apart = self.constant + int(self.weights.sum()), self.apart
        return Fraction(some - ((some - level) // apart) * apart)

    @cached_property
    def apart(self) -> int:
        """Levels differ by multiples of this: see ``attainable``."""
        sums = np.zeros(self.vertices, np.int64)
        np.add.at(sums, self.rows, self.weights)
        np.add.at(sums, self.cols, self.weights)
        return int(np.gcd.reduce(sums * 2, initial=2 * self.spacing)) or 2

    @cached_property
    def slack(self) -> Fraction:
        """How much a level may differ from the exact one, because coefficients were rounded."""
        return self.scale.error / self.scale.unit

    def level(self, spins: I8) -> int:
        """Of a configuration of all vertices (V,)."""
        products = spins[self.rows].astype(np.int64) * spins[self.cols]
        return self.constant + int((self.weights * products).sum())

    def exact_level(self, spins: I8) -> Fraction:
        """The same without rounding."""
        if self.costs is None:
            return Fraction(self.level(spins))
        own = spins[: self.n] * (spins[self.n] if self.has_ghost else 1)
        return (self.costs(own) - self.scale.offset) / self.scale.unit

    @cached_property
    def adjacency(self) -> tuple[I64, I64, I64]:
        """CSR: indptr (vertices + 1,); neighbours (2 E,); edges (2 E,), their numbers."""
        ends = np.concatenate([self.rows, self.cols])
        others = np.concatenate([self.cols, self.rows])
        order = np.argsort(ends, kind="stable")
        indptr = np.zeros(self.vertices + 1, np.int64)
        np.cumsum(np.bincount(ends, minlength=self.vertices), out=indptr[1:])
        return indptr, others[order], order % max(1, len(self.weights))


def spin_graph(problem: CompiledProblem) -> SpinGraph:
    """The graph of a quadratic problem. Raises InvalidValue for other ones."""
    integers = spin_integers(problem, MOST_BITS if problem.is_spin else MOST_BITS + 2)
    if integers.is_exact:
        return _graph_of(problem, integers)
    exact = ExactCosts(problem)
    return _rounded(problem, lambda spins: exact.of(spins if problem.is_spin else (1 - spins) // 2))


def rounded_graph(problem: CompiledProblem, graph: SpinGraph) -> SpinGraph:
    """The graph of a problem, or one that is rounded until the sum of its sizes is below 2**50."""
    if graph.size < 2**ROUNDED_BITS:
        return graph
    ghost = np.ones(int(graph.has_ghost), np.int8)
    return _rounded(problem, lambda spins: graph.scale.cost(graph.level(np.append(spins, ghost))))


def _rounded(problem: CompiledProblem, costs: Callable[[I8], Fraction]) -> SpinGraph:
    return _graph_of(problem, spin_integers(problem, ROUNDED_BITS), costs)


def _graph_of(
    problem: CompiledProblem, integers: SpinIntegers, costs: Callable[[I8], Fraction] | None = None
) -> SpinGraph:
    fields, edges = np.flatnonzero(integers.fields), np.flatnonzero(integers.weights)
    count = int(np.count_nonzero(problem.linear) + np.count_nonzero(problem.pair_values))
    return SpinGraph(
        n=problem.n,
        rows=np.concatenate([integers.rows[edges], fields]),
        cols=np.concatenate([integers.cols[edges], np.full(len(fields), problem.n)]),
        weights=np.concatenate([integers.weights[edges], integers.fields[fields]]),
        constant=integers.constant,
        scale=_scale(problem, integers.unit, count, is_exact=integers.is_exact),
        costs=costs,
    )


def _scale(problem: CompiledProblem, unit: float, count: int, *, is_exact: bool) -> Scale:
    quarters = 1 if problem.is_spin else 4
    scale = scale_of(problem, quarters * unit, count, is_exact=is_exact, quarters=quarters)
    return replace(scale, error=DECIMALS * scale.error)
