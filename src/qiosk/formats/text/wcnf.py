"""Weighted MaxSAT in DIMACS form: cost = total weight of the clauses that are not satisfied, over bits.

Both dialects are read: the older one with a header ``p wcnf VARIABLES CLAUSES [TOP]`` before clauses ``WEIGHT LITERALS
0``, and that of the MaxSAT Evaluation since 2022, without a header and with ``h`` for hard clauses. ``p cnf`` is read
with weight 1. A clause may take several lines, and a line may contain several. SATLIB's files end with a line ``%``.
Hard clauses get a weight greater than that of all soft clauses together, and are constraints in the metadata.

A clause of k literals is a product of k factors x or 1 - x, multiplied out, so terms have at most k variables, and k
literals without a minus make 2^k terms. Longer clauses are cut: ``A or B`` is not satisfied at the least cost of ``A or
y`` and ``not y or B`` over an auxiliary bit y, which is then exactly the cost of the whole. Auxiliary bits have the ids
after those of the file, and the metadata ``auxiliary_variables`` counts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from qiosk.errors import UnreadableInput
from qiosk.formats.text.lines import Line, Lines, is_count, shown, to_number
from qiosk.formats.text.quadratic import check_numbering, check_size
from qiosk.formats.text.qubo import constant_of
from qiosk.model.constraints.hard_constraints import HardConstraint, to_metadata
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.model.transforms.domain import flattened, to_bits

_FORM = "wcnf"
AUXILIARY = "auxiliary_variables"
"""The metadata member that counts auxiliary bits."""
MAX_TERMS = 1 << 27
"""Largest number of terms that the clauses of a file may have when multiplied out."""
_LONGEST = 8
"""Most literals without a minus that are multiplied out; longer clauses are cut."""
_PIECE = 4
"""Literals without a minus in each piece of a clause that is cut."""
_MAX_EXACT = 2.0**53
_TAIL = "%"


class _Clause(NamedTuple):
    weight: float  # inf: hard
    negated: tuple[int, ...]  # variables, numbered from 0, distinct
    plain: tuple[int, ...]


class _Header(NamedTuple):
    variables: int | None
    clauses: int
    top: float
    has_weights: bool


def read(data: bytes) -> CostFunction:
    """The cost function of a file. Raises UnreadableInput, naming the line."""
    lines = Lines(data, _FORM, comments=("c", "#"))
    header = _header(lines)
    found = list(_clauses(lines, header))
    if header.variables is not None and len(found) < header.clauses:
        raise UnreadableInput(f"{_FORM}: {header.clauses} clauses are announced, found {len(found)}: is a 0 missing?")
    numbered = [(f"clause {k}", clause) for k, clause in enumerate(found, 1) if clause is not None]
    clauses = [clause for _, clause in numbered]
    n = header.variables
    if n is None:
        n = 1 + max((max(c.negated + c.plain, default=-1) for c in clauses), default=-1)
    check_size(_FORM, n, lines.content)
    cost_function = _cost_function(clauses, n, constant_of(lines.remarks))
    hard = (_hard_constraint(name, clause) for name, clause in numbered if clause.weight == np.inf)
    return replace(cost_function, metadata={**cost_function.metadata, **to_metadata(hard)})


def _header(lines: Lines) -> _Header:
    """The header, if there is one."""
    line = lines.peek()
    if line is None or not line.text.startswith("p"):
        return _Header(None, 0, np.inf, True)
    lines.take("a header")
    words = line.text.split()
    if len(words) < 4 or words[1] not in ("cnf", "wcnf") or not all(map(is_count, words[2:4])):
        raise lines.fail(line, "must be `p wcnf VARIABLES CLAUSES [TOP]` or `p cnf VARIABLES CLAUSES`")
    top = to_number(words[4]) if len(words) > 4 else np.inf
    if top is None:
        raise lines.fail(line, "the top weight must be a number")
    check_size(_FORM, int(words[2]), lines.content)
    return _Header(int(words[2]), int(words[3]), top, words[1] == "wcnf")


def _clauses(lines: Lines, header: _Header) -> Iterator[_Clause | None]:
    """All clauses; None for one that is always satisfied."""
    weight: float | None = None
    literals: set[int] | None = None
    last: Line | None = None
    for line in lines:
        if line.text == _TAIL:
            _check_tail(lines)
            break
        if line.text.startswith("p"):
            raise lines.fail(line, "a header must come first, and once")
        last = line
        for word in line.text.split():
            if literals is None:
                literals = set()
                weight = _weight(lines, line, word, header) if header.has_weights else 1.0
                if header.has_weights:
                    continue
            if word != "0":
                literals.add(_literal(lines, line, word, header))
                continue
            assert weight is not None
            yield _clause(weight, literals)
            literals = None
    if literals is not None and last is not None:
        raise lines.fail(last, "a clause must end with 0")


def _check_tail(lines: Lines) -> None:
    for line in lines:
        if line.text not in ("0", _TAIL):
            raise lines.fail(line, f"only a 0 may come after `{_TAIL}`")


def _weight(lines: Lines, line: Line, word: str, header: _Header) -> float:
    given = np.inf if word == "h" else to_number(word)
    if given is None or given < 0:
        raise lines.fail(line, "a clause must begin with its weight of at least 0, or h")
    return np.inf if given >= header.top else given


def _literal(lines: Lines, line: Line, word: str, header: _Header) -> int:
    if not word.removeprefix("-").isdecimal() or len(word) > 18 or int(word) == 0:
        raise lines.fail(line, f"literals must be integers other than 0, `{word[:30]}` is not")
    if header.variables is not None and abs(int(word)) > header.variables:
        raise lines.fail(line, f"the header announces {header.variables} variables, the literal is {word}")
    return int(word)


def _clause(weight: float, literals: set[int]) -> _Clause | None:
    negated = tuple(sorted(-v - 1 for v in literals if v < 0))
    plain = tuple(sorted(v - 1 for v in literals if v > 0))
    return None if set(negated) & set(plain) else _Clause(weight, negated, plain)


def _hard_weight(clauses: list[_Clause]) -> float:
    """More than the weight of all soft clauses together, also where adding 1 would be rounded away."""
    soft = sum(c.weight for c in clauses if c.weight < np.inf)
    weight = soft + 1.0 if soft < _MAX_EXACT / 2 else soft * (1.0 + 2.0**-20)
    if not np.isfinite(weight):
        raise UnreadableInput(f"{_FORM}: the sum of all weights must be in the range of float64")
    return weight


def _hard_constraint(name: str, clause: _Clause) -> HardConstraint:
    """The clause as a constraint: of its literals, at least one is true."""
    terms = [(1, (i,)) for i in clause.plain] + [(-1, (i,)) for i in clause.negated]
    return HardConstraint(name, terms, ">=", 1 - len(clause.negated))


def _pieces(clauses: list[_Clause], n: int) -> Iterator[_Clause]:
    """The clauses, those that are too long cut; auxiliary bits are numbered from ``n`` on."""
    for clause in clauses:
        left = clause
        while len(left.plain) > _LONGEST:
            yield _Clause(left.weight, left.negated, (*left.plain[: _PIECE - 1], n))
            left = _Clause(left.weight, (n,), left.plain[_PIECE - 1 :])
            n += 1
        yield left


def _cost_function(clauses: list[_Clause], n: int, constant: float) -> CostFunction:
    hard = _hard_weight(clauses)
    pieces = list(_pieces(clauses, n))
    all_bits = max([n, *(1 + c.plain[-1] for c in pieces if c.plain)])
    check_size(_FORM, all_bits)
    size = sum(1 << len(c.plain) for c in pieces)
    if size > MAX_TERMS:
        raise UnreadableInput(f"{_FORM}: multiplied out the clauses have {size} terms, at most {MAX_TERMS} are allowed")
    coefficients: list[float] = [constant] if constant else []
    members: list[tuple[int, ...]] = [()] if constant else []
    for c in pieces:
        weight = hard if c.weight == np.inf else c.weight
        # not satisfied means: every negated variable is 1 and every other variable is 0
        for chosen in _subsets(c.plain):
            coefficients.append(-weight if len(chosen) % 2 else weight)
            members.append(c.negated + chosen)
    degrees = np.array([*map(len, members), *[1] * all_bits], np.int64)
    ids = [i for some in members for i in some]
    raw = CostFunction(
        problem_type=ProblemType.pubo,
        coefficients=np.array(coefficients + [0.0] * all_bits),
        indptr=np.concatenate([np.zeros(1, np.int64), np.cumsum(degrees)]),
        ids=np.concatenate([np.array(ids, np.int64), np.arange(all_bits, dtype=np.int64)]),
        metadata={AUXILIARY: all_bits - n} if all_bits > n else {},
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
    top = max(float(np.floor(total)) + 1, float(np.nextafter(total, np.inf)))
    text = [f"c constant {shown(constant)}"] if constant else []
    text.append(f"p wcnf {len(flat.variables)} {len(clauses)} {shown(top)}")
    text += [f"{shown(weight)} {' '.join(map(str, literals))} 0" for weight, literals in clauses]
    return "\n".join([*text, ""]).encode()
