"""How one-hot groups divide the variables of a problem into choices and assignments.

A *choice* has some *places*, of which exactly one is taken. A place holds a variable, or nothing: an at-most-one group
is a choice with a place for nothing, and so is a free variable. Every variable has one place, so a configuration is one
place for each choice.

An *assignment* is N choices of N places each, whose taken places are in different columns: a permutation. Its rows and
its columns are groups that cross each other in one variable each. There may be more columns than rows, or more rows
than columns, if at most one is set in enough of the longer side's groups: rows or columns without variables then make
it square. So many pairs are always matched; problems where their number varies are no assignments, because swaps would
not visit all configurations equally often.

Groups that fit neither, because they overlap in other ways, are kept by the penalty terms of the problem alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from qiosk.model.constraints.one_hot import OneHot
from qiosk.model.cost_function import I64

NOTHING, FORBIDDEN = -1, -2
"""Places without a variable: one that may be taken, and one that may not."""

Group = tuple[list[int], bool]


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """W places, C choices, A assignments. The choices of assignments come first, row after row."""

    variables: I64  # (W,) of the places, or NOTHING, or FORBIDDEN
    starts: I64  # (C + 1,) places of the choices
    firsts: I64  # (A,) first choice of each assignment
    sizes: I64  # (A,) its rows, as many as its columns

    @property
    def n_choices(self) -> int:
        """Number of choices."""
        return len(self.starts) - 1

    @property
    def n_assigned(self) -> int:
        """Number of choices that are rows of assignments."""
        return int(self.sizes.sum())

    @property
    def log_configurations(self) -> float:
        """ln of the number of configurations."""
        total = float(np.log(np.diff(self.starts)[self.n_assigned :]).sum())
        for first, size in zip(self.firsts.tolist(), self.sizes.tolist(), strict=True):
            at = self.starts[first]
            matrix = self.variables[at : at + size * size].reshape(size, size)
            empty = [line for line in (*matrix, *matrix.T) if (line < 0).all()]
            free = np.count_nonzero(empty[0] == NOTHING) if empty else 0
            total += lgamma(size - len(empty) + 1) + lgamma(free + 1)
            total -= lgamma(len(empty) + 1) + lgamma(free - len(empty) + 1)
        return total

    def owners(self) -> tuple[I64, I64]:
        """(W,) choice of each place; and its column, numbered through all assignments, -1 outside of them."""
        choice = np.repeat(np.arange(self.n_choices), np.diff(self.starts))
        column = np.full(len(choice), -1, np.int64)
        before = 0
        for first, size in zip(self.firsts.tolist(), self.sizes.tolist(), strict=True):
            at = self.starts[first]
            column[at : at + size * size] = before + np.tile(np.arange(size), size)
            before += size
        return choice, column


_PASSES: tuple[Callable[[Group], bool], ...] = (
    lambda group: True,
    lambda group: group[1] or len(group[0]) > 2,
    lambda group: group[1],
)


def structure_of(one_hot: OneHot, n: int) -> Structure:
    """The choices and assignments of ``n`` variables. Variables that are never set have no place."""
    never = set(one_hot.never.tolist())
    groups: list[Group] = [([i for i in members if i not in never], exact) for members, exact in one_hot.groups()]
    groups = [group for group in groups if group[0]]
    matrices, others = list[NDArray[np.int64]](), groups
    for is_tried in _PASSES:  # a further constraint must not hide the assignment whose variables it is about
        found, rest = _assignments([group for group in others if is_tried(group)])
        matrices += found
        others = [*rest, *(group for group in others if not is_tried(group))]
    choices, firsts, sizes = list[list[int]](), list[int](), list[int]()
    for matrix in matrices:
        firsts.append(len(choices))
        sizes.append(len(matrix))
        choices += matrix.tolist()
    taken = never.union(*(set(row) for row in choices))
    left = list[list[int]]()
    for members, is_exact in _in_order(others):
        if taken.isdisjoint(members):
            choices.append(members if is_exact else [NOTHING, *members])
            taken.update(members)
        else:
            left.append(members)
    for members in left:  # at most one of those that are in no choice yet
        free = [i for i in members if i not in taken]
        if len(free) > 1:
            choices.append([NOTHING, *free])
            taken.update(free)
    choices += [[NOTHING, i] for i in range(n) if i not in taken]
    return Structure(
        variables=np.array([place for choice in choices for place in choice], np.int64),
        starts=np.cumsum([0, *map(len, choices)], dtype=np.int64),
        firsts=np.array(firsts, np.int64),
        sizes=np.array(sizes, np.int64),
    )


def _in_order(groups: list[Group]) -> list[Group]:
    """Exact groups first, then longer ones; equal ones as they were declared."""
    return sorted(groups, key=lambda group: (not group[1], -len(group[0])))


def _assignments(groups: list[Group]) -> tuple[list[NDArray[np.int64]], list[Group]]:
    """The square matrices of assignments, and the groups that are part of none."""
    homes: dict[int, list[int]] = defaultdict(list)
    for g, (members, _) in enumerate(groups):
        for i in members:
            homes[i].append(g)
    sides: dict[int, int] = {}
    matrices, used = list[NDArray[np.int64]](), set[int]()
    for start in range(len(groups)):
        if start in sides:
            continue
        component = _component(groups, homes, start, sides)
        if component is None:
            continue
        matrix = _matrix(groups, homes, component, sides)
        if matrix is not None:
            matrices.append(matrix)
            used.update(component)
    return matrices, [group for g, group in enumerate(groups) if g not in used]


def _component(groups: list[Group], homes: dict[int, list[int]], start: int, sides: dict[int, int]) -> list[int] | None:
    """The groups that are connected with one, each on side 0 or 1 of those it crosses.

    None unless every variable is in two of them, one of each side.
    """
    sides[start] = 0
    component, stack, is_sound = [start], [start], True
    while stack:
        g = stack.pop()
        for i in groups[g][0]:
            is_sound &= len(homes[i]) == 2
            for other in homes[i]:
                if other not in sides:
                    sides[other] = 1 - sides[g]
                    component.append(other)
                    stack.append(other)
                elif other != g:
                    is_sound &= sides[other] != sides[g]
    return component if is_sound else None


def _matrix(
    groups: list[Group], homes: dict[int, list[int]], component: list[int], sides: dict[int, int]
) -> NDArray[np.int64] | None:
    """(N, N) places of an assignment; None unless every row crosses every column in one variable."""
    rows = sorted(g for g in component if sides[g] == 0)
    columns = sorted(g for g in component if sides[g] == 1)
    fewest = max(sum(groups[g][1] for g in rows), sum(groups[g][1] for g in columns))
    if any(len(groups[g][0]) != len(columns) for g in rows) or fewest != min(len(rows), len(columns)):
        return None
    size = len(rows) + len(columns) - fewest
    matrix = np.full((size, size), NOTHING, np.int64)
    place = {g: k for k, g in enumerate(columns)}
    for r, g in enumerate(rows):
        for i in groups[g][0]:
            column = place[next(other for other in homes[i] if other != g)]
            if matrix[r, column] != NOTHING:
                return None
            matrix[r, column] = i
        if groups[g][1]:
            matrix[r, len(columns) :] = FORBIDDEN
    for g, column in place.items():
        if groups[g][1]:
            matrix[len(rows) :, column] = FORBIDDEN
    return matrix
