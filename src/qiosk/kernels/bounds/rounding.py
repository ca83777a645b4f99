"""Spins from products of pairs of them that are more or less certain, and a descent from there."""

from __future__ import annotations

from functools import cache
from typing import Any

from qiosk.kernels.compiler import called, kernel


@called()
def _root(parents: Any, signs: Any, v: Any) -> Any:
    """The root of a vertex, and its sign relative to that."""
    sign = signs[v] * 0 + 1
    while parents[v] != v:
        sign *= signs[v]
        v = parents[v]
    return v, sign


@cache
def round_products() -> Any:
    """``round(order, rows, cols, products, parents, signs, spins) -> None``: a spanning forest of the first edges.

    order: (E,) int64, edges from the most certain on; rows, cols: (E,) int64; products: (E,) int8, of the spins at
    their ends. parents: (V,) int64, ``arange(V)``; signs: (V,) int8, ones; both are updated. spins: (V,) int8, the
    result; where no edge tells, those of a root stay as they are. Plain loops: it is its own reference kernel.
    """

    @kernel
    def round_edges(order: Any, rows: Any, cols: Any, products: Any, parents: Any, signs: Any, spins: Any) -> None:
        for e in order:
            u, a = _root(parents, signs, rows[e])
            v, b = _root(parents, signs, cols[e])
            if u != v:
                parents[u] = v
                signs[u] = products[e] * a * b
        for v in range(spins.size):
            if parents[v] != v:
                u, sign = _root(parents, signs, v)
                spins[v] = sign * spins[u]

    return round_edges


@cache
def descend_graph() -> Any:
    """``descend(indptr, others, weights, fields, spins) -> None``: flips spins while one makes the level lower.

    indptr: (V + 1,) int64; others: (2 E,) int64; weights: (2 E,) int64; fields: (V,) int64, anything; spins: (V,) int8,
    updated. Plain loops: it is its own reference kernel.
    """

    @kernel
    def descend(indptr: Any, others: Any, weights: Any, fields: Any, spins: Any) -> None:
        for v in range(spins.size):
            fields[v] = 0
            for p in range(indptr[v], indptr[v + 1]):
                fields[v] += weights[p] * spins[others[p]]
        is_better = True
        while is_better:
            is_better = False
            for v in range(spins.size):
                if fields[v] * spins[v] > 0:
                    spins[v] = -spins[v]
                    for p in range(indptr[v], indptr[v + 1]):
                        fields[others[p]] += 2 * weights[p] * spins[v]
                    is_better = True

    return descend
