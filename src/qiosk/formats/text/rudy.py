"""Weighted graphs as G. Rinaldi's ``rudy`` writes them (Gset, Biq Mac): ``n m``, then ``i j w`` from 1 on.

Read as max-cut: cost = sum of w s_i s_j, which is the total weight less twice the cut. A missing w is 1.
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
    check_size(_FORM, n)
    edges = lines.table(m, "an edge", (2, 3))
    if lines.left:
        raise lines.fail(lines.take("an edge"), f"must be the end after {m} edges")
    vertices = lines.indices(edges[:, :2].ravel(), "a vertex", 1, n).reshape(-1, 2) - 1
    weights = edges[:, 2] if edges.shape[1] == 3 else np.ones(m)
    is_loop = vertices[:, 0] == vertices[:, 1]  # s_i s_i = 1
    return from_entries(
        ProblemType.ising,
        n,
        vertices[~is_loop, 0],
        vertices[~is_loop, 1],
        weights[~is_loop],
        constant=float(weights[is_loop].sum()),
    )


def write(cost_function: CostFunction) -> bytes:
    """The graph of a cost function of pairs of spins. Raises InvalidValue for one with other terms."""
    table = to_entries(cost_function, _FORM, ProblemType.ising)
    refuse(_FORM, "linear terms", float(np.abs(table.linear).max(initial=0.0)))
    refuse(_FORM, "a constant", table.constant)
    edges = zip((table.rows + 1).tolist(), (table.cols + 1).tolist(), table.values.tolist(), strict=True)
    text = [f"{table.n} {len(table.values)}", *(f"{i} {j} {shown(w)}" for i, j, w in edges), ""]
    return "\n".join(text).encode()
