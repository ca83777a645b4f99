"""The MPS format with its quadratic extensions: HiGHS reads it, and bits with a quadratic objective are written.

What HiGHS misreads without a warning is refused: numbers that are none, which it takes for 0; columns that only occur
in bounds; several sets of right-hand sides, ranges or bounds, which it merges; an objective sense or name that it
ignores.
The right-hand side of the objective is the negative of its constant. ``QUADOBJ`` contains the lower or upper triangle
of Q in 1/2 x^T Q x, ``QMATRIX`` all of it. ``QCMATRIX`` contains all of Q in the term x^T Q x of a row; it is read
here, because HiGHS does not. Source: IBM ILOG CPLEX, "MPS file format: industry standard".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from qiosk.errors import UnreadableInput
from qiosk.formats.programs import highs
from qiosk.formats.programs.brackets import Terms
from qiosk.formats.programs.named import to_named
from qiosk.formats.programs.program import Program, Row
from qiosk.formats.text.lines import Line, shown, to_number, word_of
from qiosk.model.cost_function import CostFunction

_FORM = "mps"
_SECTIONS = ("NAME", "ROWS", "COLUMNS", "RHS", "RANGES", "BOUNDS", "OBJSENSE", "OBJNAME", "OBJECT", "BOUND", "ENDATA")
_KNOWN = (
    *_SECTIONS,
    "QUADOBJ",
    "QMATRIX",
    "QSECTION",
    "QCMATRIX",
    "CSECTION",
    "INDICATORS",
    "SETS",
    "SOS",
    "SOS1",
    "SOS2",
)
_PRODUCTS = "QCMATRIX"
_MARKERS = r"'?(MARKER|INTORG|INTEND)'?"
_NAMES = re.compile(rf"(?!({'|'.join(_SECTIONS)}|{_MARKERS}|[*$-])$)(?![*$])[!-~]{{1,200}}", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?|inf(inity)?)", re.IGNORECASE)
_ROWS = ("N", "E", "L", "G")
_WITHOUT_VALUE = ("FR", "MI", "PL", "BV")
_WITH_VALUE = ("UP", "LO", "FX", "UI", "LI", "SC", "SI")


def read(data: bytes) -> CostFunction:
    """The objective of a file without constraints, as a cost to minimize over bits. Raises UnreadableInput."""
    return read_program(data).unconstrained()


def read_program(data: bytes) -> Program:
    """The objective of a file and its constraints. Raises UnreadableInput, MissingExtra."""
    text = highs.read_text(data, _FORM)
    check = _Check()
    program = highs.parse(check.run(text), _FORM)
    program = replace(program, name=check.name, constraints=_with_products(program, check.products))
    has_blanks = any(" " in column.name for column in program.columns)  # fixed fields: words are not what they seem
    for column in program.columns:
        if not has_blanks and column.name not in check.columns:
            raise UnreadableInput(f"{_FORM}: column `{column.name}` occurs in the bounds only")
    return program


def _with_products(program: Program, products: Mapping[str, Terms]) -> Sequence[Row]:
    """The rows, with products of columns that are given by the name of the row. Raises UnreadableInput."""
    place = {column.name: i for i, column in enumerate(program.columns)}
    unknown = products.keys() - {row.name for row in program.constraints}
    unknown |= {name for terms in products.values() for term in terms for name in term[:2]} - place.keys()
    if unknown:
        raise UnreadableInput(f"{_FORM}: QCMATRIX must name rows with a bound and columns, found `{min(unknown)}`")
    return [
        replace(row, products=highs.products_of([(1.0, products[row.name])], place)) if row.name in products else row
        for row in program.constraints
    ]


class _Check:
    """Finds what HiGHS would misread. ``columns`` are the names in the section of columns, ``name`` is the file's.

    ``products`` are the quadratic terms of rows, which HiGHS does not read.
    """

    def __init__(self) -> None:
        self.name = ""
        self.columns: set[str] = set()
        self.products: dict[str, list[tuple[str, str, float]]] = {}
        self._row = ""
        self._objective: str | None = None
        self._wanted: str | None = None
        self._sets: dict[str, str] = {}

    def run(self, text: str) -> str:
        """The text to parse: without remarks after a ``$``, and the objective sense on a line of its own."""
        lines = text.splitlines()
        section = ""
        for k, raw in enumerate(lines):
            words = raw.split()
            if not words or raw.startswith("*"):
                lines[k] = "*"  # at blank lines HiGHS may never end, where it takes the fields for fixed ones
                continue
            line = Line(k + 1, raw.strip())
            if raw[0].isspace():
                remark = next((i for i, word in enumerate(words) if i > 1 and word.startswith("$")), None)
                if remark is not None:
                    words = words[:remark]
                    lines[k] = f" {' '.join(words)}"
                self._entry(section, line, words)
                if section == _PRODUCTS:
                    lines[k] = "*"
                continue
            section = words[0].upper()
            if section not in _KNOWN:
                raise _wrong(line, "a line that begins without a blank must be a section")
            if section == "NAME" and len(words) > 1:
                self.name = words[1]
            if section == _PRODUCTS:
                lines[k] = "*"
                self._begin_products(line, words)
            if section == "OBJSENSE" and len(words) == 2:
                self._check_sense(line, words[1])
                lines[k] = f"OBJSENSE\n    {words[1]}"
        if self._wanted is not None and self._wanted != self._objective:
            raise UnreadableInput(f"{_FORM}: the objective must be the first free row, found `{self._wanted}`")
        return "\n".join(lines) + "\n"

    def _entry(self, section: str, line: Line, words: list[str]) -> None:
        match section:
            case "ROWS":
                self._check_kind(line, words, _ROWS, least=2)
                if words[0].upper() == "N" and self._objective is None:
                    self._objective = words[-1]
            case "COLUMNS":
                if len(words) > 2 and words[1].strip("'\"") == "MARKER":
                    return
                if len(words) < 3:
                    raise _wrong(line, "a column must have a name, and names of rows and numbers in turn")
                self.columns.add(words[0])
                self._check_numbers(line, words[2::2])
            case "RHS" | "RANGES":
                has_set = len(words) % 2 == 1
                if has_set:
                    self._check_set(section, line, words[0])
                self._check_numbers(line, words[1 + has_set :: 2])
            case "BOUNDS":
                self._check_kind(line, words, (*_WITH_VALUE, *_WITHOUT_VALUE), least=2)
                if words[0].upper() in _WITH_VALUE:
                    if len(words) > 3:
                        self._check_set(section, line, words[1])
                    self._check_numbers(line, words[-1:])
            case "QCMATRIX":
                if len(words) != 3:
                    raise _wrong(line, "must be two columns and a number")
                self._check_numbers(line, words[2:])
                self.products[self._row].append((words[0], words[1], _value(words[2])))
            case "QUADOBJ" | "QMATRIX" | "QSECTION":
                self._check_numbers(line, words[2:])
            case "OBJSENSE":
                self._check_sense(line, words[0])
            case "OBJNAME":
                self._wanted = words[0]

    def _begin_products(self, line: Line, words: list[str]) -> None:
        if len(words) != 2:
            raise _wrong(line, f"{_PRODUCTS} must name one row")
        self._row = words[1]
        if self._row in self.products:
            raise _wrong(line, f"a row must have one {_PRODUCTS}")
        self.products[self._row] = []

    def _check_kind(self, line: Line, words: list[str], known: tuple[str, ...], *, least: int) -> None:
        if words[0].upper() not in known or len(words) < least:
            raise _wrong(line, f"must begin with one of {', '.join(known)}, before a name")

    def _check_sense(self, line: Line, word: str) -> None:
        if not re.fullmatch(r"(max(imi[sz]e|imum)?|min(imi[sz]e|imum)?)", word, re.IGNORECASE):
            raise _wrong(line, "the sense must be MIN or MAX")

    def _check_set(self, section: str, line: Line, name: str) -> None:
        if self._sets.setdefault(section, name) != name:
            raise _wrong(line, f"a second set in {section}, after `{self._sets[section]}`, is not supported")

    def _check_numbers(self, line: Line, words: list[str]) -> None:
        for word in words:
            if not _NUMBER.fullmatch(word):
                raise _wrong(line, f"must have names and numbers, and `{word[:30]}` is no number")


def _value(word: str) -> float:
    value = to_number(re.sub("[dD]", "e", word))
    if value is None:
        raise UnreadableInput(f"{_FORM}: coefficients of products must be finite, found {word!r}")
    return value


def _wrong(line: Line, rule: str) -> UnreadableInput:
    return UnreadableInput(f"{_FORM}: line {line.number}: {rule}, found {line.text[:60]!r}")


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
