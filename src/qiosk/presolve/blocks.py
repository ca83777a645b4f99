"""Blocks of what is left whose minimum is computed at once: narrow ones by elimination, small ones by a search tree.

A block is a biconnected component of the graph with its ghost spin, to which fields are couplings. To flip all spins
of a block changes no cost in it. So its minimum is the same for either value of one of its spins, its top, and the
others follow from that: they are merged into it. Merging a block changes no coupling of another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from qiosk.bounds.bound import Proof, Scale
from qiosk.bounds.elimination import Effort, elimination
from qiosk.bounds.polynomial import Polynomial
from qiosk.kernels.exact.best import MOST_SPINS, best_by_tree, expected_nodes
from qiosk.model.cost_function import I8, I64

if TYPE_CHECKING:
    from qiosk.kernels.presolve.blocks import Search
    from qiosk.kernels.presolve.graph import Graph

EFFORT = Effort(width=16, work=1 << 25, looked=300_000)
"""Of one block: some 0.2 s at most."""
MOST_COUPLINGS = 10_000
"""Couplings and fields of a block that is tried."""
MOST_DEGREE = 12
"""Couplings for every spin of a block that is eliminated: denser ones are too wide, unless they are small."""
MOST_WORK, MOST_BLOCKS = 60_000, 1_000
"""Couplings and fields of all blocks that are tried together, and blocks: some 0.5 s."""
MOST_LABELLED = 300_000
"""Couplings and fields of a graph whose blocks are sought: some 0.1 s."""
LARGER = np.int64(2**62)
"""Than all costs."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A block of k spins besides its top, with E couplings and fields."""

    edges: I64  # (E,) as in ``Search``
    ends: I64  # (E, 2)
    values: I64  # (E,)
    spins: I64  # (k,) without the top
    top: int


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """The minimum of a block, and (k,) its spins where the top is +1."""

    level: int
    signs: I8


def solve_blocks(graph: Graph, nodes: int, check: Callable[[], None]) -> tuple[int, int]:
    """Merge the spins of blocks that are solved; returns how many spins these are, and how many nodes are left.

    Narrow blocks are eliminated, if they are few. Wide ones of at most 62 spins get a search tree, the smallest first,
    while these have at most ``nodes`` nodes together. ``check`` is called now and then and may raise.
    """
    from qiosk.kernels.presolve.blocks import contract_block
    from qiosk.kernels.presolve.graph import CONSTANT

    found = label(graph, check)
    blocks = [] if found is None else small_blocks(graph, *found)
    solved = [eliminated(block, check) for block in blocks]
    wide = [k for k, done in enumerate(solved) if done is None]
    for k in sorted(wide, key=lambda k: len(blocks[k].spins)):
        solved[k], nodes = branched(blocks[k], nodes, check)
    merged = 0
    for block, done in zip(blocks, solved, strict=True):  # those that hang on a block before it
        if done is not None:
            graph.counters[CONSTANT] += done.level
            contract_block()(graph, block.edges, block.spins, done.signs, block.top)
            merged += len(block.spins)
    return merged, nodes


def share_of_wide_blocks(graph: Graph, nodes: int) -> float:
    """Share of the spins in blocks that seem within reach of search trees of so many nodes together; narrow ones count
    as out of reach. The fields of the graph, which join blocks, become 0.
    """
    from qiosk.kernels.presolve.blocks import label_blocks

    graph.fields[:] = 0
    search = new_search(graph)
    count = int(label_blocks()(graph, search))
    came_by = search.came_by[search.numbers > 0]
    sizes = np.bincount(search.labels[came_by[came_by >= 0]], minlength=count)  # without their tops
    sizes = np.sort(sizes[(sizes > EFFORT.width) & (sizes < MOST_SPINS)])
    is_reached = np.cumsum(expected_nodes(sizes + 1)) <= nodes
    return float(sizes[is_reached].sum() / max(1, len(graph.start)))


def label(graph: Graph, check: Callable[[], None]) -> tuple[Search, int] | None:
    """A search that has labelled the blocks, and how many there are; None where that would take too long."""
    from qiosk.kernels.presolve.blocks import label_blocks

    if np.count_nonzero(graph.weights) + np.count_nonzero(graph.fields[graph.is_left]) > MOST_LABELLED:
        return None
    search = new_search(graph)
    check()
    count = int(label_blocks()(graph, search))
    check()
    return search, count


def small_blocks(graph: Graph, search: Search, count: int) -> list[Block]:
    """The smallest blocks, each after those that hang on it."""
    edges = np.flatnonzero(search.labels >= 0)
    order = edges[np.argsort(search.labels[edges], kind="stable")]
    sizes = np.bincount(search.labels[edges], minlength=count)
    starts = np.cumsum(sizes) - sizes
    smallest = np.argsort(sizes, kind="stable")[:MOST_BLOCKS]
    is_tried = (sizes[smallest] <= MOST_COUPLINGS) & (np.cumsum(sizes[smallest]) <= MOST_WORK)
    return [
        _block(graph, order[starts[k] : starts[k] + sizes[k]], int(search.tops[k]))
        for k in np.sort(smallest[is_tried]).tolist()
    ]


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


def _block(graph: Graph, edges: I64, top: int) -> Block:
    """The block of some edges."""
    m, ghost = len(graph.weights), len(graph.start)
    is_field = edges >= m
    ends = np.empty((len(edges), 2), np.int64)
    ends[is_field, 0], ends[is_field, 1] = edges[is_field] - m, ghost
    ends[~is_field, 0], ends[~is_field, 1] = graph.rows[edges[~is_field]], graph.cols[edges[~is_field]]
    values = np.empty(len(edges), np.int64)
    values[is_field], values[~is_field] = graph.fields[edges[is_field] - m], graph.weights[edges[~is_field]]
    return Block(edges, ends, values, np.setdiff1d(ends, [top]), top)


def eliminated(block: Block, check: Callable[[], None]) -> Solved | None:
    """By elimination, unless the block is too wide."""
    if len(block.spins) > EFFORT.width and len(block.edges) > MOST_DEGREE * len(block.spins):
        return None
    proof: Proof | None = None
    for found in elimination(_terms(block), EFFORT):
        check()
        proof = found
    if proof is None or proof.configuration is None:
        return None
    return Solved(int(proof.level), proof.configuration)


def branched(block: Block, most: int, check: Callable[[], None]) -> tuple[Solved | None, int]:
    """By a search tree, unless that has, or seems to have, more than ``most`` nodes; and how many are left of these."""
    if len(block.spins) >= MOST_SPINS or expected_nodes(len(block.spins) + 1) > most:
        return None, most
    spins = np.append(block.spins, block.top)
    order = np.argsort(spins, kind="stable")
    u, v = order[np.searchsorted(spins, block.ends, sorter=order)].T
    couplings, costs = np.zeros((len(spins), len(spins)), np.int64), np.array([LARGER])
    couplings[u, v] = couplings[v, u] = block.values
    fields = np.zeros(len(spins), np.int64)
    masks, nodes = best_by_tree(couplings, fields, costs, most, is_symmetric=True, check=check)
    if masks is None:
        return None, most - nodes
    signs = 1 - 2 * ((masks[0] >> np.arange(len(spins))) & 1)
    return Solved(int(costs[0]), (signs[:-1] * signs[-1]).astype(np.int8)), most - nodes


def _terms(block: Block) -> Polynomial:
    """The cost of a block as a function of its spins, where the top is +1."""
    is_single = np.any(block.ends == block.top, axis=1)
    single = block.ends[is_single].sum(axis=1) - block.top
    pairs = np.sort(np.searchsorted(block.spins, block.ends[~is_single]), axis=1)
    sizes = np.concatenate([np.ones(len(single), np.int64), np.full(len(pairs), 2)])
    return Polynomial(
        n=len(block.spins),
        is_spin=True,
        indptr=np.concatenate([[0], np.cumsum(sizes)]),
        variables=np.concatenate([np.searchsorted(block.spins, single), pairs.ravel()]),
        values=np.concatenate([block.values[is_single], block.values[~is_single]]),
        scale=Scale(offset=Fraction(0), unit=Fraction(1)),
    )
