"""Which vertices of a graph hang together."""

from __future__ import annotations

from functools import cache
from typing import Any

from qiosk.kernels.compiler import called, kernel


@called()
def _root(parents: Any, v: Any) -> Any:
    """The root of a vertex; shortens the way for the next time."""
    while parents[v] != v:
        parents[v] = parents[parents[v]]
        v = parents[v]
    return v


@cache
def join_vertices() -> Any:
    """``join(parents, rows, cols) -> None``: sets ``parents`` to the least vertex of each vertex' component.

    parents: (n,) int64, ``arange(n)``, updated; rows, cols: (E,) int32. Plain loops: it is its own reference kernel.
    """

    @kernel
    def join(parents: Any, rows: Any, cols: Any) -> None:
        for e in range(rows.size):
            u, v = _root(parents, rows[e]), _root(parents, cols[e])
            if u < v:
                parents[v] = u
            else:
                parents[u] = v
        for v in range(parents.size):
            parents[v] = _root(parents, v)

    return join
