"""Blocks of what is left that are so narrow that their minimum is computed at once, by elimination.

A block is a biconnected component of the graph with its ghost spin, to which fields are couplings. To flip all spins
of a block changes no cost in it. So its minimum is the same for either value of one of its spins, its top, and the
others follow from that: they are merged into it.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from qiosk.bounds.bound import Proof, Scale
from qiosk.bounds.elimination import Effort, elimination
from qiosk.bounds.polynomial import Polynomial
from qiosk.model.cost_function import I64

if TYPE_CHECKING:
    from qiosk.kernels.presolve.blocks import Search
    from qiosk.kernels.presolve.graph import Graph

EFFORT = Effort(width=16, work=1 << 25, looked=300_000)
"""Of one block: some 0.2 s at most."""
MOST_COUPLINGS = 10_000
"""Couplings and fields of a block that is tried."""
MOST_DEGREE = 12
"""Couplings for every spin of a block that is tried: denser ones are too wide, unless they are small."""
MOST_WORK, MOST_BLOCKS = 60_000, 1_000
"""Couplings and fields of all blocks that are tried together, and blocks: some 0.5 s."""

MOST_LABELLED = 300_000
"""Couplings and fields of a graph whose blocks are sought: some 0.1 s."""


def eliminate_blocks(graph: Graph, check: Callable[[], None]) -> int:
    """Merge the spins of narrow blocks, if they are few and small; returns how many spins these are.

    ``check`` is called now and then and may raise.
    """
    from qiosk.kernels.presolve.blocks import label_blocks

    if np.count_nonzero(graph.weights) + np.count_nonzero(graph.fields[graph.is_left]) > MOST_LABELLED:
        return 0
    search = new_search(graph)
    check()
    count = int(label_blocks()(graph, search))
    check()
    edges = np.flatnonzero(search.labels >= 0)
    order = edges[np.argsort(search.labels[edges], kind="stable")]
    sizes = np.bincount(search.labels[edges], minlength=count)
    starts = np.cumsum(sizes) - sizes
    smallest = np.argsort(sizes, kind="stable")[:MOST_BLOCKS]
    is_tried = (sizes[smallest] <= MOST_COUPLINGS) & (np.cumsum(sizes[smallest]) <= MOST_WORK)
    merged = 0
    for k in np.sort(smallest[is_tried]).tolist():  # those that hang on a block before it
        merged += _try_block(graph, order[starts[k] : starts[k] + sizes[k]], int(search.tops[k]), check)
    return merged


def new_search(graph: Graph) -> Search:
    """A search that has not begun."""
    from qiosk.kernels.presolve.blocks import Search

    n, m = len(graph.start), len(graph.weights)
    return Search(
        labels=np.full(m + n, -1, np.int32),
        tops=np.zeros(m + n, np.int32),
        numbers=np.zeros(n + 1, np.int32),
        lows=np.zeros(n + 1, np.int32),
        came_by=np.zeros(n + 1, np.int32),
        at=np.zeros(n + 1, np.int32),
        spins=np.zeros(n + 1, np.int32),
        edges=np.zeros(m + n, np.int32),
    )


def _try_block(graph: Graph, edges: I64, top: int, check: Callable[[], None]) -> int:
    """Merge the spins of one block, all of whose edges are given; returns how many, 0 if it is too wide."""
    from qiosk.kernels.presolve.blocks import contract_block
    from qiosk.kernels.presolve.graph import CONSTANT

    m, ghost = len(graph.weights), len(graph.start)
    is_field = edges >= m
    ends = np.empty((len(edges), 2), np.int64)
    ends[is_field, 0], ends[is_field, 1] = edges[is_field] - m, ghost
    ends[~is_field, 0], ends[~is_field, 1] = graph.rows[edges[~is_field]], graph.cols[edges[~is_field]]
    values = np.empty(len(edges), np.int64)
    values[is_field], values[~is_field] = graph.fields[edges[is_field] - m], graph.weights[edges[~is_field]]
    spins = np.setdiff1d(ends, [top])
    if len(spins) > EFFORT.width and len(edges) > MOST_DEGREE * len(spins):
        return 0
    proof: Proof | None = None
    for found in elimination(_terms(spins, ends, values, top), EFFORT):
        check()
        proof = found
    if proof is None or proof.configuration is None:
        return 0
    graph.counters[CONSTANT] += int(proof.level)
    contract_block()(graph, edges, spins, proof.configuration, top)
    return len(spins)


def _terms(spins: I64, ends: I64, values: I64, top: int) -> Polynomial:
    """The cost of a block as a function of its spins, where the top is +1."""
    is_single = np.any(ends == top, axis=1)
    single = np.where(ends[is_single, 0] == top, ends[is_single, 1], ends[is_single, 0])
    pairs = np.sort(np.searchsorted(spins, ends[~is_single]), axis=1)
    sizes = np.concatenate([np.ones(len(single), np.int64), np.full(len(pairs), 2)])
    return Polynomial(
        n=len(spins),
        is_spin=True,
        indptr=np.concatenate([[0], np.cumsum(sizes)]),
        variables=np.concatenate([np.searchsorted(spins, single), pairs.ravel()]),
        values=np.concatenate([values[is_single], values[~is_single]]),
        scale=Scale(offset=Fraction(0), unit=Fraction(1)),
    )
