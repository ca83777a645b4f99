"""Quadratic terms in constraints of LP files, which HiGHS does not read.

Each bracket is replaced by a column of its own before HiGHS reads the text, and its terms are put in the place of that
column afterwards. So HiGHS decides in which row it is, and with which sign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from qiosk.errors import UnreadableInput

Terms = Sequence[tuple[str, str, float]]
"""Products of two columns by their names, with coefficients."""

_FORM = "lp"
_PLACE = "qiosk_bracket_{}"
_ROWS = re.compile(
    r"^[ \t]*(subject[ \t]+to|such[ \t]+that|st\.?|s\.[ \t]?t\.)(?=[ \t:]|$)", re.IGNORECASE | re.MULTILINE
)
_REMARK = re.compile(r"\\.*")
_SEPARATORS = re.compile(r"[\s+\-*/^\[\]:<>=]+")
_BRACKET = re.compile(r"\[([^\[\]]*)\]([ \t]*/)?")
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NAME = r"[^\s+\-*/^\[\]:<>=0-9.][^\s+\-*/^\[\]:<>=]*"
_TERM = re.compile(rf"\s*((?:[+-]\s*)*)({_NUMBER})?\s*({_NAME})\s*(?:\^\s*2(?![\d.])|\*\s*({_NAME}))\s*")


def without_brackets(text: str) -> tuple[str, Mapping[str, Terms]]:
    """The text for HiGHS, and the terms for which some of its columns stand. Raises UnreadableInput."""
    if "[" not in text or (start := _ROWS.search(text)) is None:
        return text, {}
    head, rows = text[: start.end()], _REMARK.sub("", text[start.end() :])
    found: dict[str, Terms] = {}
    named = set(_SEPARATORS.split(_BRACKET.sub(" ", _REMARK.sub("", text))))

    def replaced(bracket: re.Match[str]) -> str:
        line = 1 + head.count("\n") + rows.count("\n", 0, bracket.start())
        if bracket[2]:
            raise _wrong(line, "the brackets of a constraint must not be divided", bracket[0])
        place = _PLACE.format(len(found))
        found[place] = _terms(bracket[1], line)
        new = dict.fromkeys(name for term in found[place] for name in term[:2] if name not in named)
        named.update(new)
        zeros = "".join(f" + 0 {name}" for name in new)  # so that each column occurs
        return f" {place}{zeros}" + "\n" * bracket[0].count("\n")

    return head + _BRACKET.sub(replaced, rows), found


def _terms(text: str, line: int) -> Terms:
    terms: list[tuple[str, str, float]] = []
    at = 0
    while at < len(text.rstrip()):
        term = _TERM.match(text, at)
        if term is None or (terms and not term[1]):
            raise _wrong(line, "brackets must have terms such as 2 x * y and - 3 x ^ 2", text[at:].strip())
        sign = -1.0 if term[1].count("-") % 2 else 1.0
        terms.append((term[3], term[4] or term[3], sign * float(term[2] or 1.0)))
        at = term.end()
    return terms


def _wrong(line: int, rule: str, found: str) -> UnreadableInput:
    return UnreadableInput(f"{_FORM}: line {line}: {rule}, found {found[:60]!r}")
