"""The mathematical programs of ``lp``, ``mps`` and ``qplib`` files as the parts of a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from qiosk.errors import InvalidValue
from qiosk.formats.programs.implied_bounds import with_implied_bounds
from qiosk.formats.programs.implied_integers import with_implied_integers
from qiosk.formats.programs.program import Column, Program, Row
from qiosk.modeling.expression import Condition, Expression, total


class Builder(Protocol):
    """What is needed of a model to build it."""

    def bit(self, name: str) -> Expression:
        """A variable that is 0 or 1."""
        ...

    def integer(self, name: str, low: float, high: float) -> Expression:
        """An integer."""
        ...

    def grid(self, name: str, low: float, high: float, step: float) -> Expression:
        """A number on a grid."""
        ...

    def minimize(self, objective: Expression) -> None:
        """Set the objective."""
        ...

    def maximize(self, objective: Expression) -> None:
        """Set the objective."""
        ...

    def add(self, condition: Condition, name: str, weight: float | None) -> None:
        """Add a constraint."""
        ...


def fill(model: Builder, program: Program, penalty: float | None, grid: float | None) -> None:
    """Build a model from a program. Raises InvalidValue for a column that cannot be a variable of a model."""
    whole = with_implied_integers(program) if grid is None else program
    values = [_value(model, column, grid) for column in with_implied_bounds(whole).columns]
    objective = _objective_of(program, values)
    if program.is_maximized:
        model.maximize(objective)
    else:
        model.minimize(objective)
    for name, condition in _conditions_of(program, values):
        model.add(condition, name, penalty)


def _value(model: Builder, column: Column, grid: float | None) -> Expression:
    if not column.is_integer and not column.is_fixed and grid is None:
        raise InvalidValue(
            f"variable `{column.name}`: is continuous; put it on a grid (`--grid STEP`, `Model.from_file(grid=…)`)"
        )
    if not (np.isfinite(column.low) and np.isfinite(column.high)):
        raise InvalidValue(f"variable `{column.name}`: must have two bounds, found {column.low:g} to {column.high:g}")
    if column.is_bit:
        return model.bit(column.name)
    if column.is_integer:
        return model.integer(column.name, column.low, column.high)
    return model.grid(column.name, column.low, column.high, 1.0 if grid is None else grid)


def _objective_of(program: Program, values: Sequence[Expression]) -> Expression:
    """The objective over the expressions of the columns."""
    linear = (c * values[i] for i, c in enumerate(program.linear.tolist()) if c)
    entries = zip(program.rows.tolist(), program.cols.tolist(), program.values.tolist(), strict=True)
    products = (c * (values[i] * values[j]) for i, j, c in entries)
    return total([program.constant, total(linear), total(products)])


def _conditions_of(program: Program, values: Sequence[Expression]) -> Iterator[tuple[str, Condition]]:
    """The constraints by their names. A row with two bounds becomes two, ``… low`` and ``… high``; a free row none."""
    for row in program.constraints:
        products = (c * (values[i] * values[j]) for (i, j), c in row.products.items())
        expression = total([*(c * values[i] for i, c in row.coefficients.items()), *products])
        for name, condition in _conditions(row, expression):
            if condition.expression.terms:
                yield name, condition
            elif condition.violation({}) > 0:
                raise InvalidValue(f"constraint `{row.name}`: can never hold: its variables have one value each")


def _conditions(row: Row, expression: Expression) -> Iterator[tuple[str, Condition]]:
    if row.low == row.high:
        yield row.name, expression == row.low
        return
    has_both = row.low > -np.inf and row.high < np.inf
    if row.low > -np.inf:
        yield f"{row.name} low" if has_both else row.name, expression >= row.low
    if row.high < np.inf:
        yield f"{row.name} high" if has_both else row.name, expression <= row.high
