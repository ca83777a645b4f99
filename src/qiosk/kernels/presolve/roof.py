"""Roof duality: a maximum flow through two copies of a graph of couplings, whose minimum cut decides spins.

Node ``2 u + b`` stands for spin u having the value ``(-1)**b``. An edge of weight w joins the nodes that agree if it is
satisfied, once for each value, with capacity |w| in both directions; a field joins a node with the source or the sink,
which stand for the ghost spin being +1 and -1. In every optimum a spin has not the value whose node reaches the sink.

The flow is found by push-relabel: heights are distances to the sink, computed again after half as many relabels as
nodes reach it; the others are left alone. What flows into them need not be sent back for the cut.

References: E. Boros, P. L. Hammer, Discrete Appl. Math. 123, 155 (2002), doi:10.1016/S0166-218X(01)00341-9;
A. V. Goldberg, R. E. Tarjan, J. ACM 35, 921 (1988), doi:10.1145/48014.61051.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.compiler import INTERNAL, called, inlined, uncounted_kernel
from qiosk.kernels.presolve.graph import POOL, ROOF, merge, other_end

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

HEAD, TAIL, SEARCHES, RELABELS, REACHED = range(5)
"""Places in ``Flow.counters``: the ends of the queue, as counts of what left and came; whether distances are being
computed; relabels since they were; nodes that reach the sink."""


class Flow(NamedTuple):
    """A flow between the nodes of n spins with m edges."""

    flows: I64  # (m, 2) from node ``2 rows[e] + b`` to the one that agrees with it, at most |weights[e]| either way
    excess: I64  # (2 n,) what came into a node and has not left it
    to_sink: I64  # (2 n,) capacity that is left from a node to the sink
    height: I32  # (2 n,) distance to the sink; 2 n + 1: cannot reach it
    is_queued: NDArray[np.bool_]  # (2 n,)
    queue: I32  # (2 n,) nodes that wait
    counters: I64  # (5,)


@inlined(**INTERNAL)
def _enqueue(f: Any, node: Any) -> None:
    """Put a node at the end of the queue, unless it is in it."""
    if not f.is_queued[node]:
        f.is_queued[node] = True
        f.queue[f.counters[TAIL] % f.queue.size] = node
        f.counters[TAIL] += 1


@inlined(**INTERNAL)
def _dequeue(f: Any) -> Any:
    """Take the first node from the queue."""
    node = f.queue[f.counters[HEAD] % f.queue.size]
    f.counters[HEAD] += 1
    f.is_queued[node] = False
    return node


@inlined(**INTERNAL)
def _across(g: Any, edge: Any, node: Any) -> Any:
    """The node at the other end of an edge that agrees with a node of one of its ends."""
    flip = 1 if g.weights[edge] > 0 else 0
    return 2 * other_end(g, edge, node >> 1) + (node & 1 ^ flip)


@inlined(**INTERNAL)
def _copy(g: Any, edge: Any, node: Any, across: Any) -> Any:
    """Which of the two flows of an edge a node's is, and its sign seen from there."""
    if g.rows[edge] == node >> 1:
        return node & 1, 1
    return across & 1, -1


@called(**INTERNAL)
def _begin_search(f: Any) -> None:
    """Begin to compute distances."""
    far = f.height.size + 1
    f.counters[HEAD], f.counters[TAIL], f.counters[SEARCHES], f.counters[RELABELS] = 0, 0, 1, 0
    for node in range(f.height.size):
        f.is_queued[node] = False
    for node in range(f.height.size):
        f.height[node] = far
        if f.to_sink[node] > 0:
            f.height[node] = 1
            _enqueue(f, node)


@called(**INTERNAL)
def _end_search(f: Any) -> None:
    """All distances are computed: the nodes with an excess that can go on wait."""
    far = f.height.size + 1
    f.counters[REACHED] = f.counters[TAIL]
    f.counters[HEAD], f.counters[TAIL], f.counters[SEARCHES] = 0, 0, 0
    for node in range(f.height.size):
        f.is_queued[node] = False
    for node in range(f.height.size):
        if f.excess[node] > 0 and f.height[node] < far:
            _enqueue(f, node)


@called(**INTERNAL)
def _search_from(g: Any, f: Any, node: Any) -> None:
    """Note the distance of the nodes from which an edge leads to this one."""
    far, spin = f.height.size + 1, node >> 1
    pool, begin = g.counters[POOL], g.start[spin]
    for k in range(begin, begin + g.size[spin]):
        edge = g.pools[pool, k]
        size = abs(g.weights[edge])
        if size == 0:
            continue
        across = _across(g, edge, node)
        if f.height[across] == far:
            copy, sign = _copy(g, edge, node, across)
            if size + sign * f.flows[edge, copy] > 0:  # from across to here
                f.height[across] = f.height[node] + 1
                _enqueue(f, across)


@called(**INTERNAL)
def _discharge(g: Any, f: Any, node: Any) -> None:
    """Send the excess of a node on, and lift the node where that is needed."""
    far, spin = f.height.size + 1, node >> 1
    sent = min(f.excess[node], f.to_sink[node])
    f.excess[node] -= sent
    f.to_sink[node] -= sent
    pool, begin = g.counters[POOL], g.start[spin]
    while f.excess[node] > 0 and f.height[node] < far:
        lowest = np.int64(far)
        for k in range(begin, begin + g.size[spin]):
            edge = g.pools[pool, k]
            size = abs(g.weights[edge])
            if size == 0:
                continue
            across = _across(g, edge, node)
            copy, sign = _copy(g, edge, node, across)
            capacity = size - sign * f.flows[edge, copy]
            if capacity == 0:
                continue
            if f.height[across] + 1 == f.height[node]:
                sent = min(f.excess[node], capacity)
                f.flows[edge, copy] += sign * sent
                f.excess[node] -= sent
                f.excess[across] += sent
                _enqueue(f, across)
                if f.excess[node] == 0:
                    return
                capacity -= sent
            if capacity > 0:
                lowest = min(lowest, np.int64(f.height[across]) + 1)
        f.height[node] = min(lowest, np.int64(far))
        f.counters[RELABELS] += 1


@cache
def begin_flow() -> Any:
    """``begin(graph, flow)``: sets capacities to and from the ghost, and begins; all arrays of ``flow`` are zeros."""

    @uncounted_kernel
    def begin(g: Any, f: Any) -> None:
        for spin in range(g.fields.size):
            if not g.is_left[spin]:
                continue
            field = g.fields[spin]
            agrees = 2 * spin + (1 if field > 0 else 0)
            f.excess[agrees] = abs(field)
            f.to_sink[agrees ^ 1] = abs(field)
        _begin_search(f)

    return begin


@cache
def push_flow() -> Any:
    """``push(graph, flow, steps) -> is_done``: looks at ``steps`` nodes, or until the flow is a maximum.

    graph: a ``Graph``; flow: a ``Flow`` after ``begin_flow``, updated. At the end the nodes that reach the sink, by
    capacities that are left, are those of a height below 2 n + 1.
    """

    @uncounted_kernel
    def push(g: Any, f: Any, steps: Any) -> Any:
        for _ in range(steps):
            is_empty = f.counters[HEAD] == f.counters[TAIL]
            if f.counters[SEARCHES]:
                if is_empty:
                    _end_search(f)
                    if f.counters[TAIL] == 0:
                        return True
                else:
                    _search_from(g, f, _next(f))
            elif is_empty or f.counters[RELABELS] > f.counters[REACHED] // 2:
                _begin_search(f)
            else:
                _discharge(g, f, _dequeue(f))
        return False

    return push


@inlined(**INTERNAL)
def _next(f: Any) -> Any:
    """The first node of the queue during a search, where every node comes once: it stays marked."""
    node = f.queue[f.counters[HEAD]]
    f.counters[HEAD] += 1
    return node


@cache
def fix_persistent() -> Any:
    """``fix(graph, height) -> count``: fixes the spins of which one node reaches the sink at the other value.

    height: (2 n,) of a maximum flow.
    """

    @uncounted_kernel
    def fix(g: Any, height: Any) -> Any:
        far, count, ghost = height.size + 1, 0, g.start.size
        for spin in range(ghost):
            for b in range(2):
                if height[2 * spin + b] < far and g.is_left[spin]:
                    merge(g, spin, ghost, 2 * b - 1, ROOF)
                    count += 1
        return count

    return fix
