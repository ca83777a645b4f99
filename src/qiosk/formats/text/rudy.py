"""Weighted graphs in the format of G. Rinaldi's ``rudy`` (Gset, Biq Mac): ``n m``, then ``i j w``, vertices from 1.

Read as max-cut: cost = sum of w s_i s_j, the total weight minus twice the weight of the cut. A missing w is 1.
"""

from __future__ import annotations

import numpy as np

from qiosk.formats.text.lines import Lines, shown
from qiosk.formats.text.quadratic import check_size, from_entries, refuse, to_entries
from qiosk.model.cost_function import CostFunction, ProblemType

_FORM = "rudy"


def read(data: bytes) -> CostFunction:
    """The max-cut problem of a graph. Raises UnreadableInput, naming the line."""
    lines = Lines(data, _FORM, comments=("#", "%"))
    n, m = lines.integers("numbers of vertices and edges", 2)
    check_size(_FORM, n, lines.content)
    edges = lines.table(m, "an edge", (2, 3))
    if lines.left:
        raise lines.fail(lines.take("an edge"), f"must be the end after {m} edges")
    rows, cols = lines.index_pairs(edges, "a vertex", 1, n)
    weights = edges[:, 2] if edges.shape[1] == 3 else np.ones(m)
    is_loop = rows == cols  # s_i s_i = 1
    constant = float(weights[is_loop].sum())
    rows, cols, weights = rows[~is_loop] - 1, cols[~is_loop] - 1, weights[~is_loop]
    return from_entries(ProblemType.ising, n, rows, cols, weights, constant=constant)


def write(cost_function: CostFunction) -> bytes:
    """The graph of a cost function of pairs of spins. Raises InvalidValue for one with other terms."""
    table = to_entries(cost_function, _FORM, ProblemType.ising)
    refuse(_FORM, "linear terms", float(np.abs(table.linear).max(initial=0.0)))
    refuse(_FORM, "a constant", table.constant)
    text = [f"{table.n} {len(table.values)}", *(f"{i} {j} {shown(w)}" for i, j, w in table.pairs(first=1)), ""]
    return "\n".join(text).encode()
