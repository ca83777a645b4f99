"""Problems with terms of any size and squared linear combinations: 64 replicas as the bits of a word."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.aligned import aligned_copy, aligned_empty
from qiosk.kernels.klocal import LANES, klocal_costs, klocal_sweeps
from qiosk.kernels.rng import combine_seed, generator_states
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8, I64
from qiosk.solvers.sampler import LaneGroup
from qiosk.solvers.samplers.bits import move_lanes, read_lane, start_bits, write_lane
from qiosk.solvers.samplers.incidence import Incidence, index_by_variable
from qiosk.solvers.samplers.ising import (
    EXACT32,
    Real,
    common_unit,
    is_resolved_by_float32,
    power_of_two_above,
)
from qiosk.solvers.samplers.pool import ThresholdArguments, ThresholdPool


@dataclass(frozen=True, eq=False)
class HalfChanges:
    """What half of a change of cost is made of, and the arithmetic that resolves it."""

    problem: CompiledProblem

    @cached_property
    def largest(self) -> float:
        """The most that half a change can be [cost]."""
        return float(np.max(Incidence(self.problem).bounds, initial=0.0)) / 2

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
    def arithmetic(self) -> Real:
        """float32 if that is exact for whole multiples of a unit, or resolves the parts otherwise; else float64."""
        if self.unit is not None and self.weight_unit is not None:
            counts = max(self.largest / self.unit, self.largest_sum / self.weight_unit)
            return "float32" if counts <= EXACT32 else "float64"
        return "float32" if is_resolved_by_float32(self.largest, self.parts) else "float64"

    @property
    def scale(self) -> float:
        """The cost that counts as 1: the unit, or a power of two that bounds all half changes."""
        return self.unit if self.unit is not None else power_of_two_above(self.largest)


class KLocalSampler:
    """Metropolis dynamics of any problem, 64 replicas at once; terms and squares are never expanded into pairs.

    Arithmetic, float32 or float64: half changes of cost have an error of at most (summands + 2) * 2**-24 or 2**-53
    times the largest, running sums of groups of (members + 2) * 2**-24 or 2**-53 times theirs; none if all are whole
    multiples below 2**24 or 2**53 of common units. Costs are added up in float64 from the unrounded coefficients.
    """

    def __init__(self, problem: CompiledProblem, *, arithmetic: Real | None = None, fresh: bool | None = None) -> None:
        halves = HalfChanges(problem)
        chosen = arithmetic or halves.arithmetic
        self._problem = problem
        self._is_spin = problem.is_spin
        self.n = problem.n
        self.lanes = LANES
        self.kernel = f"klocal-{chosen}x{LANES}"
        self._real = np.dtype(chosen)
        self._unit = halves.scale
        self._weight_unit = halves.weight_unit or 1.0
        self._thresholds = ThresholdPool(self.n, LANES, chosen, self._unit, fresh)
        self._lay_out()

    def _lay_out(self) -> None:
        incidence = Incidence(self._problem)
        self._pairs = self._pair_layout()
        self._terms = self._term_layout()
        self._groups = self._group_layout(incidence)
        self._constants, self._base = self._start_layout(incidence)
        self._cost_arguments = self._cost_layout(incidence)

    def _scaled(self, values: NDArray[Any]) -> NDArray[Any]:
        return aligned_copy(values / self._unit, self._real)

    def _pair_layout(self) -> tuple[NDArray[Any], ...]:
        p = self._problem
        here, there = np.concatenate([p.pair_rows, p.pair_cols]), np.concatenate([p.pair_cols, p.pair_rows])
        indptr, order = index_by_variable(here, self.n)
        couplings2 = np.concatenate([p.pair_values, p.pair_values])[order] * (-2.0 if self._is_spin else -0.5)
        return indptr, aligned_copy(there[order]), self._scaled(couplings2)

    def _term_layout(self) -> tuple[NDArray[Any], ...]:
        p = self._problem
        term_of = np.repeat(np.arange(len(p.term_values), dtype=np.int32), np.diff(p.term_indptr))
        indptr, order = index_by_variable(p.term_variables, self.n)
        values2 = p.term_values[term_of[order]] * (-2.0 if self._is_spin else -0.5)
        return p.term_indptr, p.term_variables, indptr, aligned_copy(term_of[order]), self._scaled(values2)

    def _group_layout(self, incidence: Incidence) -> tuple[NDArray[Any], ...]:
        """Sums count in ``weight_unit``, so what multiplies them does too."""
        p = self._problem
        _, _, indptr, groups_of, weights_of = incidence.by_variable
        steps, starts = self._group_steps()
        step = -2.0 if self._is_spin else 1.0
        weights = p.group_values[groups_of] * weights_of * step * self._weight_unit
        return (
            p.group_indptr,
            p.group_variables,
            aligned_copy(steps / self._weight_unit, self._real),
            aligned_copy(starts / self._weight_unit, self._real),
            indptr,
            groups_of,
            self._scaled(weights),
            aligned_copy(step * weights_of / self._weight_unit, self._real),
        )

    def _group_steps(self) -> tuple[F64, F64]:
        """(M,) what a set member adds to its group's sum, and (G,) the sums at nothing set."""
        p = self._problem
        if not self._is_spin:
            return p.group_weights, p.group_offsets
        owners = np.repeat(np.arange(len(p.group_values)), np.diff(p.group_indptr))
        sums = np.bincount(owners, p.group_weights, minlength=len(p.group_values))
        return -2 * p.group_weights, np.asarray(p.group_offsets + sums, np.float64)

    def _start_layout(self, incidence: Incidence) -> tuple[NDArray[Any], NDArray[Any]]:
        """(n,) the constant parts of half changes, and the signed parts at nothing set."""
        p, n = self._problem, self.n
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

    def _cost_layout(self, incidence: Incidence) -> tuple[Any, ...]:
        p = self._problem
        indptr, variables, values = incidence.terms
        steps, starts = self._group_steps()
        start, step = p.constant, -1.0
        if self._is_spin:
            start, step = p.constant + float(p.linear.sum()) + float(values.sum()), 2.0
        groups = (p.group_indptr, p.group_variables, steps, starts, p.group_values)
        return start, step * p.linear, (indptr, variables, step * values), groups

    def start(self, seed: tuple[int, ...], initial: I8 | None = None) -> LaneGroup:
        """A new group: random configurations, or all replicas at ``initial``."""
        base = combine_seed(seed)
        return LaneGroup(
            {
                "spins": start_bits(base, self.n, 1, self._is_spin, initial),
                "generators": generator_states(base),
                "offsets": np.array([base], np.uint64),
            }
        )

    def sweep(self, group: LaneGroup, betas: F64) -> None:
        """One sweep per entry of ``betas``."""
        self._run(group, self._thresholds.uniform(betas))

    def sweep_ladder(self, group: LaneGroup, betas: F64, sweeps: int) -> None:
        """``sweeps`` sweeps, replica r at ``betas[r]``."""
        self._run(group, self._thresholds.ladder(betas, sweeps))

    def _run(self, group: LaneGroup, thresholds: ThresholdArguments) -> None:
        arrays, p = group.arrays, self._problem
        parities = np.empty(len(p.term_values) if self._is_spin else 0, np.uint64)
        sums = aligned_empty(LANES * len(p.group_values), self._real)
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            klocal_sweeps(self._is_spin)(
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
                *thresholds,
            )

    def costs(self, group: LaneGroup) -> F64:
        """(lanes,) cost of every replica, added up anew: each term once, so less work than a sweep."""
        out = aligned_empty(LANES, np.float64)
        klocal_costs(self._is_spin)(*self._cost_arguments, group.arrays["spins"], out)
        return out

    def configuration(self, group: LaneGroup, lane: int) -> I8:
        """(n,) configuration of one replica."""
        return read_lane(group.arrays["spins"], 1, lane, self._is_spin)

    def replace(self, group: LaneGroup, lane: int, configuration: I8) -> None:
        """Put a replica at a configuration."""
        write_lane(group.arrays["spins"], 1, lane, self._is_spin, configuration)

    def copy(self, group: LaneGroup, to: I64, source: LaneGroup, lanes: I64) -> None:
        """Replicas ``to`` take the configurations of replicas ``lanes`` of ``source``."""
        move_lanes(group.arrays["spins"], to, source.arrays["spins"], lanes, 1)
