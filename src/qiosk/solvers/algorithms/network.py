"""A quadratic problem as a network of oscillators: symmetric couplings without fields.

Fields are couplings to one more spin. Flipping all spins then changes no cost, and a configuration of the problem
is read relative to that spin. Squared linear combinations are multiplied out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qiosk.model.arrays.pairs import PairList
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8, I32, I64
from qiosk.solvers.samplers.ising import ListForm
from qiosk.solvers.search.context import check_memory

# Forces beyond this are cut: sums over every neighbour stay finite in float32, and a wall is hit in one step anyway.
_LARGEST_FORCE = 1e30
# Forces computed at once: what they take on the way stays in the cache.
_FORCES_AT_ONCE = 1 << 16
# Bytes that a pair takes while it is laid out, in every array together.
_PAIR_BYTES = 160


@dataclass(frozen=True, eq=False)
class Network:
    """cost(s) = constant + sum over pairs of J_ij s_i s_j, over ``n`` spins.

    ``has_reference``: spin n - 1 is not a variable but carries the fields.
    """

    problem: CompiledProblem
    form: ListForm  # without fields
    has_reference: bool

    @classmethod
    def of(cls, problem: CompiledProblem) -> Network:
        """The network of a problem without terms of three or more variables.

        Raises NotEnoughMemory if its linear combinations, multiplied out, have more pairs than fit memory.
        """
        form = ListForm.of(multiplied_out(problem))
        carried = np.flatnonzero(form.fields).astype(np.int32)
        if not len(carried):
            return cls(problem, form, False)
        extended = ListForm(
            rows=np.concatenate([form.rows, carried]),
            cols=np.concatenate([form.cols, np.full(len(carried), form.n, np.int32)]),
            couplings=np.concatenate([form.couplings, form.fields[carried]]),
            fields=np.zeros(form.n + 1),
            constant=form.constant,
            at_plus=form.at_plus,
        )
        return cls(problem, extended, True)

    @property
    def n(self) -> int:
        """Spins, the reference included."""
        return self.form.n

    @cached_property
    def neighbors(self) -> tuple[I64, I32, F64]:
        """CSR with each pair in both rows: indptr (n + 1,), neighbors (2P,), couplings (2P,)."""
        indptr, there, couplings = self.form.neighbors()
        return indptr, np.ascontiguousarray(there, np.int32), couplings

    @cached_property
    def natural_strength(self) -> float:
        """0.5 sqrt(n - 1) / norm of J [1/cost]: with it the forces of a random network bifurcate as the pump ends."""
        largest = float(np.abs(self.form.couplings).max(initial=0.0))
        if largest == 0.0 or self.n < 2:
            return 1.0
        norm = largest * np.sqrt(2.0 * np.sum((self.form.couplings / largest) ** 2))
        with np.errstate(over="ignore"):
            return float(min(0.5 * np.sqrt(self.n - 1.0) / norm, np.finfo(np.float64).max))

    def forces(self, strength: float) -> NDArray[np.float32]:
        """(2P,) -strength J in the order of ``neighbors``."""
        couplings = self.neighbors[2]
        forces = np.empty(len(couplings), np.float32)
        for first in range(0, len(forces), _FORCES_AT_ONCE):
            some = slice(first, first + _FORCES_AT_ONCE)
            with np.errstate(over="ignore"):
                forces[some] = np.clip(-strength * couplings[some], -_LARGEST_FORCE, _LARGEST_FORCE)
        return forces

    def configuration(self, positions: NDArray[np.float32]) -> I8:
        """(variables,) values of the problem's variables where the oscillators are at ``positions`` (n,)."""
        spins = np.where(np.signbit(positions), -1, 1).astype(np.int8)
        if self.has_reference:
            spins = spins[:-1] * spins[-1]
        return spins if self.problem.is_spin else np.asarray((1 - spins) // 2, np.int8)

    def spins(self, configuration: I8) -> I8:
        """(n,) spins of a configuration of the problem; the reference is +1."""
        spins = configuration if self.problem.is_spin else np.asarray(1 - 2 * configuration, np.int8)
        return np.append(spins, np.int8(1)) if self.has_reference else spins


def multiplied_out(problem: CompiledProblem) -> CompiledProblem:
    """The same cost with squared linear combinations as pairs, fields and a constant. Raises NotEnoughMemory."""
    if not len(problem.group_values):
        return problem
    sizes = np.diff(problem.group_indptr)
    needed = int(np.sum(sizes * (sizes - 1) // 2)) * _PAIR_BYTES
    check_memory(f"{len(sizes)} squared linear combinations as pairs", needed)
    linear, constant = problem.linear.copy(), problem.constant
    rows, cols, values = [problem.pair_rows], [problem.pair_cols], [problem.pair_values]
    for g, value in enumerate(problem.group_values):
        members = slice(problem.group_indptr[g], problem.group_indptr[g + 1])
        ids, weights, offset = (
            problem.group_variables[members],
            problem.group_weights[members],
            problem.group_offsets[g],
        )
        constant += float(value * offset**2)
        linear[ids] += 2.0 * value * offset * weights
        if problem.is_spin:
            constant += float(value * np.sum(weights**2))
        else:
            linear[ids] += value * weights**2
        first, second = np.triu_indices(len(ids), 1)
        rows.append(ids[first])
        cols.append(ids[second])
        values.append(2.0 * value * weights[first] * weights[second])
    return replace(
        problem,
        constant=constant,
        linear=linear,
        pairs=_merged(problem.n, np.concatenate(rows), np.concatenate(cols), np.concatenate(values)),
        group_indptr=np.zeros(1, np.int64),
        group_variables=np.zeros(0, np.int32),
        group_weights=np.zeros(0),
        group_values=np.zeros(0),
        group_offsets=np.zeros(0),
    )


def _merged(n: int, rows: I32, cols: I32, values: F64) -> PairList:
    """Every pair once, sorted, without those that cancel."""
    keys, place = np.unique(rows.astype(np.int64) * n + cols, return_inverse=True)
    sums = np.bincount(place, values, len(keys))
    kept = sums != 0.0
    return PairList((keys[kept] // n).astype(np.int32), (keys[kept] % n).astype(np.int32), sums[kept])
