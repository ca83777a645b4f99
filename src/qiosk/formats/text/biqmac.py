"""Binary quadratic programs of the Biq Mac Library (``.sparse``) and of QOBLIB (``.qs``): minimize x^T Q x over bits.

A file contains ``n m``, then m lines ``i j q``, variables from 1. Q is symmetric: an entry off the diagonal is written
once but counts twice. A comment ``# ObjectiveOffset K``, as Zimpl writes it, contains a constant. Max-cut graphs
(``rudy``) look the same, but have no entries on the diagonal. Source: A. Wiegele, "Biq Mac Library - a collection of
Max-Cut and quadratic 0-1 programming instances of medium size", 2007.
"""

from __future__ import annotations

import numpy as np

from qiosk.formats.text.lines import Lines, shown
from qiosk.formats.text.quadratic import check_size, from_entries, to_entries
from qiosk.formats.text.qubo import constant_of
from qiosk.model.cost_function import CostFunction, ProblemType

_FORM = "biqmac"
_OFFSET = "ObjectiveOffset"


def read(data: bytes) -> CostFunction:
    """The cost function of a file. Raises UnreadableInput, naming the line."""
    lines = Lines(data, _FORM, comments=("#",))
    n, m = lines.integers("numbers of variables and entries", 2)
    check_size(_FORM, n, lines.content)
    entries = lines.table(m, "an entry", (3,))
    if lines.left:
        raise lines.fail(lines.take("an entry"), f"must be the end after {m} entries")
    rows, cols = lines.index_pairs(entries, "a variable", 1, n)
    values = entries[:, 2] * np.where(rows == cols, 1.0, 2.0)
    constant = constant_of(lines.remarks, _OFFSET)
    return from_entries(ProblemType.pubo, n, rows - 1, cols - 1, values, constant=constant)


def write(cost_function: CostFunction) -> bytes:
    """The file of a quadratic cost function. Raises InvalidValue for one of higher degree."""
    table = to_entries(cost_function, _FORM, ProblemType.pubo)
    diagonal = np.flatnonzero(table.linear)
    text = [f"# {_OFFSET} {shown(table.constant)}"] if table.constant else []
    text += [f"{table.n} {len(diagonal) + len(table.values)}"]
    text += [f"{i + 1} {i + 1} {shown(table.linear[i])}" for i in diagonal.tolist()]
    return "\n".join([*text, *(f"{i} {j} {shown(q / 2)}" for i, j, q in table.pairs(first=1)), ""]).encode()
