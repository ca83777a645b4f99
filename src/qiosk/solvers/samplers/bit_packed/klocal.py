"""Problems with terms of any size and squared linear combinations: replicas as the bits of words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.aligned import aligned_copy, aligned_empty
from qiosk.kernels.sweeps.klocal import klocal_costs, klocal_sweeps
from qiosk.model.arrays.pairs import PairList
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64
from qiosk.model.units import common_unit
from qiosk.solvers.samplers.arithmetic import (
    ARITHMETICS,
    LARGEST_FIELD,
    Arithmetic,
    is_resolved_by_float32,
    power_of_two_above,
    typical_small,
)
from qiosk.solvers.samplers.bit_packed.pool import PooledLanes, ThresholdArguments, ThresholdPool, of_sweeps
from qiosk.solvers.samplers.incidence import Incidence, index_by_variable
from qiosk.solvers.samplers.parts import Parts, long_term_steps
from qiosk.solvers.samplers.sampler import LaneGroup

_FLOAT32_RANGE = 2.0**100  # sums of groups that have no unit, and their inverses, stay below it: float32 ends at 2**128
_ROUNDED = 2.0**-6  # of a small coefficient: the largest acceptable error of a change of cost


@dataclass(frozen=True, eq=False)
class HalfChanges:
    """The parts of half of a change of cost, and the arithmetic that resolves it."""

    problem: CompiledProblem

    @cached_property
    def largest(self) -> float:
        """The most that half a change can be [cost]."""
        return float(np.max(self.problem.derived(Incidence).bounds, initial=0.0)) / 2

    @cached_property
    def weight_unit(self) -> float | None:
        """The largest number of which all weights and offsets of groups are whole multiples."""
        return common_unit(np.concatenate([self.problem.group_weights, self.problem.group_offsets]))

    @cached_property
    def parts(self) -> F64:
        """Sizes of the parts that add up to half a change, groups taken as the pairs that they stand for."""
        p = self.problem
        scale = 1.0 if p.is_spin else 0.5
        members = np.repeat(np.abs(p.group_values), np.diff(p.group_indptr)) * p.group_weights**2
        return scale * np.concatenate([p.linear, p.pair_values, p.term_values, 2 * members])

    @cached_property
    def unit(self) -> float | None:
        """The largest number of which every half change is a whole multiple, None if there is none."""
        p = self.problem
        if self.weight_unit is None:
            return None
        squares = (2 if p.is_spin else 1) * p.group_values * self.weight_unit**2
        scale = 1.0 if p.is_spin else 0.5
        return common_unit(scale * np.concatenate([p.linear, p.pair_values, p.term_values, squares]))

    @cached_property
    def largest_sum(self) -> float:
        """The most that a squared linear combination's sum can be."""
        p = self.problem
        owners = np.repeat(np.arange(len(p.group_values)), np.diff(p.group_indptr))
        sums = np.bincount(owners, np.abs(p.group_weights), minlength=len(p.group_values))
        return float(np.max(np.abs(p.group_offsets) + sums, initial=0.0))

    @cached_property
    def largest_count(self) -> float:
        """The largest whole number among half changes and what adds up to them, in units; infinite without units."""
        p = self.problem
        if self.unit is None or self.weight_unit is None:
            return np.inf
        twice = 2.0 if p.is_spin else 0.5
        couplings = twice * np.max(np.abs(np.concatenate([p.pair_values, p.term_values])), initial=0.0)
        members = np.repeat(np.abs(p.group_values), np.diff(p.group_indptr)) * np.abs(p.group_weights)
        weights = 2 * self.weight_unit * np.max(members, initial=0.0)
        changes = 2 * np.max(np.abs(p.group_weights), initial=0.0)
        sums = max(self.largest_sum, float(changes)) / self.weight_unit
        return float(max(max(self.largest, couplings, weights) / self.unit, sums))

    @cached_property
    def is_in_float32_range(self) -> bool:
        """Whether weights and sums of squared linear combinations, in units if they have one, are float32 numbers."""
        if self.weight_unit is not None:
            return True
        smallest = float(np.min(np.abs(self.problem.group_weights)))
        return smallest >= 1 / _FLOAT32_RANGE and self.largest_sum <= _FLOAT32_RANGE

    @property
    def rounding_step(self) -> float:
        """What coefficients are rounded to multiples of, as parts of half changes, for these to fit int16."""
        return self.largest / (LARGEST_FIELD["int16"] - self._summands)

    @cached_property
    def _summands(self) -> int:
        """The most parts that a half change has; without groups."""
        p = self.problem
        ends = np.concatenate([p.pair_rows, p.pair_cols, p.term_variables])
        return 1 + int(np.max(np.bincount(ends, minlength=1)))

    def is_resolved_by(self, arithmetic: Arithmetic) -> bool:
        """Whether an arithmetic is exact, or its rounding is small against the small coefficients.

        With a unit: if all counts fit, exactly. Without: int16, where there are no groups, if the root of the mean
        square error of half changes, sqrt(summands / 12) * ``rounding_step``, is below 1/64 of the part that a tenth of
        all nonzero ones do not exceed; float32 as in ``IsingForm.is_resolved_by``, if weights are in its range;
        float64 always.
        """
        if arithmetic == "float64":
            return True
        if self.unit is not None and self.weight_unit is not None:
            return self.largest_count <= LARGEST_FIELD[arithmetic]
        if arithmetic == "float32":
            return self.is_in_float32_range and is_resolved_by_float32(self.largest, self.parts)
        if arithmetic == "int8" or len(self.problem.group_values) or 2 * self._summands > LARGEST_FIELD["int16"]:
            return False
        error = (self._summands / 12) ** 0.5 * self.rounding_step
        return bool(error <= _ROUNDED * typical_small(self.parts))

    @cached_property
    def arithmetic(self) -> Arithmetic:
        """The narrowest arithmetic that resolves the coefficients."""
        return next(a for a in ARITHMETICS if self.is_resolved_by(a))

    @property
    def scale(self) -> float:
        """The cost that counts as 1: the unit, or a power of two that bounds all half changes."""
        return self.unit if self.unit is not None else power_of_two_above(self.largest)

    def rounded(self) -> CompiledProblem:
        """The problem with its coefficients rounded so that half changes are multiples of ``rounding_step``."""
        p, step = self.problem, self.rounding_step * (1.0 if self.problem.is_spin else 2.0)

        def near(values: F64) -> F64:
            return np.asarray(step * np.rint(values / step), np.float64)

        pairs = PairList(p.pair_rows, p.pair_cols, near(p.pair_values))
        return replace(p, linear=near(p.linear), pairs=pairs, term_values=near(p.term_values))


class KLocalSampler(PooledLanes):
    """Metropolis dynamics of any problem, ``lanes`` replicas (a multiple of 64) at once; no term or square is expanded.

    Arithmetic: int8 and int16 are exact for whole multiples of a unit. Other coefficients are rounded in int16: half
    changes of cost then err by at most summands / 2 times, typically by the root of summands / 12 times, 1 / 32767 of
    the largest. In float32 and float64 half changes err by at most (summands + 2) * 2**-24 or 2**-53 times the largest,
    running sums of groups by (members + 2) * 2**-24 or 2**-53 times theirs; not at all if all are whole multiples below
    2**24 or 2**53 of common units. Costs are added up in float64 from the coefficients as they were given.
    """

    def __init__(
        self,
        problem: CompiledProblem,
        *,
        arithmetic: Arithmetic | None = None,
        lanes: int = 64,
        fresh: bool | None = None,
        halves: HalfChanges | None = None,
    ) -> None:
        halves = halves if halves is not None else HalfChanges(problem)
        chosen = arithmetic or halves.arithmetic
        is_rounded = chosen == "int16" and halves.unit is None
        super().__init__(problem.n, lanes, problem.is_spin)
        self.kernel = f"klocal-{chosen}x{lanes}"
        self._dtype = np.dtype(chosen)
        self._unit = halves.rounding_step if is_rounded else halves.scale
        self._weight_unit = halves.weight_unit or 1.0
        self._thresholds = ThresholdPool(self.n, lanes, chosen, self._unit, fresh, scales_late=True)
        self._n_terms, self._n_groups = len(problem.term_values), len(problem.group_values)
        self._cost_arguments = self._cost_layout(problem)
        self._lay_out(halves.rounded() if is_rounded else problem)

    def _lay_out(self, problem: CompiledProblem) -> None:
        incidence = problem.derived(Incidence)
        self._pairs = self._pair_layout(problem)
        self._terms = self._term_layout(problem)
        self._groups = self._group_layout(problem, incidence)
        self._constants, self._base = self._start_layout(problem, incidence)
        of_terms = 2 * np.diff(self._terms[2]) if self._is_spin else long_term_steps(problem)
        steps = 1 + np.diff(self._pairs[0]) + of_terms + 2 * np.diff(self._groups[4])
        self.parts = Parts(steps, self._words)

    def _scaled(self, values: NDArray[Any]) -> NDArray[Any]:
        return self._counted(values / self._unit)

    def _counted(self, values: NDArray[Any]) -> NDArray[Any]:
        return aligned_copy(np.rint(values) if self._dtype.kind == "i" else values, self._dtype)

    def _pair_layout(self, p: CompiledProblem) -> tuple[NDArray[Any], ...]:
        here, there = np.concatenate([p.pair_rows, p.pair_cols]), np.concatenate([p.pair_cols, p.pair_rows])
        indptr, order = index_by_variable(here, self.n)
        couplings2 = np.concatenate([p.pair_values, p.pair_values])[order] * (-2.0 if self._is_spin else -0.5)
        return indptr, aligned_copy(there[order]), self._scaled(couplings2)

    def _term_layout(self, p: CompiledProblem) -> tuple[NDArray[Any], ...]:
        term_of = np.repeat(np.arange(len(p.term_values), dtype=np.int32), np.diff(p.term_indptr))
        indptr, order = index_by_variable(p.term_variables, self.n)
        values2 = p.term_values[term_of[order]] * (-2.0 if self._is_spin else -0.5)
        return p.term_indptr, p.term_variables, indptr, aligned_copy(term_of[order]), self._scaled(values2)

    def _group_layout(self, p: CompiledProblem, incidence: Incidence) -> tuple[NDArray[Any], ...]:
        """Sums count in ``weight_unit``, so what multiplies them does too."""
        _, _, indptr, groups_of, weights_of = incidence.by_variable
        steps, starts = self._group_steps(p)
        step = -2.0 if self._is_spin else 1.0
        weights = p.group_values[groups_of] * weights_of * step * self._weight_unit
        return (
            p.group_indptr,
            p.group_variables,
            self._counted(steps / self._weight_unit),
            self._counted(starts / self._weight_unit),
            indptr,
            groups_of,
            self._scaled(weights),
            self._counted(step * weights_of / self._weight_unit),
        )

    def _group_steps(self, p: CompiledProblem) -> tuple[F64, F64]:
        """(M,) what a set member adds to its group's sum, and (G,) the sums when no bit is set."""
        if not self._is_spin:
            return p.group_weights, p.group_offsets
        owners = np.repeat(np.arange(len(p.group_values)), np.diff(p.group_indptr))
        sums = np.bincount(owners, p.group_weights, minlength=len(p.group_values))
        return -2 * p.group_weights, np.asarray(p.group_offsets + sums, np.float64)

    def _start_layout(self, p: CompiledProblem, incidence: Incidence) -> tuple[NDArray[Any], NDArray[Any]]:
        """(n,) the constant parts of half changes, and the signed parts when no bit is set."""
        n = self.n
        _, _, indptr, groups_of, weights_of = incidence.by_variable
        variable_of = np.repeat(np.arange(n), np.diff(indptr))
        squares = np.bincount(variable_of, p.group_values[groups_of] * weights_of**2, minlength=n)
        if not self._is_spin:
            return self._scaled(squares / 2), self._scaled(p.linear / 2)
        pair_sums = np.bincount(p.pair_rows, p.pair_values, minlength=n)
        pair_sums = pair_sums + np.bincount(p.pair_cols, p.pair_values, minlength=n)
        per_id = np.repeat(p.term_values, np.diff(p.term_indptr))
        term_sums = np.bincount(p.term_variables, per_id, minlength=n)
        return self._scaled(2 * squares - term_sums), self._scaled(-(p.linear + pair_sums))

    def _cost_layout(self, p: CompiledProblem) -> tuple[Any, ...]:
        indptr, variables, values = p.derived(Incidence).terms
        steps, starts = self._group_steps(p)
        start, step = p.constant, -1.0
        if self._is_spin:
            start, step = p.constant + float(p.linear.sum()) + float(values.sum()), 2.0
        groups = (p.group_indptr, p.group_variables, steps, starts, p.group_values)
        return start, step * p.linear, (indptr, variables, step * values), groups

    def _run(self, group: LaneGroup, thresholds: ThresholdArguments, *, ladder: bool) -> None:
        arrays = group.arrays
        parities = np.empty(self._n_terms * self._words if self._is_spin else 0, np.uint64)
        sums = aligned_empty(self.lanes * self._n_groups, self._dtype)
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            for sweeps, part in self.parts.calls(thresholds[-1]):
                klocal_sweeps(self._is_spin, self.lanes, ladder)(
                    self._pairs,
                    self._terms,
                    self._groups,
                    self._constants,
                    self._base,
                    arrays["spins"],
                    arrays["generators"],
                    arrays["offsets"],
                    parities,
                    sums,
                    of_sweeps(thresholds, sweeps),
                    part,
                )

    def costs(self, group: LaneGroup) -> F64:
        """(lanes,) cost of every replica, added up again: each term once, so less work than a sweep."""
        out = aligned_empty(self.lanes, np.float64)
        klocal_costs(self._is_spin, self.lanes)(*self._cost_arguments, group.arrays["spins"], out)
        return out
