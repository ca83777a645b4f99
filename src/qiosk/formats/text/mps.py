"""The MPS format with its quadratic extensions, limited to bits and linear constraints.

Fields are separated by blanks ("free MPS"), so names contain none. The objective has the term 1/2 x^T Q x: ``QUADOBJ``
contains the lower or upper triangle of Q, ``QMATRIX`` all of it. The right-hand side of the objective is the negative
of its constant.
Source: IBM ILOG CPLEX, "MPS file format: industry standard".
"""

from __future__ import annotations

import re

from qiosk.formats.text.lines import Line, Lines, shown, to_number, word_of
from qiosk.formats.text.named import Objective, Row, to_named
from qiosk.formats.text.programs import Program, Sense
from qiosk.model.cost_function import CostFunction

_FORM = "mps"
_NAMES = re.compile(r"[!-~]{1,200}")
_SENSES: dict[str, Sense] = {"L": "<=", "G": ">=", "E": "=="}
_SECTIONS = ("NAME", "OBJSENSE", "ROWS", "COLUMNS", "RHS", "RANGES", "BOUNDS", "QUADOBJ", "QMATRIX", "ENDATA")


def read(data: bytes) -> CostFunction:
    """The objective of a file without constraints, as a cost to minimize. Raises UnreadableInput."""
    return read_program(data).unconstrained(_FORM)


def read_program(data: bytes) -> Program:
    """The objective of a file, as a cost to minimize, and its constraints. Raises UnreadableInput."""
    return _Reader(Lines(data, _FORM, comments=("*",)), data).read()


class _Reader:
    def __init__(self, lines: Lines, data: bytes) -> None:
        self._lines = lines
        self._raw = data.decode("utf-8-sig").splitlines()
        self._objective = Objective(_FORM)
        self._row: str | None = None
        self._is_integer = False
        self._integers: dict[str, None] = {}
        self._bits: dict[str, None] = {}
        self._upper: dict[str, float] = {}

    def read(self) -> Program:
        section = ""
        for line in self._lines:
            words = line.text.split()
            if not self._raw[line.number - 1][0].isspace():
                section = words[0].upper()
                if section not in _SECTIONS:
                    raise self._lines.fail(line, f"a section must be one of {', '.join(_SECTIONS)}")
                if section == "ENDATA":
                    break
                self._begin(section, words)
            else:
                self._entry(section, line, words)
        ones = {name for name in self._integers if self._upper.get(name, 1.0) == 1.0}
        return self._objective.program([*self._bits, *ones])

    def _begin(self, section: str, words: list[str]) -> None:
        if section == "NAME" and len(words) > 1:
            self._objective.name = words[1]
        elif section == "OBJSENSE" and len(words) > 1:
            self._objective.is_maximized = words[1].upper().startswith("MAX")

    def _entry(self, section: str, line: Line, words: list[str]) -> None:
        match section:
            case "OBJSENSE":
                self._objective.is_maximized = words[0].upper().startswith("MAX")
            case "ROWS":
                self._add_row(line, words)
            case "COLUMNS" if len(words) > 2 and words[1].strip("'\"") == "MARKER":
                self._is_integer = words[2].strip("'\"") == "INTORG"
            case "COLUMNS":
                self._add_column(line, words)
            case "RHS":
                for row, value in self._pairs(line, words[len(words) % 2 :]):
                    if row == self._row:
                        self._objective.add(-value)
                    else:
                        self._constraint(line, row).bound = value
            case "RANGES":
                raise self._lines.fail(line, "a range must be written as two constraints")
            case "BOUNDS":
                self._add_bound(line, words)
            case "QUADOBJ" | "QMATRIX":
                self._add_product(line, words, 0.5 if section == "QMATRIX" else 1.0)
            case _:
                raise self._lines.fail(line, "a section must come first, and this one must be empty")

    def _add_row(self, line: Line, words: list[str]) -> None:
        if len(words) != 2 or words[0].upper() not in ("N", "E", "L", "G"):
            raise self._lines.fail(line, "a row must have a type (N, E, L or G) and a name")
        kind, name = words[0].upper(), words[1]
        if name == self._row or name in self._objective.rows:
            raise self._lines.fail(line, "a row must have a name that no other has")
        if kind != "N":
            self._objective.rows[name] = Row(_SENSES[kind])
        elif self._row is not None:
            raise self._lines.fail(line, f"there must be one objective, which is `{self._row}`")
        else:
            self._row = name

    def _constraint(self, line: Line, row: str) -> Row:
        if row not in self._objective.rows:
            raise self._lines.fail(line, f"the row must be the objective `{self._row}` or a constraint")
        return self._objective.rows[row]

    def _add_column(self, line: Line, words: list[str]) -> None:
        name = words[0]
        if self._is_integer:
            self._integers[name] = None
        for row, value in self._pairs(line, words[1:]):
            if row == self._row:
                self._objective.add(value, name)
            else:
                self._constraint(line, row).add(value, name)

    def _pairs(self, line: Line, words: list[str]) -> list[tuple[str, float]]:
        values = [to_number(word) for word in words[1::2]]
        if not words or len(words) % 2 or None in values:
            raise self._lines.fail(line, "must have names and numbers in turn")
        return [(row, value) for row, value in zip(words[::2], values, strict=True) if value is not None]

    def _add_bound(self, line: Line, words: list[str]) -> None:
        kind = words[0].upper()
        has_value = kind in ("UP", "LO", "UI", "LI")
        value = to_number(words[-1]) if has_value else 0.0
        name = words[-2] if has_value and len(words) > 2 else words[-1]
        if kind == "BV":
            # BV BOUND COLUMN, in some files with a value at the end
            self._bits[words[2] if len(words) > 2 else words[-1]] = None
        elif has_value and value is not None and kind in ("UP", "UI"):
            self._upper[name] = value
        elif not has_value or value != 0.0:
            raise self._lines.fail(line, "bounds must be BV, UP 1 or LO 0, for bits")

    def _add_product(self, line: Line, words: list[str], share: float) -> None:
        value = to_number(words[2]) if len(words) == 3 else None
        if value is None:
            raise self._lines.fail(line, "must have two columns and a number")
        first, second = words[:2]
        # 1/2 x^T Q x: an entry on the diagonal counts half; off the diagonal, one of a triangle counts for both
        self._objective.add(value * (0.5 if first == second else share), first, second)


def write(cost_function: CostFunction) -> bytes:
    """The file of a quadratic cost function. Raises InvalidValue for one of higher degree."""
    table, names = to_named(cost_function, _FORM, _NAMES)
    text = [f"NAME {word_of(cost_function.name)}", "ROWS", " N cost"]
    text += ["COLUMNS", " MARKER 'MARKER' 'INTORG'"]
    text += [f" {name} cost {shown(h)}" for name, h in zip(names, table.linear.tolist(), strict=True)]
    text += [" MARKER 'MARKER' 'INTEND'"]
    if table.constant:
        text += ["RHS", f" RHS cost {shown(-table.constant)}"]
    text += ["BOUNDS", *(f" BV BOUND {name}" for name in names)]
    if len(table.values):
        text += ["QUADOBJ", *(f" {names[i]} {names[j]} {shown(value)}" for i, j, value in table.pairs())]
    return "\n".join([*text, "ENDATA", ""]).encode()
