"""A problem in imaginary time: slices of configurations, tied along the world line of every variable."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from qiosk.kernels.dynamics.world_lines import world_line_costs, world_line_sweeps
from qiosk.kernels.rng import combine_seed, random_words
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8
from qiosk.solvers.samplers.incidence import index_by_variable, symmetric_rows
from qiosk.solvers.samplers.parts import Parts, long_term_steps
from qiosk.solvers.samplers.sampler import LaneGroup

VECTOR = 2
"""Slices that are added up in the time of a step."""
DRAWN_AT_ONCE = 1 << 20
"""Values drawn at once, a multiple of 64."""


class WorldLines:
    """Path-integral dynamics of one problem with ``slices`` slices; a lane group is one system of them.

    The arrays of a group are ``values`` (n, slices) int8 and ``state`` (1,) uint64.
    """

    def __init__(self, problem: CompiledProblem, slices: int, check: Callable[[], None] = lambda: None) -> None:
        """``check`` is called between the parts of long sweeps; what it raises ends them."""
        self.problem = problem
        self.slices = slices
        self._check = check
        self.kernel = f"world-lines-float64x{slices}"

    @property
    def slice_bytes(self) -> int:
        """Memory of one slice and of what sweeping it takes [bytes]."""
        return self.problem.n + 8 * len(self.problem.group_values) + 32

    def start(self, seed: tuple[int, ...], initial: I8 | None = None) -> LaneGroup:
        """A new system: random slices, or all at ``initial``. Equal seeds give equal systems."""
        base, n = combine_seed(seed), self.problem.n
        values = np.empty((n, self.slices), np.int8)
        if initial is None:
            self._draw(values.reshape(-1), base)
        else:
            values[:] = initial[:, None]
        return LaneGroup({"values": values, "state": random_words(base, 1, stream=1)})

    def _draw(self, values: I8, seed: int) -> None:
        """Random values, in blocks between which the run may end."""
        for first in range(0, len(values), DRAWN_AT_ONCE):
            self._check()
            block = values[first : first + DRAWN_AT_ONCE]
            words = random_words(seed, -(-len(block) // 64), first=first // 64)
            block[:] = np.unpackbits(words.view(np.uint8), count=len(block))
            if self.problem.is_spin:
                block *= 2
                block -= 1

    def sweep(self, group: LaneGroup, betas: F64, cuts: F64) -> None:
        """One sweep per entry: slices at ``betas`` [1/cost], ties between equal neighbours cut with chance ``cuts``.

        ``sweep(a); sweep(b)`` equals ``sweep(a + b)``, bit for bit. Releases the GIL.
        """
        a, sums, is_spin = group.arrays, self._sums(), self.problem.is_spin
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            for some, part in self._parts.calls(len(betas)):
                chances = betas[some], cuts[some]
                world_line_sweeps()(self._arrays, is_spin, a["values"], sums, a["state"], *chances, part)

    def costs(self, group: LaneGroup) -> F64:
        """(slices,) cost of every slice, constant included."""
        found = np.empty(self.slices)
        values = group.arrays["values"]
        world_line_costs()(float(self.problem.constant), self._arrays, values, self._sums(), found)
        return found

    def configuration(self, group: LaneGroup, place: int) -> I8:
        """(n,) configuration of one slice, as a new array."""
        return np.ascontiguousarray(group.arrays["values"][:, place])

    def _sums(self) -> F64:
        return np.empty((len(self.problem.group_values), self.slices))

    @cached_property
    def _parts(self) -> Parts:
        _, pairs, _, _, by_variable = self._arrays
        steps = 1 + np.diff(pairs[0]) + long_term_steps(self.problem) + np.diff(by_variable[2])
        parts = Parts(steps, self.slices / VECTOR)
        parts.check = self._check
        return parts

    @property
    def _arrays(self) -> tuple[Any, ...]:
        return self.problem.derived(_arrays, check=self._check)

    def warm_up(self) -> None:
        """Compile, or load, the kernels, with arrays of no variables."""
        linear, *others, by_variable = self._arrays
        starts = {0: 1, 2: 1}  # places of the beginnings of rows, of which there is one more than rows
        few = [tuple(array[: 0 if k else 1] for k, array in enumerate(arrays)) for arrays in others]
        few.append(tuple(array[: starts.get(k, 0)] for k, array in enumerate(by_variable)))
        arrays, values, nothing = (linear[:0], *few), np.empty((0, self.slices), np.int8), np.empty(0)
        sums, state = np.empty((0, self.slices)), random_words(0, 1)
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            world_line_sweeps()(arrays, self.problem.is_spin, values, sums, state, nothing, nothing, (0, 0))
        world_line_costs()(float(self.problem.constant), arrays, values, sums, np.empty(self.slices))


def _arrays(problem: CompiledProblem, check: Callable[[], None]) -> tuple[Any, ...]:
    """A problem as the kernels read it; kept with it."""
    p = problem
    groups = (p.group_indptr, p.group_variables, p.group_weights, p.group_values, p.group_offsets)
    terms = (p.term_indptr, p.term_variables, p.term_values)
    check()
    pairs = symmetric_rows(p.pair_rows, p.pair_cols, p.pair_values, p.n)
    check()
    return p.linear, pairs, terms, groups, _by_variable(p)


def _by_variable(p: CompiledProblem) -> tuple[Any, ...]:
    term_of = np.repeat(np.arange(len(p.term_values), dtype=np.int32), np.diff(p.term_indptr))
    group_of = np.repeat(np.arange(len(p.group_values), dtype=np.int32), np.diff(p.group_indptr))
    var_indptr, in_terms = index_by_variable(p.term_variables, p.n)
    member_indptr, members = index_by_variable(p.group_variables, p.n)
    return var_indptr, term_of[in_terms], member_indptr, group_of[members], p.group_weights[members]
