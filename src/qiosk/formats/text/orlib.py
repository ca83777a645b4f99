"""Binary quadratic programs of J. E. Beasley's OR-Library: maximize sum of q_ij x_i x_j over bits.

A file contains the number of instances, then for each instance ``n m`` and m lines ``i j q``, variables from 1. The
matrix is symmetric, and an entry off the diagonal is written once but counts twice. Source: J. E. Beasley, J. Oper.
Res. Soc. 41, 1069 (1990), doi:10.1057/jors.1990.166.
"""

from __future__ import annotations

import numpy as np

from qiosk.errors import UnreadableInput
from qiosk.formats.text.lines import Lines, shown
from qiosk.formats.text.quadratic import check_size, from_entries, refuse, to_entries
from qiosk.model.cost_function import CostFunction, ProblemType

_FORM = "orlib"


def read(data: bytes, *, instance: int | None = None) -> CostFunction:
    """An instance of a file, as a cost to be minimized.

    ``instance`` counts from 1 and may be None if there is only one. Raises UnreadableInput, naming the line.
    """
    lines = Lines(data, _FORM)
    count = lines.integers("the number of instances", 1)[0]
    if instance is None and count != 1:
        raise UnreadableInput(f"orlib: the file has {count} instances, specify which one")
    chosen = 1 if instance is None else instance
    if not 1 <= chosen <= count:
        raise UnreadableInput(f"orlib: instance must be from 1 to {count}, found {chosen}")
    for _ in range(chosen - 1):
        lines.table(lines.integers("numbers of variables and entries", 2)[1], "an entry", (3,))
    return _read_instance(lines)


def _read_instance(lines: Lines) -> CostFunction:
    n, m = lines.integers("numbers of variables and entries", 2)
    check_size(_FORM, n, lines.content)
    entries = lines.table(m, "an entry", (3,))
    rows, cols = lines.index_pairs(entries, "a variable", 1, n)
    return from_entries(ProblemType.pubo, n, rows - 1, cols - 1, -entries[:, 2] * np.where(rows == cols, 1.0, 2.0))


def write(cost_function: CostFunction) -> bytes:
    """A file of one instance. Raises InvalidValue for a cost function that is not quadratic or has a constant."""
    table = to_entries(cost_function, _FORM, ProblemType.pubo)
    refuse(_FORM, "a constant", table.constant)
    diagonal = np.flatnonzero(table.linear)
    rows, cols = np.concatenate([diagonal, table.rows]), np.concatenate([diagonal, table.cols])
    values = -np.concatenate([table.linear[diagonal], table.values / 2])
    order = np.lexsort((cols, rows))
    entries = zip((rows[order] + 1).tolist(), (cols[order] + 1).tolist(), values[order].tolist(), strict=True)
    return "\n".join(["1", f"{table.n} {len(values)}", *(f"{i} {j} {shown(q)}" for i, j, q in entries), ""]).encode()
