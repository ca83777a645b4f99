"""Mathematical programs: an objective over bounded columns, and linear or quadratic constraints on them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from qiosk.errors import UnreadableInput
from qiosk.formats.text.quadratic import from_entries
from qiosk.model.cost_function import F64, I64, CostFunction, ProblemType

NAMES = "variable_names"
"""The metadata member that maps ids, as strings, to names."""

_NUMBERED = re.compile(r"x_?(0|[1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True)
class Column:
    """A variable from ``low`` to ``high``, inclusive; either may be infinite. Bounds of an integer are integers."""

    name: str
    low: float
    high: float
    is_integer: bool = True

    @property
    def is_fixed(self) -> bool:
        """Whether it has one value only."""
        return self.low == self.high

    @property
    def is_bit(self) -> bool:
        """Whether it is 0 or 1."""
        return self.is_integer and (self.low, self.high) == (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Row:
    """low <= sum of coefficient * column + sum of coefficient * column * column <= high.

    ``coefficients`` are by the number of the column, those of ``products`` by the numbers of two columns, which may be
    equal. A free row, whose bounds are both infinite, restricts nothing.
    """

    name: str
    coefficients: Mapping[int, float]
    low: float
    high: float
    products: Mapping[tuple[int, int], float] = field(default_factory=dict)

    @property
    def is_free(self) -> bool:
        """Whether it restricts nothing."""
        return self.low == -np.inf and self.high == np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """constant + sum linear[i] x_i + sum values[k] x_rows[k] x_cols[k], and rows that must hold.

    Shapes: linear (n,) for n columns; rows, cols and values (P,), where rows[k] may equal cols[k].
    """

    form: str
    name: str
    columns: Sequence[Column]
    is_maximized: bool
    constant: float
    linear: F64
    rows: I64
    cols: I64
    values: F64
    constraints: Sequence[Row] = field(default_factory=tuple)

    def unconstrained(self) -> CostFunction:
        """The objective as a cost to minimize over bits; columns with one value are replaced by it.

        Raises UnreadableInput if there are constraints, naming the first, or columns with other values than 0 and 1.
        """
        rows = [row for row in self.constraints if not row.is_free]
        if rows:
            raise UnreadableInput(
                f"{self.form}: constraints must be turned into penalties (`--penalty auto`, `Model.from_file`), found "
                f"{len(rows)}, the first is `{rows[0].name}`"
            )
        for column in self.columns:
            if not column.is_bit and not column.is_fixed:
                raise UnreadableInput(
                    f"{self.form}: variable `{column.name}` must be binary, or turned into bits (`--penalty auto`, "
                    f"`Model.from_file`), found {column.low:g} to {column.high:g}"
                    f"{'' if column.is_integer else ', continuous'}"
                )
        return self._over_bits()

    def _over_bits(self) -> CostFunction:
        is_bit = np.array([column.is_bit for column in self.columns], bool)
        fixed = np.array([0.0 if column.is_bit else column.low for column in self.columns])
        sign = -1.0 if self.is_maximized else 1.0
        left, right = is_bit[self.rows], is_bit[self.cols]
        constant = self.constant + float(self.linear @ fixed)
        constant += float(np.sum(self.values * fixed[self.rows] * fixed[self.cols], where=~left & ~right))
        linear = self.linear.copy()
        for one, other, is_mixed in ((self.rows, self.cols, left & ~right), (self.cols, self.rows, right & ~left)):
            np.add.at(linear, one[is_mixed], self.values[is_mixed] * fixed[other[is_mixed]])
        ids = np.cumsum(is_bit) - 1
        both = left & right
        cost_function = from_entries(
            ProblemType.pubo,
            int(is_bit.sum()),
            ids[self.rows[both]],
            ids[self.cols[both]],
            sign * self.values[both],
            constant=sign * constant,
            linear=sign * linear[is_bit],
            name=self.name,
        )
        names = [column.name for column in self.columns if column.is_bit]
        if all(map(_NUMBERED.fullmatch, names)):
            return cost_function
        by_id = {str(i): name for i, name in enumerate(names)}
        return replace(cost_function, metadata={**cost_function.metadata, NAMES: by_id})


def numbered(names: Sequence[str]) -> list[int]:
    """The order in which columns become variables: x0, x1, … without a gap by their numbers, others as they are."""
    matches = [_NUMBERED.fullmatch(name) for name in names]
    numbers = [int(match[1]) for match in matches if match]
    if sorted(numbers) == list(range(len(names))):
        return sorted(range(len(names)), key=numbers.__getitem__)
    return list(range(len(names)))


def distinct(names: Sequence[str]) -> list[str]:
    """The names, later ones of equals with a number: ``capacity (2)``."""
    found: dict[str, None] = {}
    taken = set(names)
    for name in names:
        chosen, count = name, 1
        while chosen in found or (count > 1 and chosen in taken):
            count += 1
            chosen = f"{name} ({count})"
        found[chosen] = None
    return list(found)
