"""The LP format of CPLEX and others, limited to bits and linear constraints.

Source: IBM ILOG CPLEX, "LP file format: algebraic representation".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from qiosk.errors import UnreadableInput
from qiosk.formats.text.lines import Lines, shown
from qiosk.formats.text.named import Objective, Row, to_named
from qiosk.formats.text.programs import Program, Sense
from qiosk.model.cost_function import CostFunction

_FORM = "lp"
_SENSES = {"minimize": False, "minimise": False, "minimum": False, "min": False}
_SENSES |= {"maximize": True, "maximise": True, "maximum": True, "max": True}
_CONSTRAINTS = ("subject to", "such that", "st", "s.t.", "st.")
_BINARY = ("binary", "binaries", "bin")
_SECTIONS = (*_CONSTRAINTS, *_BINARY, "bounds", "bound", "general", "generals", "gen", "end")

_NAME = r"[A-Za-z!\"#$%&(),;?@_'`{}~][A-Za-z0-9!\"#$%&(),;?@_'`{}~.]*"
_BOUND = re.compile(rf"(0(\.0*)?\s*<=?\s*)?{_NAME}\s*<=?\s*1(\.0*)?|{_NAME}\s*>=?\s*0(\.0*)?")
_NAMES = re.compile(r"(?![eE][0-9])[A-Za-z_][A-Za-z0-9_.]{0,200}")
_TOKEN = re.compile(
    rf"(?P<number>(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)|(?P<name>{_NAME})|(?P<sign>[-+*^/:\[\]])|(?P<rest>\S)",
    re.ASCII,
)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def read(data: bytes) -> CostFunction:
    """The objective of a file without constraints, as a cost to minimize. Raises UnreadableInput."""
    return read_program(data).unconstrained(_FORM)


def read_program(data: bytes) -> Program:
    """The objective of a file, as a cost to minimize, and its constraints. Raises UnreadableInput."""
    lines = Lines(data, _FORM, comments=("\\",))
    first = lines.take("minimize or maximize")
    word, *rest = _without_comment(first.text).split(maxsplit=1)
    if word.lower() not in _SENSES:
        raise lines.fail(first, "must begin with minimize or maximize")
    sections: dict[str, list[_Token]] = {"objective": _tokens("".join(rest), first.number)}
    section = "objective"
    for line in lines:
        text = _without_comment(line.text)
        if " ".join(text.lower().split()) in _SECTIONS:
            section = " ".join(text.lower().split())
            sections.setdefault(section, [])
            continue
        if section.startswith("bound") and not _BOUND.fullmatch(text):
            raise lines.fail(line, "bounds must be 0 and 1, such as 0 <= x <= 1")
        sections[section] += _tokens(text, line.number)
    objective = Objective(_FORM, is_maximized=_SENSES[word.lower()])
    _Expression(sections["objective"], objective).read()
    for name in _CONSTRAINTS:
        _Constraints(sections.get(name, []), objective).read()
    return objective.program(_bits(sections))


def _without_comment(text: str) -> str:
    return text.partition("\\")[0].strip()


def _tokens(text: str, line: int) -> list[_Token]:
    return [_Token(str(match.lastgroup), match[0], line) for match in _TOKEN.finditer(text)]


def _bits(sections: dict[str, list[_Token]]) -> Iterator[str]:
    for section, tokens in sections.items():
        if section in _BINARY:
            for token in tokens:
                if token.kind != "name":
                    raise _wrong(token, "must be the name of a binary variable")
                yield token.text


def _wrong(token: _Token, rule: str) -> UnreadableInput:
    return UnreadableInput(f"{_FORM}: line {token.line}: {rule}, found {token.text[:60]!r}")


class _Expression:
    """Reads ``name: 3 x + 2 - y + [ x^2 + 4 x * y ] / 2``."""

    _section = "objective"

    def __init__(self, tokens: list[_Token], objective: Objective) -> None:
        self._tokens = tokens
        self._objective = objective
        self._at = 0

    def read(self) -> None:
        """Add the expression to the objective."""
        if [token.text for token in self._tokens[1:2]] == [":"]:
            self._at = 2
        while self._at < len(self._tokens):
            sign = self._sign()
            if self._accept("["):
                self._bracket(sign)
            else:
                value, name = self._term()
                self._objective.add(sign * value, *([] if name is None else [name]))

    def _term(self) -> tuple[float, str | None]:
        """A coefficient, 1 if it is missing, and its variable, None for a constant."""
        coefficient, name = self._number(), self._name()
        if coefficient is None and name is None:
            raise self._unexpected("a number or a variable")
        return 1.0 if coefficient is None else coefficient, name

    def _bracket(self, sign: float) -> None:
        """The quadratic terms of ``[ x^2 + 4 x * y ] / 2`` after the opening bracket."""
        found: list[tuple[float, str, str]] = []
        while not self._accept("]"):
            value = self._sign()
            coefficient = self._number()
            value *= 1.0 if coefficient is None else coefficient
            first = self._name()
            if first is None:
                raise self._unexpected("a variable")
            if self._accept("^"):
                if self._number() != 2.0:
                    raise self._unexpected("the exponent 2", back=1)
                second: str | None = first
            elif self._accept("*"):
                second = self._name()
            else:
                raise self._unexpected("^ 2 or * and a variable")
            if second is None:
                raise self._unexpected("a variable")
            found.append((value, first, second))
        divisor = 1.0
        if self._accept("/"):
            divisor = self._number() or 0.0
            if divisor != 2.0:
                raise self._unexpected("2 after the /", back=1)
        for value, first, second in found:
            self._objective.add(sign * value / divisor, first, second)

    def _sign(self) -> float:
        sign = 1.0
        while self._peek() in ("+", "-"):
            sign = -sign if self._peek() == "-" else sign
            self._at += 1
        return sign

    def _number(self) -> float | None:
        if self._at < len(self._tokens) and self._tokens[self._at].kind == "number":
            self._at += 1
            value = float(self._tokens[self._at - 1].text)
            if value == float("inf"):
                raise self._unexpected("a number in the range of float64", back=1)
            return value
        return None

    def _name(self) -> str | None:
        if self._at < len(self._tokens) and self._tokens[self._at].kind == "name":
            self._at += 1
            return self._tokens[self._at - 1].text
        return None

    def _accept(self, text: str) -> bool:
        is_there = self._peek() == text
        self._at += is_there
        return is_there

    def _peek(self) -> str | None:
        return self._tokens[self._at].text if self._at < len(self._tokens) else None

    def _unexpected(self, wanted: str, back: int = 0) -> UnreadableInput:
        at = self._at - back
        if at >= len(self._tokens):
            return UnreadableInput(f"{_FORM}: the {self._section} ends where {wanted} should be")
        return _wrong(self._tokens[at], f"must be {wanted}")


class _Constraints(_Expression):
    """Reads constraints ``name: 3 x - y <= 2``, one after the other."""

    _section = "list of constraints"

    def read(self) -> None:
        """Add the constraints to the objective's rows."""
        while self._at < len(self._tokens):
            name = f"c{len(self._objective.rows)}"
            if [token.text for token in self._tokens[self._at + 1 : self._at + 2]] == [":"]:
                name = self._tokens[self._at].text
                self._at += 2
            row = Row("==")
            while self._peek() not in ("<", ">", "="):
                self._add_term(row)
            row.sense = self._sense()
            sign = self._sign()
            bound = self._number()
            if bound is None:
                raise self._unexpected("a number")
            row.bound += sign * bound
            if name in self._objective.rows:
                raise self._unexpected(f"a name that no other constraint has, not `{name}`", back=1)
            self._objective.rows[name] = row

    def _add_term(self, row: Row) -> None:
        sign = self._sign()
        if self._peek() == "[":
            raise self._unexpected("a linear term")
        value, variable = self._term()
        if variable is None:
            row.bound -= sign * value
        else:
            row.add(sign * value, variable)

    def _sense(self) -> Sense:
        """``<``, ``<=``, ``=<``, and so on."""
        found = ""
        while self._peek() in ("<", ">", "="):
            found += self._tokens[self._at].text
            self._at += 1
        senses: dict[str, Sense] = {"<": "<=", "<=": "<=", "=<": "<=", ">": ">=", ">=": ">=", "=>": ">=", "=": "=="}
        if found not in senses:
            raise self._unexpected("<=, >= or =", back=1)
        return senses[found]


def write(cost_function: CostFunction) -> bytes:
    """The file of a quadratic cost function. Raises InvalidValue for one of higher degree."""
    table, names = to_named(cost_function, _FORM, _NAMES)
    text = ["minimize", " cost:"]
    text += [f"  {_signed(h)} {names[i]}" for i, h in enumerate(table.linear.tolist()) if h]
    if len(table.values):
        pairs = (f"  {_signed(2 * value)} {names[i]} * {names[j]}" for i, j, value in table.pairs())
        text += ["  + [", *pairs, "  ] / 2"]
    if table.constant:
        text.append(f"  {_signed(table.constant)}")
    text += ["subject to", "binary", *(f" {name}" for name in names), "end", ""]
    return "\n".join(text).encode()


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'} {shown(abs(value))}"
