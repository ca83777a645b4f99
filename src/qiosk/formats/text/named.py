"""Objectives over named variables, the common part of mathematical programming formats."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from qiosk.errors import UnreadableInput
from qiosk.formats.text.programs import LinearConstraint, Program, Sense
from qiosk.formats.text.quadratic import Quadratic, from_entries, to_entries
from qiosk.model.cost_function import CostFunction, ProblemType

NAMES = "variable_names"
"""The metadata member that maps ids, as strings, to names."""

_NUMBERED = re.compile(r"x_?(0|[1-9][0-9]{0,8})")


@dataclass
class Row:
    """A linear constraint while it is read: coefficients by variable name."""

    sense: Sense
    bound: float = 0.0
    coefficients: dict[str, float] = field(default_factory=dict)

    def add(self, value: float, variable: str) -> None:
        """Add ``value`` times the variable."""
        self.coefficients[variable] = self.coefficients.get(variable, 0.0) + value


@dataclass
class Objective:
    """An objective while it is read: coefficients by variable name, and constraints by their names."""

    form: str
    name: str = ""
    is_maximized: bool = False
    constant: float = 0.0
    linear: dict[str, float] = field(default_factory=dict)
    pairs: dict[tuple[str, str], float] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)

    def add(self, value: float, *names: str) -> None:
        """Add ``value`` times the product of at most two variables; x * x is x."""
        if not names:
            self.constant += value
            return
        for variable in names:
            self.linear.setdefault(variable, 0.0)
        if len(set(names)) == 1:
            self.linear[names[0]] += value
        else:
            first, second = sorted(names)
            self.pairs[first, second] = self.pairs.get((first, second), 0.0) + value

    def program(self, bits: Iterable[str]) -> Program:
        """The objective as a cost to minimize, and the constraints; all variables must be among ``bits``.

        Variables called x0, x1, … without a gap keep their numbers; others are numbered in order of occurrence. Raises
        UnreadableInput for a variable that is not a bit.
        """
        binary = set(bits)
        for row in self.rows.values():
            for variable in row.coefficients:
                self.linear.setdefault(variable, 0.0)
        for variable in self.linear:
            if variable not in binary:
                raise UnreadableInput(f"{self.form}: variable `{variable}` must be binary")
        for variable in sorted(binary - self.linear.keys()):
            self.linear[variable] = 0.0
        names = _numbered(list(self.linear))
        ids = {variable: i for i, variable in enumerate(names)}
        sign = -1.0 if self.is_maximized else 1.0
        cost_function = from_entries(
            ProblemType.pubo,
            len(names),
            np.array([ids[a] for a, _ in self.pairs], np.int64),
            np.array([ids[b] for _, b in self.pairs], np.int64),
            sign * np.array(list(self.pairs.values()), np.float64),
            constant=sign * self.constant,
            linear=sign * np.array([self.linear[variable] for variable in names]),
            name=self.name,
        )
        if not all(_NUMBERED.fullmatch(variable) for variable in names):
            by_id = {str(i): variable for i, variable in enumerate(names)}
            cost_function = replace(cost_function, metadata={**cost_function.metadata, NAMES: by_id})
        constraints = [
            LinearConstraint(name, {ids[v]: c for v, c in row.coefficients.items()}, row.sense, row.bound)
            for name, row in self.rows.items()
        ]
        return Program(cost_function, names, constraints)


def _numbered(names: list[str]) -> list[str]:
    """The names in ascending order of their ids."""
    matches = [_NUMBERED.fullmatch(name) for name in names]
    numbers = [int(match[1]) for match in matches if match]
    if sorted(numbers) == list(range(len(names))):
        return [name for _, name in sorted(zip(numbers, names, strict=True))]
    return names


def to_named(cost_function: CostFunction, form: str, allowed: re.Pattern[str]) -> tuple[Quadratic, list[str]]:
    """The table of a quadratic cost function over bits, and a name for each variable.

    The names are those of the metadata, if they are distinct and match ``allowed`` of the format; otherwise x0, x1, …
    """
    table = to_entries(cost_function, form, ProblemType.pubo)
    given = cost_function.metadata.get(NAMES)
    if isinstance(given, dict):
        names = [given.get(str(i)) for i in range(table.n)]
        if len(set(names)) == table.n and all(isinstance(name, str) and allowed.fullmatch(name) for name in names):
            return table, [str(name) for name in names]
    return table, [f"x{i}" for i in range(table.n)]
