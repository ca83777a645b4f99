"""Blocks with fields that hang on the others by one spin: they become a field on it.

A block here is a biconnected component of the graph without its ghost spin. A leaf shares one spin, its anchor, with
blocks that are not solved. Its minimum is computed for either value of the anchor, and the difference of both is twice
a field. The other spins are equal or opposite to the anchor, or fixed, as both minima have them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from qiosk.model.cost_function import I64
from qiosk.presolve.blocks import Block, Solved, branched, eliminated, label, small_blocks

if TYPE_CHECKING:
    from qiosk.kernels.presolve.graph import Graph


def solve_leaves(graph: Graph, nodes: int, check: Callable[[], None]) -> int:
    """Take out leaves, as :func:`solve_blocks` does blocks; returns how many spins are taken out."""
    fields = graph.fields.copy()
    if not fields[graph.is_left].any():
        return 0
    graph.fields[:] = 0
    try:
        found = label(graph, check)
    finally:
        graph.fields[:] = fields
    if found is None:
        return 0
    search, count = found
    blocks_of = (search.came_by[:-1] >= 0) * (search.numbers[:-1] > 0) + np.bincount(
        search.tops[:count], minlength=len(fields) + 1
    )[:-1]
    blocks = [block for block in small_blocks(graph, search, count) if (blocks_of[_vertices(block)] > 1).any()]
    # first from those that hang on others, then from the root of the search
    taken, is_tried = 0, [False] * len(blocks)
    for k in [*range(len(blocks)), *reversed(range(len(blocks)))]:
        vertices = _vertices(blocks[k])
        anchors = vertices[blocks_of[vertices] > 1]
        if is_tried[k] or len(anchors) > 1:
            continue
        is_tried[k], anchor = True, int(anchors[0]) if len(anchors) else None
        is_taken, nodes = _take_out(graph, blocks[k], anchor, nodes, check)
        if is_taken:
            blocks_of[vertices] -= 1
            taken += len(vertices) - len(anchors)
    return taken


def _vertices(block: Block) -> I64:
    return np.sort(np.append(block.spins, block.top))


def _take_out(
    graph: Graph, block: Block, anchor: int | None, nodes: int, check: Callable[[], None]
) -> tuple[bool, int]:
    """Whether a leaf was taken out, and how many nodes are left; without an anchor its spins are all fixed."""
    from qiosk.kernels.presolve.blocks import add_to_field, contract_block
    from qiosk.kernels.presolve.graph import CONSTANT

    ghost, vertices = len(graph.start), _vertices(block)
    spins = vertices if anchor is None else vertices[vertices != anchor]
    fields = spins[graph.fields[spins] != 0]
    edges = np.concatenate([block.edges, len(graph.weights) + fields])
    solved = list[Solved]()
    for value in (1, -1)[: 1 if anchor is None else 2]:
        conditional = _with_fields(graph, block, spins, anchor, value)
        done = eliminated(conditional, check)
        if done is None:
            done, nodes = branched(conditional, nodes, check)
        if done is None:
            return False, nodes
        solved.append(done)
    up, down = solved[0], solved[-1]
    graph.counters[CONSTANT] += (up.level + down.level) // 2
    is_fixed = up.signs == down.signs
    contract_block()(graph, edges, spins[is_fixed], up.signs[is_fixed], ghost)
    if anchor is not None:
        contract_block()(graph, edges[:0], spins[~is_fixed], up.signs[~is_fixed], anchor)
        add_to_field()(graph, anchor, (up.level - down.level) // 2)  # costs differ by even numbers
    return True, nodes


def _with_fields(graph: Graph, block: Block, spins: I64, anchor: int | None, value: int) -> Block:
    """The block where its anchor is +1 or -1: the ghost is its top."""
    ghost = len(graph.start)
    fields = graph.fields[spins].copy()
    is_inner = np.isin(block.ends, spins).all(axis=1)
    for (u, v), weight in zip(block.ends[~is_inner].tolist(), block.values[~is_inner].tolist(), strict=True):
        fields[spins == (v if u == anchor else u)] += value * weight
    there = fields != 0
    ends = np.concatenate([block.ends[is_inner], np.stack([spins[there], np.full(there.sum(), ghost)], axis=1)])
    values = np.concatenate([block.values[is_inner], fields[there]])
    return Block(np.arange(len(ends)), ends, values, spins, ghost)
