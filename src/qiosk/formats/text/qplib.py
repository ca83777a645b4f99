"""QPLIB's text format, limited to bits and linear constraints (types ``?BN``, ``?BB`` and ``?BL``).

The objective is 1/2 x^T Q x + b^T x + q; the file contains the lower triangle of Q. Source: F. Furini et
al., Math. Program. Comput. 11, 237 (2019), doi:10.1007/s12532-018-0147-4.
"""

from __future__ import annotations

import numpy as np

from qiosk.formats.text.lines import Lines, is_count, shown, word_of
from qiosk.formats.text.programs import LinearConstraint, Program
from qiosk.formats.text.quadratic import check_size, from_entries, to_entries
from qiosk.model.cost_function import CostFunction, ProblemType

_FORM = "qplib"


def read(data: bytes) -> CostFunction:
    """The objective of a file without constraints, as a cost to minimize. Raises UnreadableInput."""
    return read_program(data).unconstrained(_FORM)


def read_program(data: bytes) -> Program:
    """The objective of a file, as a cost to minimize, and its constraints. Raises UnreadableInput."""
    lines = Lines(data, _FORM, comments=("!", "%", "#"))
    name = lines.take("the name").text.split()[0]
    kind = lines.take("the problem type")
    code = kind.text.split()[0].upper()
    if len(code) != 3 or code[0] not in "LDCQ" or code[1] != "B" or code[2] not in "NBL":
        raise lines.fail(kind, "the problem type must have bits and linear constraints at most, such as QBL")
    sense = lines.take("the sense")
    if sense.text.split()[0].lower() not in ("minimize", "maximize"):
        raise lines.fail(sense, "must be minimize or maximize")
    sign = 1.0 if sense.text.lower().startswith("min") else -1.0
    n = _count(lines, "the number of variables")
    check_size(_FORM, n)
    m = _count(lines, "the number of constraints") if code[2] == "L" else 0
    entries = np.empty((0, 3))
    if code[0] != "L":
        entries = _table(lines, "the number of quadratic terms", "a quadratic term", 3)
    default = lines.number("the default linear coefficient")
    linear = np.full(n, default)
    given = _table(lines, "the number of other linear coefficients", "a linear coefficient", 2)
    linear[lines.indices(given[:, 0], "a variable", 1, n) - 1] = given[:, 1]
    constant = lines.number("the constant")
    rows, cols = lines.index_pairs(entries, "a variable", 1, n)
    values = sign * entries[:, 2] * np.where(rows == cols, 0.5, 1.0)
    cost_function = from_entries(
        ProblemType.pubo, n, rows - 1, cols - 1, values, constant=sign * constant, linear=sign * linear, name=name
    )
    constraints = _constraints(lines, n, m) if code[2] == "L" else []
    return Program(cost_function, [f"x{i}" for i in range(n)], constraints)


def _constraints(lines: Lines, n: int, m: int) -> list[LinearConstraint]:
    """One or two constraints for each low <= a x <= high; none for an infinite bound."""
    entries = _table(lines, "the number of linear terms in constraints", "a linear term of a constraint", 3)
    owners = lines.indices(entries[:, 0], "a constraint", 1, m) - 1
    variables = lines.indices(entries[:, 1], "a variable", 1, n) - 1
    coefficients: list[dict[int, float]] = [{} for _ in range(m)]
    for row, variable, value in zip(owners.tolist(), variables.tolist(), entries[:, 2].tolist(), strict=True):
        coefficients[row][variable] = coefficients[row].get(variable, 0.0) + value
    infinity = lines.number("infinity")
    low, high = _bounds(lines, m, "left"), _bounds(lines, m, "right")
    found = []
    for k, some in enumerate(coefficients):
        if low[k] == high[k]:
            found.append(LinearConstraint(f"c{k + 1}", some, "==", low[k]))
            continue
        if low[k] > -infinity:
            found.append(LinearConstraint(f"c{k + 1} low", some, ">=", low[k]))
        if high[k] < infinity:
            found.append(LinearConstraint(f"c{k + 1} high", some, "<=", high[k]))
    return found


def _bounds(lines: Lines, m: int, side: str) -> list[float]:
    bounds = np.full(m, lines.number(f"the default {side}-hand side"))
    given = _table(lines, f"the number of other {side}-hand sides", f"a {side}-hand side", 2)
    bounds[lines.indices(given[:, 0], "a constraint", 1, m) - 1] = given[:, 1]
    return bounds.tolist()


def _count(lines: Lines, what: str) -> int:
    line = lines.take(what)
    text = line.text.split()[0]
    if not is_count(text):
        raise lines.fail(line, f"must be {what}: an integer of at least 0")
    return int(text)


def _table(lines: Lines, count: str, what: str, columns: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return lines.table(_count(lines, count), what, (columns,))


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
