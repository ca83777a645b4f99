"""The arrays that one-hot kernels read of a problem, by place instead of by variable: see ``reduced`` for its costs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.aligned import aligned_copy, aligned_zeros
from qiosk.kernels.one_hot.exchanges import LONGEST_CLASS
from qiosk.kernels.one_hot.places import FORBIDDEN_COST
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8, I64
from qiosk.model.units import common_unit
from qiosk.solvers.samplers.arithmetic import LARGEST_FIELD
from qiosk.solvers.samplers.incidence import index_by_variable, symmetric_rows
from qiosk.solvers.samplers.one_hot.core import Core, core_of
from qiosk.solvers.samplers.one_hot.orders import Orders, in_order
from qiosk.solvers.samplers.one_hot.reduced import Reduced
from qiosk.solvers.samplers.one_hot.structure import FORBIDDEN, Structure, structure_of

DENSE_SHARE = 1 / 8
"""Share of all pairs of places from which couplings are a matrix, whose rows are added with SIMD."""
SMALL_PLACES = 128
"""Places up to which couplings always are."""
MOST_MATRIX_BYTES, MOST_LOOKUP_BYTES = 1 << 30, 1 << 22
"""Largest matrix whose rows are added, and largest one besides rows that are sparse: there single entries are read."""
MOST_LINKED_ROWS, LINKED_SHARE = 4096, 0.5
"""Rows of assignments, and share of their pairs with couplings, up to which others are passed over."""
LANES = 16
"""Places are padded to a multiple of this."""
SUMMANDS = 8
"""Fields and couplings that a change of cost adds up, at most."""
ROUNDING = 2.0**-48


@dataclass(frozen=True, eq=False)
class Layout:
    """A problem with one-hot groups, by place. ``problem.one_hot`` must not be None."""

    problem: CompiledProblem

    @cached_property
    def core(self) -> Core:
        """The problem without slack."""
        return core_of(self.problem)

    @cached_property
    def _found(self) -> tuple[Structure, Reduced, Orders]:
        one_hot = self.core.problem.one_hot
        assert one_hot is not None
        return in_order(self.core, structure_of(one_hot, self.core.problem.n))

    @property
    def structure(self) -> Structure:
        """The choices and assignments of all variables that are no slack; those of ordered assignments are in order."""
        return self._found[0]

    @property
    def width(self) -> int:
        """Places with padding."""
        return -(-len(self.structure.variables) // LANES) * LANES

    @property
    def reduced(self) -> Reduced:
        """The costs on configurations that keep the groups."""
        return self._found[1]

    @property
    def has_orders(self) -> bool:
        """Whether an assignment is ordered."""
        return self._found[2].is_any

    @cached_property
    def orders(self) -> tuple[Any, ...]:
        """Of each assignment (A,): its kind, whether its matrix is symmetric, whether rows have costs of their own, and
        where its matrix begins; and the matrices, in units."""
        kinds, mirrored, has_own, near = self._found[2].arrays
        at = np.cumsum([0, *(matrix.size for matrix in near)], dtype=np.int64)[: len(kinds)]
        values = np.concatenate([np.empty(0), *(self._counted(matrix).ravel() for matrix in near)])
        return kinds, mirrored, has_own, at, aligned_copy(values, self.real)

    @property
    def has_more(self) -> bool:
        """Whether there are terms of three or more places, or squares."""
        return len(self.reduced.terms[2]) > 0 or len(self.reduced.squares[3]) > 0

    @cached_property
    def unit(self) -> float | None:
        """The cost of which all coefficients of fields are whole multiples; None if there is none."""
        return common_unit(np.concatenate([self.reduced.base, self.reduced.pairs[2]]))

    @cached_property
    def bound(self) -> float:
        """The most that a change of one choice or a swap changes the cost, either way."""
        rows, cols, values = self.reduced.pairs
        width = len(self.reduced.base)
        fields = np.abs(self.reduced.base) + np.bincount(rows, np.abs(values), width)
        fields += np.bincount(cols, np.abs(values), width)
        indptr, places, term_values = self.reduced.terms
        fields += np.bincount(places, np.repeat(np.abs(term_values), np.diff(indptr)), width)
        indptr, places, weights, square_values, offsets, _ = self.reduced.squares
        owner = np.repeat(np.arange(len(offsets)), np.diff(indptr))
        largest = np.abs(offsets) + np.bincount(owner, np.abs(weights), len(offsets))
        fields += np.bincount(places, np.abs(square_values[owner] * weights) * 2 * largest[owner], width)
        return SUMMANDS * float(fields.max(initial=0.0))

    @cached_property
    def real(self) -> str:
        """float32 where whole numbers are exact in it, else float64."""
        fits = self.unit is not None and self.bound <= LARGEST_FIELD["float32"] * self.unit
        return "float32" if fits else "float64"

    @property
    def scale(self) -> float:
        """The cost that counts as 1."""
        return self.unit or 1.0

    @property
    def tolerance(self) -> float:
        """Least decrease that is not rounding, in units."""
        exact = self.unit is not None and self._has_whole_more and self.bound < 2.0**53 * self.unit
        return 0.5 if exact else ROUNDING * self.bound / self.scale

    @property
    def _has_whole_more(self) -> bool:
        """Whether larger terms and squares cost whole multiples of the unit."""
        _, _, weights, values, offsets, widths = self.reduced.squares
        costs = np.concatenate([self.reduced.terms[2], values]) / self.scale
        return all(bool((some == np.rint(some)).all()) for some in (costs, weights, offsets, widths))

    @cached_property
    def is_dense(self) -> bool:
        """Whether rows of couplings are added from a matrix."""
        places = len(self.structure.variables)
        fits = self.width**2 * np.dtype(self.real).itemsize <= MOST_MATRIX_BYTES
        share = 2 * len(self.reduced.pairs[2]) / max(1, places * (places - 1))
        return places <= SMALL_PLACES or (fits and share >= DENSE_SHARE)

    @cached_property
    def couplings(self) -> tuple[Any, ...]:
        """Matrix (W * W,), or empty; CSR indptr (W + 1,), places and values, or empty; base (W,). In units."""
        rows, cols, values = self.reduced.pairs
        scaled = self._counted(values)
        base = aligned_zeros(self.width, self.real)
        base[: len(self.reduced.base)] = self._counted(self.reduced.base)
        base[np.flatnonzero(self.structure.variables == FORBIDDEN)] = FORBIDDEN_COST
        has_matrix = self.is_dense or self.width**2 * np.dtype(self.real).itemsize <= MOST_LOOKUP_BYTES
        matrix = aligned_zeros((self.width, self.width) if has_matrix else (0, 0), self.real)
        if has_matrix:
            matrix[rows, cols] = matrix[cols, rows] = scaled
        if self.is_dense:
            rows, cols, scaled = rows[:0], cols[:0], scaled[:0]
        indptr, neighbors, both = symmetric_rows(rows, cols, scaled, self.width)
        return matrix.ravel(), indptr, aligned_copy(neighbors), aligned_copy(both, self.real), base, self._linked()

    def _linked(self) -> NDArray[np.uint8]:
        """(L, L) whether rows of assignments have couplings; empty if most have, or if there are too many rows."""
        assigned = self.structure.n_assigned
        choice, _ = self.structure.owners()
        rows, cols = (choice[ends] for ends in self.reduced.pairs[:2])
        both = (rows < assigned) & (cols < assigned)
        if not 0 < assigned <= MOST_LINKED_ROWS:
            return np.zeros((0, 0), np.uint8)
        linked = np.zeros((assigned, assigned), np.uint8)
        linked[rows[both], cols[both]] = linked[cols[both], rows[both]] = 1
        return linked if linked.mean() < LINKED_SHARE else np.zeros((0, 0), np.uint8)

    def _counted(self, values: F64) -> F64:
        return np.asarray(np.rint(values / self.scale) if self.unit else values / self.scale, np.float64)

    @cached_property
    def more(self) -> tuple[Any, ...]:
        """Terms and squares, in units, and both by place."""
        indptr, places, values = self.reduced.terms
        owner = np.repeat(np.arange(len(values), dtype=np.int32), np.diff(indptr))
        by_place, order = index_by_variable(places, self.width)
        square_indptr, square_places, weights, square_values, offsets, widths = self.reduced.squares
        square_owner = np.repeat(np.arange(len(offsets), dtype=np.int32), np.diff(square_indptr))
        square_by_place, square_order = index_by_variable(square_places, self.width)
        return (
            (indptr, places, values / self.scale, by_place, owner[order]),
            (
                square_values / self.scale,
                offsets,
                square_by_place,
                square_owner[square_order],
                weights[square_order],
                widths,
            ),
            self.exchanges,
        )

    @cached_property
    def exchanges(self) -> tuple[I64, I64]:
        """bounds (K + 1,) of classes, and their members: choices of equally many places, of which some are in squares.

        Those of assignments are none.
        """
        s = self.structure
        sizes = np.diff(s.starts)
        is_member = np.zeros(s.n_choices, np.bool_)
        is_member[s.owners()[0][self.reduced.squares[1]]] = True
        is_member[: s.n_assigned] = False
        found = [np.flatnonzero(is_member & (sizes == size)) for size in np.unique(sizes[is_member & (sizes > 1)])]
        found = [some for some in found if len(some) > 1]
        return np.cumsum([0, *map(len, found)], dtype=np.int64), np.concatenate([np.empty(0, np.int64), *found])

    @cached_property
    def moves(self) -> tuple[Any, ...]:
        """starts (C + 1,); first choices, sizes (A,) of assignments; the other choices, in a shuffled order."""
        s = self.structure
        single = np.random.default_rng(s.n_choices).permutation(np.arange(s.n_assigned, s.n_choices))
        return s.starts, s.firsts, s.sizes, single[np.diff(s.starts)[single] > 1].astype(np.int64)

    @cached_property
    def tables(self) -> tuple[Any, Any, Any]:
        """What kernels take: couplings, moves, more."""
        return self.couplings, self.moves, self.more

    @property
    def n_moves(self) -> int:
        """Changes of one choice, swaps and exchanges that lead away from a configuration."""
        s = self.structure
        classes = np.diff(self.exchanges[0])
        classes = classes[classes <= LONGEST_CLASS]
        swaps = (s.sizes * (s.sizes - 1) // 2).sum() + (classes * (classes - 1) // 2).sum()
        return int((np.diff(s.starts) - 1)[s.n_assigned :].sum() + swaps)

    def configuration(self, taken: NDArray[np.int32]) -> I8:
        """(n,) in the problem's own domain, of the places (C,) that are taken."""
        variables = self.structure.variables[taken]
        bits = np.zeros(self.core.problem.n, np.bool_)
        bits[variables[variables >= 0]] = True
        return self.core.lift(bits)

    def taken(self, configuration: I8) -> NDArray[np.int32]:
        """(C,) places of a configuration; where it breaks a group, others that keep it."""
        s = self.structure
        is_there = np.zeros(len(s.variables), np.bool_)
        held = s.variables >= 0
        is_there[held] = self.core.restrict(configuration)[s.variables[held]]
        choice = self._choice
        at = np.flatnonzero(is_there)[::-1]
        found = s.starts[:-1].copy()
        found[choice[at]] = at  # the first that is set; else the place of nothing, or the first variable
        for own, allowed in self._assignments:
            chosen = np.where(is_there[found[own]], found[own] - s.starts[own], -1)
            found[own] = s.starts[own] + _permutation(chosen, allowed)
        return found.astype(np.int32)

    def random(self, words: NDArray[np.uint64]) -> NDArray[np.int32]:
        """(C,) places, from as many uniformly random words."""
        s = self.structure
        sizes = np.diff(s.starts)
        found = s.starts[:-1] + (words % sizes.astype(np.uint64)).astype(np.int64)
        for own, allowed in self._assignments:
            found[own] = s.starts[own] + _repaired(np.argsort(words[own], kind="stable"), allowed)
        return found.astype(np.int32)

    @cached_property
    def _choice(self) -> I64:
        """(W,) choice of each place."""
        return self.structure.owners()[0]

    @cached_property
    def _assignments(self) -> list[tuple[slice, NDArray[np.bool_] | None]]:
        """Rows of every assignment, and which places are allowed; None if all are."""
        s, found = self.structure, list[tuple[slice, NDArray[np.bool_] | None]]()
        for first, size in zip(s.firsts.tolist(), s.sizes.tolist(), strict=True):
            at = s.starts[first]
            allowed = (s.variables[at : at + size * size] != FORBIDDEN).reshape(size, size)
            found.append((slice(first, first + size), None if allowed.all() else allowed))
        return found


def _permutation(chosen: I64, allowed: NDArray[np.bool_] | None) -> I64:
    """Columns (N,), all different: those that rows have chosen, if they are the first to, and the others in order."""
    if (chosen >= 0).all() and (np.bincount(chosen, minlength=len(chosen)) == 1).all():
        return _repaired(chosen, allowed)
    columns = np.full(len(chosen), -1, np.int64)
    firsts = np.unique(chosen, return_index=True)[1]
    firsts = firsts[chosen[firsts] >= 0]
    columns[firsts] = chosen[firsts]
    columns[columns < 0] = np.setdiff1d(np.arange(len(chosen)), chosen)
    return _repaired(columns, allowed)


def _repaired(columns: I64, allowed: NDArray[np.bool_] | None) -> I64:
    """A permutation without forbidden places, by swaps of one row that has one with another."""
    if allowed is None:
        return columns
    rows = np.arange(len(columns))
    for r in np.flatnonzero(~allowed[rows, columns]):
        if not allowed[r, columns[r]]:
            both = allowed[r, columns] & allowed[rows, columns[r]]
            other = int(np.argmax(both))
            columns[r], columns[other] = columns[other], columns[r]
    return columns
