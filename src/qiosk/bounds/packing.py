"""Frustrated cycles packed into a graph, for sparse problems of any size.

On a frustrated cycle some coupling is not at its least. So if cycles C carry values v_C >= 0 that add up to at most
|w_e| on every edge e, then

    level >= constant - sum_e |w_e| + 2 sum_C v_C.

The best packing is the dual of the relaxation by odd cycles, which is at least as good as roof duality. Short cycles
are found with lengths that grow exponentially with the load of an edge; then the values are scaled down until they fit,
and rounded down to integers in units of 2**-shift; what is left of the edges is filled greedily.

References: N. Garg, J. Könemann, SIAM J. Comput. 37, 630 (2007), doi:10.1137/S0097539704446232; F. Barahona, A. R.
Mahjoub, Math. Program. 36, 157 (1986), doi:10.1007/BF02592023.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from qiosk.bounds.bound import Proof
from qiosk.bounds.graph import SpinGraph
from qiosk.model.cost_function import F64, I64

if TYPE_CHECKING:
    from qiosk.kernels.bounds.frustrated import Cover, Cycles

METHOD = "cycles"
GROWTHS = (0.4, 0.1)
"""How fast edges become longer: first quickly, then as well as it pays."""
MOST_SHIFT = 16
BITS = 61
"""All loads together stay below 2**61."""
WORK = 100_000
"""Nodes of a search that are looked at before the caller is asked whether to go on; some 20 ms."""
MOST_NODES = 2000
"""Nodes of one search, at most."""
MOST_EDGES = 40
"""Edges of a cycle that fills what is left, at most."""
ROOM = 4_000_000
"""Edges of all cycles together: 32 MB."""
STALE = 2e-4
"""Gain of a phase, as a share of the packing, below which it counts as none."""
PATIENCE = 7.0
"""How many times longer cycles may become without a gain until a packing is done."""
MOST_PHASES = 1000
FIRST_PARTS = 3
"""Parts of filling after which there is a first proof: some 20 ms, while filling all takes 0.1 s and more."""
SAFETY = 1.0 - 1e-12
"""So that values that were scaled to fit in float64 fit in integers, too."""


@dataclass(frozen=True, slots=True, eq=False)
class Packing:
    """Cycles in a row: cycle c has the edges ``members[indptr[c]:indptr[c + 1]]`` and a value."""

    indptr: I64
    members: I64
    values: F64 | I64


def packing(graph: SpinGraph, seed: int) -> Iterator[Proof | None]:
    """Yields None between parts of the work, and each proof that is better than the one before."""
    best: Fraction | None = None
    for growth in GROWTHS:
        before = best
        for packed in packed_cycles(graph, seed, growth):
            if packed is None:
                yield None
                continue
            proof = yield from proved(graph, packed, is_first=best is None)
            if best is None or proof.level > best:
                best = proof.level
                yield proof
        if best is None or best == before:
            return


def packed_cycles(graph: SpinGraph, seed: int, growth: float) -> Iterator[Packing | None]:
    """Cycles with values that need not fit yet, whenever the work has doubled, and at the end."""
    from qiosk.kernels.bounds.frustrated import COUNT, FULL, PLACE, pack_cycles

    if not len(graph.weights):
        return
    mean = float(np.abs(graph.weights).mean())
    capacities = np.abs(graph.weights) / mean
    lengths, loads = 1.0 / capacities, np.zeros(len(capacities))
    work_space, found = cover(graph), empty_cycles(ROOM)
    values = np.empty(len(found.indptr))
    roots = np.random.default_rng((seed % 2**64, 0xB0)).permutation(graph.vertices)
    limit = 3.0 * float(lengths.min())
    best, gained_at, parts, told = 0.0, limit, 0, 2
    pack = pack_cycles()

    def so_far() -> Packing:
        count = int(found.counters[COUNT])
        return Packing(found.indptr[: count + 1], found.members[: found.indptr[count]], values[:count] * mean)

    for _ in range(MOST_PHASES):
        limit *= 1.0 + growth
        found.counters[PLACE] = 0
        while not pack(work_space, lengths, capacities, loads, found, values, roots, limit, growth, MOST_NODES, WORK):
            parts += 1
            yield None
        count = int(found.counters[COUNT])
        if found.counters[FULL]:
            break
        packed = values[:count].sum() / (loads / capacities).max() if count else 0.0
        if packed > best * (1.0 + STALE) or not count:
            best, gained_at = packed, limit
        if limit > PATIENCE * gained_at or (not count and limit > graph.vertices * lengths.max()):
            break
        if count and parts >= told:
            told = 2 * parts
            yield so_far()
    if found.counters[COUNT]:
        yield so_far()


def first_packing(graph: SpinGraph, seed: int) -> Iterator[Proof | None]:
    """As ``packing``, up to its first proof."""
    for proof in packing(graph, seed):
        yield proof
        if proof is not None:
            return


def proved(graph: SpinGraph, packed: Packing, *, is_first: bool = False) -> Generator[Proof | None, None, Proof]:
    """The values scaled down, rounded down, and what is left of the edges filled.

    The first time, it also yields what is proved before all is filled.
    """
    from qiosk.kernels.bounds.frustrated import COUNT, FULL, PLACE, fill_cycles

    shift = max(0, min(MOST_SHIFT, BITS - graph.size.bit_length()))
    kept, left = _fitting(graph, packed, shift)
    count, end = len(kept.values), len(kept.members)
    found = empty_cycles(end + ROOM // 4)
    found.indptr[: count + 1], found.members[:end] = kept.indptr, kept.members
    found.counters[COUNT] = count
    values = np.zeros(len(found.indptr), np.int64)
    values[:count] = kept.values
    parts = 0
    if len(left):
        lengths = np.where(left > 0, 1.0, np.inf)
        fill, work_space = fill_cycles(), cover(graph)
        roots = np.arange(graph.vertices)
        found.counters[PLACE] = found.counters[FULL] = 0
        while not fill(work_space, lengths, left, found, values, roots, MOST_EDGES + 0.5, MOST_NODES, WORK):
            parts += 1
            yield _proof_of(graph, found, values, shift) if is_first and parts == FIRST_PARTS else None
    return _proof_of(graph, found, values, shift)


def _proof_of(graph: SpinGraph, found: Cycles, values: I64, shift: int) -> Proof:
    from qiosk.kernels.bounds.frustrated import COUNT

    count = int(found.counters[COUNT])
    indptr, values = found.indptr[: count + 1], values[:count]
    members = found.members[: indptr[-1]]
    level = graph.least + Fraction(2 * int(values.sum()), 1 << shift)
    return Proof(
        method=METHOD,
        level=graph.rounded_up(level),
        scale=graph.scale,
        arrays={
            "cycle_indptr": indptr.copy(),
            "cycle_rows": graph.rows[members].astype(np.int32),
            "cycle_cols": graph.cols[members].astype(np.int32),
            "cycle_values": values.copy(),
            "shift": np.array(shift),
        },
    )


def _fitting(graph: SpinGraph, packed: Packing, shift: int) -> tuple[Packing, I64]:
    """The cycles with integer values [2**-shift] that fit, and what they leave of the edges (E,)."""
    sizes = np.diff(packed.indptr)
    capacities = np.abs(graph.weights)
    room = capacities << shift
    if not len(sizes):
        return packed, room
    loads = np.bincount(packed.members, np.repeat(packed.values, sizes), len(capacities))
    excess = np.maximum(loads / capacities, 1.0)
    own = np.maximum.reduceat(excess[packed.members], packed.indptr[:-1])
    values = np.floor(packed.values / own * float(1 << shift) * SAFETY).astype(np.int64)
    is_kept = values > 0
    members = packed.members[np.repeat(is_kept, sizes)]
    indptr = np.concatenate([[0], np.cumsum(sizes[is_kept])]).astype(np.int64)
    values = values[is_kept]
    left = room.copy()
    np.subtract.at(left, members, np.repeat(values, sizes[is_kept]))
    if left.min(initial=0) < 0:
        raise ArithmeticError("cycles: values that were scaled to fit do not fit")
    return Packing(indptr, members, values), left


def cover(graph: SpinGraph) -> Cover:
    """The double cover of a graph."""
    from qiosk.kernels.bounds.frustrated import Cover

    n, m = graph.vertices, len(graph.weights)
    indptr, others, edges = graph.adjacency
    return Cover(
        indptr=indptr,
        others=others,
        edges=edges,
        flips=(graph.weights > 0).astype(np.int64),
        distances=np.full(2 * n, np.inf),
        parents=np.empty(2 * n, np.int64),
        via=np.full(2 * n, -1, np.int64),
        touched=np.empty(2 * n, np.int64),
        keys=np.empty(2 * m + 2 * n),
        nodes=np.empty(2 * m + 2 * n, np.int64),
        walk=np.empty(4 * n + 2, np.int64),
        steps=np.empty(4 * n + 2, np.int64),
        places=np.full(n, -1, np.int64),
        stack=np.empty(n + 1, np.int64),
        path=np.empty(n + 1, np.int64),
    )


def empty_cycles(room: int) -> Cycles:
    """Room for cycles of so many edges together."""
    from qiosk.kernels.bounds.frustrated import Cycles

    return Cycles(np.zeros(room // 3 + 2, np.int64), np.empty(room, np.int64), np.zeros(3, np.int64))
