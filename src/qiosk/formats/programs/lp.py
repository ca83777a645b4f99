"""The LP format of CPLEX and others: HiGHS reads it, and bits with a quadratic objective are written.

The module ``brackets`` reads quadratic terms of constraints.

Two misreadings of HiGHS are refused. It takes a section that it does not know, after the list of binaries, for names of
variables; and bounds that come after that list replace 0 and 1. Source: IBM ILOG CPLEX, "LP file format: algebraic
representation".
"""

from __future__ import annotations

import re

from qiosk.errors import UnreadableInput
from qiosk.formats.programs import highs
from qiosk.formats.programs.brackets import without_brackets
from qiosk.formats.programs.named import to_named
from qiosk.formats.programs.program import Program
from qiosk.formats.text.lines import shown
from qiosk.model.cost_function import CostFunction

_FORM = "lp"
_BINARY = ("binary", "binaries", "bin")
_LISTS = (*_BINARY, "general", "generals", "gen", "integer", "integers", "semi-continuous", "semi", "semis")
_SECTIONS = (*_LISTS, "bounds", "bound", "sos", "end")
_SEPARATORS = re.compile(r"[\s+\-*/^\[\]:<>=]+")
_HEADING = re.compile(r"[A-Za-z][A-Za-z_.-]{2,}")

_KEYWORDS = (
    r"min(imi[sz]e|imum)?|max(imi[sz]e|imum)?|st|s\.t\.?|subject|such|to|that|bounds?|binar(y|ies)|bin|general|generals|gen"
    r"|integers?|int|semi.*|sos[12]?|end|free|inf(inity)?|nan"
)
_NAMES = re.compile(rf"(?!({_KEYWORDS})$)(?![eE][0-9])[A-Za-z_][A-Za-z0-9_.]{{0,200}}", re.IGNORECASE)


def read(data: bytes) -> CostFunction:
    """The objective of a file without constraints, as a cost to minimize over bits. Raises UnreadableInput."""
    return read_program(data).unconstrained()


def read_program(data: bytes) -> Program:
    """The objective of a file and its constraints. Raises UnreadableInput, MissingExtra."""
    text = highs.read_text(data, _FORM)
    linear, brackets = without_brackets(text)
    program = highs.parse(linear, _FORM, brackets)
    listed, elsewhere = _occurrences(text)
    for column in program.columns:
        kind = listed.get(column.name)
        if kind is not None and column.name not in elsewhere and _HEADING.fullmatch(column.name):
            raise UnreadableInput(
                f"{_FORM}: `{column.name}` occurs in no term and no bound: it is probably a section that is not known; "
                "write `0` times the variable into the objective if it is one"
            )
        if kind in _BINARY and (column.low < 0 or column.high > 1):
            raise UnreadableInput(
                f"{_FORM}: variable `{column.name}` is binary, but has the bounds {column.low:g} and {column.high:g}"
            )
    return program


def _occurrences(text: str) -> tuple[dict[str, str], set[str]]:
    """The names in lists of variables, with the list; and all names elsewhere."""
    listed: dict[str, str] = {}
    elsewhere: set[str] = set()
    section = ""
    for line in text.splitlines():
        content = line.partition("\\")[0].strip()
        if content.lower() in _SECTIONS:
            section = content.lower()
        elif section in _LISTS:
            listed.update(dict.fromkeys(content.split(), section))
        else:
            elsewhere.update(_SEPARATORS.split(content))
    return listed, elsewhere


def write(cost_function: CostFunction) -> bytes:
    """The file of a quadratic cost function. Raises InvalidValue for one of higher degree."""
    table, names = to_named(cost_function, _FORM, _NAMES)
    text = ["minimize", " cost:"]
    text += [f"  {_signed(h)} {names[i]}" for i, h in enumerate(table.linear.tolist())]  # 0, so that each occurs
    if len(table.values):
        pairs = (f"  {_signed(2 * value)} {names[i]} * {names[j]}" for i, j, value in table.pairs())
        text += ["  + [", *pairs, "  ] / 2"]
    if table.constant:
        text.append(f"  {_signed(table.constant)}")
    text += ["subject to", "binary", *(f" {name}" for name in names), "end", ""]
    return "\n".join(text).encode()


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'} {shown(abs(value))}"
