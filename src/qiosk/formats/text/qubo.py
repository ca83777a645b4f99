"""The ``.qubo`` format of qbsolv: minimize sum of q_ij x_i x_j over bits, variables from 0 on.

Lines that begin with ``c`` are comments; ``p qubo 0 n diagonals couplings`` comes before ``i i q`` and ``i j q``. A
comment ``c constant K``, which other readers skip, contains the constant.
"""

from __future__ import annotations

import numpy as np

from qiosk.errors import UnreadableInput
from qiosk.formats.text.lines import Lines, is_count, shown, to_number
from qiosk.formats.text.quadratic import check_size, from_entries, to_entries
from qiosk.model.cost_function import CostFunction, ProblemType

_FORM = "qubo"
_HEADER = "`p qubo 0 VARIABLES DIAGONALS COUPLINGS`"


def read(data: bytes) -> CostFunction:
    """The cost function of a file. Raises UnreadableInput, naming the line."""
    lines = Lines(data, _FORM, comments=("c", "#"))
    header = lines.take(f"the line {_HEADER}")
    words = header.text.split()
    if words[:2] != ["p", "qubo"] or len(words) != 6 or not all(map(is_count, words[3:])):
        raise lines.fail(header, f"must be {_HEADER}")
    n, diagonals, couplings = map(int, words[3:])
    check_size(_FORM, n, lines.content)
    if lines.left != diagonals + couplings:
        raise UnreadableInput(f"qubo: {diagonals + couplings} entries are announced, found {lines.left}")
    entries = lines.table(lines.left, "an entry", (3,))
    rows, cols = lines.index_pairs(entries, "a variable", 0, n - 1)
    return from_entries(ProblemType.pubo, n, rows, cols, entries[:, 2], constant=constant_of(lines.remarks))


def constant_of(remarks: list[str], name: str = "constant") -> float:
    """The constant in a comment ``constant K``, or with another name; 0 if there is none."""
    for remark in remarks:
        words = remark.split()
        if len(words) == 2 and words[0] == name:
            return to_number(words[1]) or 0.0
    return 0.0


def write(cost_function: CostFunction) -> bytes:
    """The file of a quadratic cost function. Raises InvalidValue for one of higher degree."""
    table = to_entries(cost_function, _FORM, ProblemType.pubo)
    diagonal = np.flatnonzero(table.linear)
    text = [f"c constant {shown(table.constant)}"] if table.constant else []
    text.append(f"p qubo 0 {table.n} {len(diagonal)} {len(table.values)}")
    text += [f"{i} {i} {shown(q)}" for i, q in zip(diagonal.tolist(), table.linear[diagonal].tolist(), strict=True)]
    return "\n".join([*text, *(f"{i} {j} {shown(q)}" for i, j, q in table.pairs()), ""]).encode()
