"""Which assignments are ordered: their rows, or their columns, are the steps of a line or of a cycle.

An assignment is ordered if all of this holds, and so the moves of ordered ones keep every cost exact:

- every place of it holds a variable;
- no term of three or more places and no square has one of its places;
- its places have couplings with each other alone, and these only if their rows follow each other in one line or cycle
  through all rows (or all of this for its columns, which then become the rows);
- the couplings of every two rows that follow each other are the same matrix.

Costs of single places may be any, as the first and the last stop of a tour have them where others are fixed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.one_hot.orders import CYCLE, LINE, NO_ORDER
from qiosk.model.cost_function import F64, I64
from qiosk.solvers.samplers.one_hot.core import Core
from qiosk.solvers.samplers.one_hot.reduced import Reduced, reduced_costs
from qiosk.solvers.samplers.one_hot.structure import Structure

FEWEST_ROWS = 5
"""In fewer rows, two neighbours of one row may be neighbours of each other."""
MOST_ROWS = 1 << 20
"""What codes of moves have bits for."""


@dataclass(frozen=True, eq=False)
class Order:
    """Whether the last row is followed by the first; and what it costs that a column follows another.

    The matrix (N + 1, N + 1) ends with a row and a column of zeros, for no column.
    """

    is_cycle: bool
    near: F64
    has_own: bool  # rows have different costs of their own


@dataclass(frozen=True, eq=False)
class Orders:
    """The orders of all assignments; None where there is none."""

    found: tuple[Order | None, ...] = ()

    @property
    def is_any(self) -> bool:
        """Whether an assignment is ordered."""
        return any(self.found)

    @property
    def arrays(self) -> tuple[I64, I64, I64, list[F64]]:
        """Of each assignment its kind, whether its matrix is symmetric, and whether rows have costs of their own; and
        the matrices, of size 0 where there is no order."""
        kinds, mirrored, own = (np.zeros(len(self.found), np.int64) for _ in range(3))
        kinds[:] = NO_ORDER
        for q, order in enumerate(self.found):
            if order is not None:
                kinds[q] = CYCLE if order.is_cycle else LINE
                mirrored[q], own[q] = np.array_equal(order.near, order.near.T), order.has_own
        return kinds, mirrored, own, [np.empty((0, 0)) if order is None else order.near for order in self.found]


def in_order(core: Core, structure: Structure) -> tuple[Structure, Reduced, Orders]:
    """The structure with the rows of ordered assignments in order, the costs by its places, and the orders."""
    reduced = reduced_costs(core, structure)
    sequences = [_sequence(structure, reduced, q) for q in range(len(structure.sizes))]
    if not any(found is not None for found in sequences):
        return structure, reduced, Orders((None,) * len(sequences))
    variables = structure.variables.copy()
    for q, found in enumerate(sequences):
        if found is not None:
            own = _places(structure, q)
            matrix = variables[own].reshape(len(found.steps), -1)
            variables[own] = (matrix.T if found.are_columns else matrix)[found.steps].ravel()
    sorted_ = replace(structure, variables=variables)
    reduced = reduced_costs(core, sorted_)
    orders = [
        None if found is None else _order(sorted_, reduced, q, found.is_cycle) for q, found in enumerate(sequences)
    ]
    return sorted_, reduced, Orders(tuple(orders))


@dataclass(frozen=True, eq=False)
class _Sequence:
    steps: list[int]
    are_columns: bool
    is_cycle: bool


def _places(structure: Structure, q: int) -> slice:
    at = int(structure.starts[structure.firsts[q]])
    return slice(at, at + int(structure.sizes[q]) ** 2)


def _sequence(structure: Structure, reduced: Reduced, q: int) -> _Sequence | None:
    """The line or cycle of the rows or columns of an assignment that have couplings."""
    size, own = int(structure.sizes[q]), _places(structure, q)
    if not FEWEST_ROWS <= size < MOST_ROWS or (structure.variables[own] < 0).any():
        return None
    for places in (reduced.terms[1], reduced.squares[1]):
        if ((places >= own.start) & (places < own.stop)).any():
            return None
    inside = [(ends >= own.start) & (ends < own.stop) for ends in reduced.pairs[:2]]
    if (inside[0] != inside[1]).any():
        return None
    rows, cols = (ends[inside[0]].astype(np.int64) - own.start for ends in reduced.pairs[:2])
    for are_columns in (False, True):
        a, b = (rows % size, cols % size) if are_columns else (rows // size, cols // size)
        found = _walk(np.minimum(a, b), np.maximum(a, b), size)
        if found is not None:
            return _Sequence(found[0], are_columns, found[1])
    return None


def _walk(a: I64, b: I64, size: int) -> tuple[list[int], bool] | None:
    """The steps along the line or cycle that links a < b make, and whether it is a cycle; None if it is neither."""
    is_linked = np.zeros(size * size, np.bool_)
    is_linked[a * size + b] = True
    links = np.flatnonzero(is_linked)
    if not size - 1 <= len(links) <= size:
        return None
    neighbours: list[list[int]] = [[] for _ in range(size)]
    for low, high in zip((links // size).tolist(), (links % size).tolist(), strict=True):
        neighbours[low].append(high)
        neighbours[high].append(low)
    ends = [step for step in range(size) if len(neighbours[step]) == 1]
    if len(ends) != (0 if len(links) == size else 2) or any(not 1 <= len(some) <= 2 for some in neighbours):
        return None
    steps, before = [ends[0] if ends else 0], -1
    while len(steps) < size:
        further = [step for step in neighbours[steps[-1]] if step != before]
        if not further or (len(steps) > 1 and further[0] == steps[0]):
            return None  # several cycles
        before = steps[-1]
        steps.append(further[0])
    return (steps, not ends) if len(set(steps)) == size else None


def _order(structure: Structure, reduced: Reduced, q: int, is_cycle: bool) -> Order | None:
    """The order of an assignment whose rows are in order; None if couplings differ from row to row."""
    size, own = int(structure.sizes[q]), _places(structure, q)
    is_own = (reduced.pairs[0] >= own.start) & (reduced.pairs[0] < own.stop)
    low, high = (ends[is_own].astype(np.int64) - own.start for ends in reduced.pairs[:2])
    values = reduced.pairs[2][is_own]
    closes = high // size - low // size > 1  # the last row comes before the first
    row, a, b = np.where(closes, size - 1, low // size), np.where(closes, high, low), np.where(closes, low, high)
    at = np.argsort(row * size * size + (a % size) * size + b % size)
    count = size if is_cycle else size - 1
    if len(values) % count or (np.bincount(row, minlength=count) != len(values) // count).any():
        return None
    follows = ((a % size) * (size + 1) + b % size)[at].reshape(count, -1)
    costs = values[at].reshape(count, -1)
    if (follows != follows[0]).any() or (costs != costs[0]).any():
        return None
    near = np.zeros((size + 1) ** 2)
    near[follows[0]] = costs[0]
    base: NDArray[np.float64] = reduced.base[own].reshape(size, size)
    return Order(is_cycle, near.reshape(size + 1, size + 1), bool((base != base[0]).any()))
