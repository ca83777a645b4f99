"""Weighted MaxSAT in DIMACS form: cost = total weight of the clauses that are not satisfied, over bits.

Both dialects are read: the older one with a header ``p wcnf VARIABLES CLAUSES [TOP]`` before lines ``WEIGHT LITERALS
0``, and that of the MaxSAT Evaluation since 2022, without a header and with ``h`` for hard clauses. ``p cnf`` is read
with weight 1. Hard clauses get a weight greater than that of all soft clauses together. A clause of k literals is a
product of k factors x or 1 - x, multiplied out, so terms have at most k variables.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np

from qiosk.errors import UnreadableInput
from qiosk.formats.text.lines import Line, Lines, is_count, shown, to_number
from qiosk.formats.text.quadratic import check_numbering, check_size
from qiosk.formats.text.qubo import constant_of
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.model.domain import flattened, to_bits

_FORM = "wcnf"
MAX_TERMS = 1 << 27
"""Largest number of terms that the clauses of a file may have when multiplied out."""


class _Clause(NamedTuple):
    weight: float  # inf: hard
    negated: tuple[int, ...]  # variables, numbered from 0, distinct
    plain: tuple[int, ...]


class _Header(NamedTuple):
    variables: int | None
    top: float
    has_weights: bool


def read(data: bytes) -> CostFunction:
    """The cost function of a file. Raises UnreadableInput, naming the line."""
    lines = Lines(data, _FORM, comments=("c ", "c\t", "#"))
    header = _Header(None, np.inf, True)
    clauses: list[_Clause] = []
    for line in lines:
        if line.text == "c":
            continue
        if line.text.startswith("p"):
            if clauses or header.variables is not None:
                raise lines.fail(line, "a header must come first, and once")
            header = _header(lines, line)
            continue
        clause = _clause(lines, line, header)
        if clause is not None:
            clauses.append(clause)
    n = header.variables
    if n is None:
        n = 1 + max((max(c.negated + c.plain, default=-1) for c in clauses), default=-1)
    check_size(_FORM, n)
    return _cost_function(clauses, n, constant_of(lines.remarks))


def _header(lines: Lines, line: Line) -> _Header:
    words = line.text.split()
    if len(words) < 4 or words[1] not in ("cnf", "wcnf") or not all(map(is_count, words[2:4])):
        raise lines.fail(line, "must be `p wcnf VARIABLES CLAUSES [TOP]` or `p cnf VARIABLES CLAUSES`")
    top = to_number(words[4]) if len(words) > 4 else np.inf
    if top is None:
        raise lines.fail(line, "the top weight must be a number")
    check_size(_FORM, int(words[2]))
    return _Header(int(words[2]), top, words[1] == "wcnf")


def _clause(lines: Lines, line: Line, header: _Header) -> _Clause | None:
    """The clause in a line; None if it is always satisfied."""
    words = line.text.split()
    weight = 1.0
    if header.has_weights:
        given = np.inf if words[0] == "h" else to_number(words[0])
        if given is None or given < 0:
            raise lines.fail(line, "a clause must begin with its weight of at least 0, or h")
        weight = np.inf if given >= header.top else given
        words = words[1:]
    if not words or words[-1] != "0":
        raise lines.fail(line, "a clause must end with 0, on its own line")
    literals = set()
    for word in words[:-1]:
        if not word.removeprefix("-").isdecimal() or len(word) > 18 or int(word) == 0:
            raise lines.fail(line, f"literals must be integers other than 0, `{word[:30]}` is not")
        if header.variables is not None and abs(int(word)) > header.variables:
            raise lines.fail(line, f"the header announces {header.variables} variables, the literal is {word}")
        literals.add(int(word))
    negated = tuple(sorted(-v - 1 for v in literals if v < 0))
    plain = tuple(sorted(v - 1 for v in literals if v > 0))
    return None if set(negated) & set(plain) else _Clause(weight, negated, plain)


def _cost_function(clauses: list[_Clause], n: int, constant: float) -> CostFunction:
    soft = sum(c.weight for c in clauses if c.weight < np.inf)
    size = sum(1 << min(len(c.plain), 62) for c in clauses)
    if size > MAX_TERMS:
        raise UnreadableInput(f"wcnf: multiplied out the clauses have {size} terms, at most {MAX_TERMS} are allowed")
    coefficients: list[float] = [constant] if constant else []
    members: list[tuple[int, ...]] = [()] if constant else []
    for c in clauses:
        weight = soft + 1.0 if c.weight == np.inf else c.weight
        # not satisfied means: every negated variable is 1 and every other variable is 0
        for chosen in _subsets(c.plain):
            coefficients.append(-weight if len(chosen) % 2 else weight)
            members.append(c.negated + chosen)
    degrees = np.array([*map(len, members), *[1] * n], np.int64)
    ids = [i for some in members for i in some]
    raw = CostFunction(
        problem_type=ProblemType.pubo,
        coefficients=np.array(coefficients + [0.0] * n),
        indptr=np.concatenate([np.zeros(1, np.int64), np.cumsum(degrees)]),
        ids=np.concatenate([np.array(ids, np.int64), np.arange(n, dtype=np.int64)]),
    )
    return flattened(raw)


def _subsets(items: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for k in range(len(items) + 1):
        yield from combinations(items, k)


def write(cost_function: CostFunction) -> bytes:
    """The file of a cost function over bits, with terms of any degree, in the older dialect.

    A term c x_1 … x_k with positive c is a clause of k literals. With negative c it is the constant c and k clauses,
    because 1 - x_1 … x_k = sum over j of x_1 … x_{j-1} (1 - x_j). Weights are written unchanged; they may be
    fractions, which some solvers cannot read. Raises InvalidValue if ids have gaps.
    """
    flat = flattened(to_bits(cost_function))
    constant, clauses = 0.0, list[tuple[float, list[int]]]()
    for t, c in enumerate(flat.coefficients.tolist()):
        literals = [i + 1 for i in flat.ids[flat.indptr[t] : flat.indptr[t + 1]].tolist()]
        if c == 0:
            continue
        if not literals:
            constant += c
        elif c > 0:
            clauses.append((c, [-v for v in literals]))
        else:
            constant += c
            clauses += [(-c, [*(-v for v in literals[:j]), literals[j]]) for j in range(len(literals))]
    check_numbering(_FORM, flat.variables)
    total = sum(weight for weight, _ in clauses)
    text = [f"c constant {shown(constant)}"] if constant else []
    text.append(f"p wcnf {len(flat.variables)} {len(clauses)} {shown(float(np.floor(total)) + 1)}")
    text += [f"{shown(weight)} {' '.join(map(str, literals))} 0" for weight, literals in clauses]
    return "\n".join([*text, ""]).encode()
