"""The graph that the rules change: made from the integers of a problem, and made a problem again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qiosk.model.arrays.pairs import PairList
from qiosk.model.compiled import CompiledProblem
from qiosk.model.exact import SpinIntegers

if TYPE_CHECKING:
    from qiosk.kernels.presolve.graph import Graph

_EDGE = np.dtype([("rows", "i4"), ("cols", "i4"), ("weights", "i8")])
_SPIN = np.dtype(
    [
        ("fields", "i8"),
        ("totals", "i8"),
        ("largest", "i8"),
        ("start", "i8"),
        ("size", "i4"),
        ("room", "i4"),
        ("degree", "i4"),
        ("is_left", "?"),
        ("is_queued", "?", (3,)),
        ("padding", "i8", (2,)),
    ],
    align=True,
)
"""What a rule reads of an edge, or of a spin, is in one line of the cache."""
MOST_BITS = 61
"""All integers together stay below 2**61, however often they are doubled."""


def make_graph(integers: SpinIntegers, check: Callable[[], None]) -> Graph:
    """The graph of some integers; all spins wait to be looked at. ``check`` may raise."""
    from qiosk.kernels.aligned import aligned_empty, aligned_zeros
    from qiosk.kernels.presolve.graph import FIRST, MOST_DOUBLINGS, PAIR_DEGREE, RULES, Graph, pool_size
    from qiosk.kernels.presolve.rules import make_lists

    is_edge = integers.weights != 0  # sizes below the unit were rounded to 0
    n, m = len(integers.fields), int(np.count_nonzero(is_edge))
    counters = np.zeros(6, np.int64)
    counters[MOST_DOUBLINGS] = MOST_BITS - integers.size.bit_length()
    spins, edges = aligned_zeros(n, _SPIN), aligned_empty(m, _EDGE)
    for name in ("rows", "cols", "weights"):
        edges[name] = getattr(integers, name)[is_edge]
    spins["fields"], spins["is_left"] = integers.fields, True
    spins["is_queued"][:, FIRST] = True
    graph = Graph(
        **{name: spins[name] for name in _SPIN.names or () if name not in ("is_queued", "padding")},
        **{name: edges[name] for name in _EDGE.names or ()},
        is_queued=spins["is_queued"].T,
        pools=np.empty((2, pool_size(n, m)), np.int32),
        removed=np.empty(n, np.int32),
        partners=np.full((n, 3), -1, np.int32),
        couplings=np.zeros((n, 3), np.int64),
        counters=counters,
        counts=np.zeros(len(RULES), np.int64),
        queues=np.tile(np.arange(n - 1, -1, -1, dtype=np.int32), (3, 1)),
        lengths=np.array([n, 0, 0]),
        near=np.empty(PAIR_DEGREE, np.int32),
        sizes=np.empty(PAIR_DEGREE, np.int64),
    )
    check()
    make_lists()(graph)
    return graph


def what_is_left(
    problem: CompiledProblem, integers: SpinIntegers, graph: Graph, check: Callable[[], None]
) -> CompiledProblem:
    """The spins that are left, as a compiled problem. ``check`` may raise."""
    from qiosk.kernels.presolve.graph import CONSTANT, DOUBLINGS

    factor = 2.0 ** int(graph.counters[DOUBLINGS])
    unit = integers.unit / factor
    edges = np.flatnonzero(graph.weights)
    place = np.cumsum(graph.is_left) - 1
    u, v = place[graph.rows[edges]], place[graph.cols[edges]]
    rows, cols = np.minimum(u, v), np.maximum(u, v)
    check()
    order = np.argsort(rows * max(1, graph.is_left.sum()) + cols, kind="stable")
    check()
    constant = integers.constant + int(graph.counters[CONSTANT]) / factor
    return replace(
        problem,
        is_spin=True,
        variables=problem.variables[graph.is_left],
        constant=integers.offset + integers.unit * constant,
        linear=graph.fields[graph.is_left].astype(np.float64) * unit,
        pairs=PairList(
            rows[order].astype(np.int32),
            cols[order].astype(np.int32),
            graph.weights[edges[order]].astype(np.float64) * unit,
        ),
    )
