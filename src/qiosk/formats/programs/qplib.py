"""QPLIB's text format.

The objective is 1/2 x^T Q x + b^T x + q; the file contains the lower triangle of Q. Quadratic constraints have such a
sum on their left side, too. Source: F. Furini et al., Math. Program. Comput. 11, 237 (2019),
doi:10.1007/s12532-018-0147-4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from qiosk.errors import UnreadableInput
from qiosk.formats.programs.program import Column, Program, Row
from qiosk.formats.text.lines import Lines, is_count, shown, word_of
from qiosk.formats.text.quadratic import check_size, to_entries
from qiosk.model.cost_function import F64, I64, CostFunction, ProblemType

_FORM = "qplib"
_CONTINUOUS, _INTEGER, _BINARY = range(3)  # the types of variables in files


def read(data: bytes) -> CostFunction:
    """The objective of a file without constraints, as a cost to minimize. Raises UnreadableInput."""
    return read_program(data).unconstrained()


def read_program(data: bytes) -> Program:
    """The objective of a file, as a cost to minimize, and its constraints. Raises UnreadableInput."""
    lines = Lines(data, _FORM, comments=("!", "%", "#"))
    name = lines.take("the name").text.split()[0]
    kind = lines.take("the problem type")
    code = kind.text.split()[0].upper()
    if len(code) != 3 or code[0] not in "LDCQ" or code[1] not in "CBMIG" or code[2] not in "NBLDCQ":
        raise lines.fail(
            kind, "the problem type must be one letter of LDCQ, one of CBMIG and one of NBLDCQ, such as QBL"
        )
    sense = lines.take("the sense")
    if sense.text.split()[0].lower() not in ("minimize", "maximize"):
        raise lines.fail(sense, "must be minimize or maximize")
    n = _count(lines, "the number of variables")
    check_size(_FORM, n, lines.content)
    has_rows, is_binary = code[2] not in "NB", code[1] == "B"
    m = _count(lines, "the number of constraints") if has_rows else 0
    entries = np.empty((0, 3))
    if code[0] != "L":
        entries = _table(lines, "the number of quadratic terms", "a quadratic term", 3)
    linear = _vector(lines, n, "linear coefficient")
    constant = lines.number("the constant")
    rows, cols = lines.index_pairs(entries, "a variable", 1, n)
    products = _products(lines, n, m) if code[2] in "DCQ" else [{} for _ in range(m)]
    terms = (
        _table(lines, "the number of linear terms in constraints", "a term of a constraint", 3) if has_rows else None
    )
    infinity = lines.number("infinity") if has_rows or not is_binary else np.inf
    constraints = [] if terms is None else _constraints(lines, n, products, terms, infinity)
    low, high, kinds = np.zeros(n), np.ones(n), np.full(n, _BINARY)
    if not is_binary:
        low, high = (_finite(_vector(lines, n, what), infinity) for what in ("lower bound", "upper bound"))
        kinds = _kinds(lines, n) if code[1] in "MG" else np.full(n, _CONTINUOUS if code[1] == "C" else _INTEGER)
    return Program(
        _FORM,
        name,
        [_column(i, *some) for i, some in enumerate(zip(low.tolist(), high.tolist(), kinds.tolist(), strict=True))],
        sense.text.lower().startswith("max"),
        constant,
        linear,
        rows - 1,
        cols - 1,
        entries[:, 2] * np.where(rows == cols, 0.5, 1.0),
        constraints,
    )


def _column(i: int, low: float, high: float, kind: int) -> Column:
    if kind == _BINARY:
        low, high = max(low, 0.0), min(high, 1.0)
    is_whole = kind != _CONTINUOUS
    column = Column(f"x{i}", *((float(np.ceil(low)), float(np.floor(high))) if is_whole else (low, high)), is_whole)
    if column.low > column.high:
        raise UnreadableInput(f"{_FORM}: variable {i + 1} has no value between its bounds {low:g} and {high:g}")
    return column


def _kinds(lines: Lines, n: int) -> I64:
    return lines.indices(_vector(lines, n, "variable type"), "a variable type", _CONTINUOUS, _BINARY)


def _products(lines: Lines, n: int, m: int) -> list[dict[tuple[int, int], float]]:
    """The products of each constraint, from the lower triangles of their matrices, whose diagonals count half."""
    entries = _table(lines, "the number of quadratic terms in constraints", "a quadratic term of a constraint", 4)
    owners = lines.indices(entries[:, 0], "a constraint", 1, m) - 1
    rows, cols = (some - 1 for some in lines.index_pairs(entries[:, 1:], "a variable", 1, n))
    values = entries[:, 3] * np.where(rows == cols, 0.5, 1.0)
    products: list[dict[tuple[int, int], float]] = [{} for _ in range(m)]
    for owner, i, j, value in zip(owners.tolist(), rows.tolist(), cols.tolist(), values.tolist(), strict=True):
        pair = min(i, j), max(i, j)
        products[owner][pair] = products[owner].get(pair, 0.0) + value
    return products


def _constraints(
    lines: Lines, n: int, products: Sequence[Mapping[tuple[int, int], float]], entries: F64, infinity: float
) -> list[Row]:
    m = len(products)
    owners = lines.indices(entries[:, 0], "a constraint", 1, m) - 1
    variables = lines.indices(entries[:, 1], "a variable", 1, n) - 1
    coefficients: list[dict[int, float]] = [{} for _ in range(m)]
    for row, variable, value in zip(owners.tolist(), variables.tolist(), entries[:, 2].tolist(), strict=True):
        coefficients[row][variable] = coefficients[row].get(variable, 0.0) + value
    low, high = (_finite(_vector(lines, m, f"{side}-hand side"), infinity) for side in ("left", "right"))
    return [Row(f"c{k + 1}", some, float(low[k]), float(high[k]), products[k]) for k, some in enumerate(coefficients)]


def _finite(values: F64, infinity: float) -> F64:
    """The values, those of at least ``infinity`` made infinite."""
    return np.where(np.abs(values) >= infinity, np.copysign(np.inf, values), values)


def _vector(lines: Lines, size: int, what: str) -> F64:
    """A default, and the numbers that are others."""
    vector = np.full(size, lines.number(f"the default {what}"))
    given = _table(lines, f"the number of other {what}s", f"a {what}", 2)
    vector[lines.indices(given[:, 0], "a number", 1, size) - 1] = given[:, 1]
    return vector


def _count(lines: Lines, what: str) -> int:
    line = lines.take(what)
    text = line.text.split()[0]
    if not is_count(text):
        raise lines.fail(line, f"must be {what}: an integer of at least 0")
    return int(text)


def _table(lines: Lines, count: str, what: str, columns: int) -> F64:
    return lines.table(_count(lines, count), what, (columns,), has_remarks=True)


def write(cost_function: CostFunction) -> bytes:
    """The file of a quadratic cost function. Raises InvalidValue for one of higher degree."""
    table = to_entries(cost_function, _FORM, ProblemType.pubo)
    linear = np.flatnonzero(table.linear)
    text = [
        word_of(cost_function.name),
        "QBN",
        "minimize",
        f"{table.n} # variables",
        f"{len(table.values)} # quadratic terms",
        *(f"{j} {i} {shown(value)}" for i, j, value in table.pairs(first=1)),
        "0 # default linear coefficient",
        f"{len(linear)} # other linear coefficients",
        *(f"{i + 1} {shown(table.linear[i])}" for i in linear.tolist()),
        f"{shown(table.constant)} # constant",
        "1e+30 # infinity",
        "0 # default starting point",
        "0",
        "0 # variable names",
        "",
    ]
    return "\n".join(text).encode()
