"""A problem as integers, in the tables that the kernels of tabu walkers read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.pair_sums import pair_matrix
from qiosk.kernels.search import tabu_flips as layout
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8
from qiosk.model.flips import cost_of, deltas, largest_cost
from qiosk.solvers.samplers.incidence import Incidence, index_by_variable, symmetric_rows
from qiosk.solvers.search.moves.descent import pair_bounds

# Share of all pairs from which they are kept as a matrix, whose rows are read in order and with SIMD: thirty times as
# fast as neighbours at random if coefficients fit a byte, ten times if not.
DENSE_SHARE = 0.06
MOST_MATRIX_BYTES = 1 << 30
# Deltas below this bound are kept in 32 bits, in which twice as many fit a register.
DELTA_BOUND_32 = 2.0**29
# Costs and deltas stay below this many bits, so that no sum overflows.
COST_BITS = 60
# Coefficients that are multiples of 2**-8, or of a larger power of two, count as exact in 32 bits.
FINEST_EXPONENT = 8


def narrowest(values: NDArray[Any]) -> type[Any]:
    """The signed type of fewest bytes, up to that of the integers ``values``, that holds them all."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    fitting = (t for t in (np.int8, np.int16, np.int32) if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    return next(fitting, np.int64)


@dataclass(frozen=True, eq=False)
class TabuTables:
    """Coefficients times a power of two, rounded where they are no multiples of its inverse; then the error of a delta
    is below 2**-59 of the sum of their absolute values.
    """

    problem: CompiledProblem

    @cached_property
    def exponent(self) -> int:
        """log2 of the scale. Raises InvalidValue if the costs are beyond float64."""
        p, total = self.problem, self.largest_cost
        values = [p.linear, p.pair_values, p.term_values, p.group_values, p.group_weights, p.group_offsets]
        for exponent in range(FINEST_EXPONENT):
            if all(np.array_equal(np.rint(v * 2.0**exponent), v * 2.0**exponent) for v in values):
                fits = total * 2.0 ** (3 * exponent) < 2.0**COST_BITS
                return 3 * exponent if fits and len(p.group_values) else exponent if fits else self._finest
        return self._finest

    @cached_property
    def largest_cost(self) -> float:
        """The sum of the absolute values of all terms, at most. Raises InvalidValue if it is beyond float64."""
        return largest_cost(self.problem)

    @property
    def is_exact(self) -> bool:
        """Whether deltas are exact."""
        return self.exponent != self._finest

    @cached_property
    def dtype(self) -> type[Any]:
        """int32 where every delta fits exactly, else int64."""
        bounds = pair_bounds(self.problem) if self.problem.is_quadratic else self._incidence.bounds
        scaled = math.ldexp(bounds.max(initial=0.0), self.exponent)
        return np.int32 if self.is_exact and 4.0 * scaled < DELTA_BOUND_32 else np.int64

    @cached_property
    def is_dense(self) -> bool:
        """Whether pairs are a matrix."""
        n, pairs = self.problem.n, self.problem.n_pairs
        fits = self.padded**2 * np.dtype(self.dtype).itemsize <= MOST_MATRIX_BYTES
        return fits and n >= layout.BLOCK and pairs >= DENSE_SHARE * n * (n - 1) / 2

    @property
    def padded(self) -> int:
        """Variables with padding, at least one of it."""
        return (self.problem.n // layout.BLOCK + 1) * layout.BLOCK

    @property
    def kind(self) -> tuple[bool, bool, bool, bool]:
        """Whether terms are of spins, pairs are dense, there are terms, there are groups: what kernels are made for."""
        p = self.problem
        has_terms, has_groups = len(p.term_values) > 0, len(p.group_values) > 0
        return p.is_spin and has_terms, self.is_dense, has_terms, has_groups

    @cached_property
    def flip_steps(self) -> float:
        """Steps of the flip of a random variable: deltas that change with it."""
        p = self.problem
        terms, groups = (np.diff(indptr).astype(np.float64) for indptr in (p.term_indptr, p.group_indptr))
        pairs = float(p.n) ** 2 if self.is_dense else 2.0 * p.n_pairs
        return 1.0 + (pairs + float(terms @ terms) + float(groups @ groups)) / max(1, p.n)

    def scaled_cost(self, cost: float) -> int:
        """A cost without the constant, as an integer."""
        return round(math.ldexp(cost - self.problem.constant, self.exponent))

    def scaled_deltas(self, gains: F64) -> NDArray[Any]:
        """(n,) deltas as integers of ``dtype``."""
        return self._scaled(gains)

    def at(self, configuration: I8) -> tuple[NDArray[Any], int]:
        """Deltas (n,) and cost of a configuration (n,), as integers."""
        gains, cost = deltas(self.problem, configuration), cost_of(self.problem, configuration)
        return self.scaled_deltas(gains), self.scaled_cost(cost)

    def cost(self, scaled: int) -> float:
        """The cost that is this integer."""
        return self.problem.constant + math.ldexp(float(scaled), -self.exponent)

    @cached_property
    def low(self) -> tuple[NDArray[Any], int]:
        """Deltas (n,) and cost where all variables are low, as integers."""
        low = np.full(self.problem.n, -1 if self.problem.is_spin else 0, np.int8)
        return self.at(low)

    @cached_property
    def arrays(self) -> tuple[Any, ...]:
        """The tables as the kernels take them."""
        p, n = self.problem, self.problem.n
        term_of = np.repeat(np.arange(len(p.term_values), dtype=np.int32), np.diff(p.term_indptr))
        term_indptr, term_order = index_by_variable(p.term_variables, n)
        terms = (
            p.term_indptr,
            p.term_variables,
            self._scaled(self._step2 * p.term_values),
            term_indptr,
            term_of[term_order],
        )
        member_indptr, members, member_weights = self._incidence.members
        values = np.ldexp(2.0 * self._step2 * p.group_values, self.exponent)
        groups = (
            p.group_indptr,
            p.group_variables,
            p.group_weights.astype(np.float64),
            values.astype(np.float64),
            member_indptr,
            members,
            member_weights,
        )
        pairs, dense = self._pairs()
        return (n, self.padded // layout.BLOCK, self.is_dense), pairs, dense.ravel(), terms, groups

    def _pairs(self) -> tuple[tuple[Any, ...], NDArray[Any]]:
        """Pairs by variable and as a matrix, of which one is empty."""
        p = self.problem
        rows, cols, weights = p.pair_rows, p.pair_cols, self._scaled(self._step2 * p.pair_values)
        dense = np.zeros((self.padded if self.is_dense else 0, self.padded), narrowest(weights))
        if self.is_dense:
            pair_matrix()(rows, cols, weights.astype(dense.dtype), dense)
            rows, cols, weights = rows[:0], cols[:0], weights[:0]
        return symmetric_rows(rows, cols, weights, p.n), dense

    def _scaled(self, values: F64) -> NDArray[Any]:
        scaled = values * math.ldexp(1.0, self.exponent)
        return np.rint(scaled, out=scaled).astype(self.dtype)

    @property
    def _step2(self) -> float:
        """The product of the changes of two flipped variables, up to its sign."""
        return 4.0 if self.problem.is_spin else 1.0

    @property
    def _finest(self) -> int:
        return min(1000, COST_BITS - math.frexp(self.largest_cost)[1])

    @property
    def _incidence(self) -> Incidence:
        return self.problem.derived(Incidence)
