"""Components of what is left that are so narrow that their minimum is computed at once, by elimination."""

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
    from qiosk.kernels.presolve.graph import Graph

EFFORT = Effort(width=16, work=1 << 25, looked=300_000)
"""Of one component: some 0.2 s at most."""
MOST_COUPLINGS = 10_000
"""Couplings of a component that is tried."""
MOST_DEGREE = 12
"""Couplings for every spin of a component that is tried: denser ones are too wide, unless they are small."""
MOST_WORK = 60_000
"""Couplings of all components that are tried together: some 0.5 s."""


def eliminate_components(graph: Graph, check: Callable[[], None]) -> int:
    """Fix the spins of narrow components in an optimum, the smallest first; returns how many spins these are.

    ``check`` is called now and then and may raise.
    """
    from qiosk.kernels.presolve.components import join_vertices

    edges = np.flatnonzero(graph.weights)
    if not len(edges):
        return 0
    rows, cols = graph.rows[edges], graph.cols[edges]
    parents = np.arange(len(graph.start))
    join_vertices()(parents, rows, cols)
    order = np.argsort(parents[rows], kind="stable")
    _, starts = np.unique(parents[rows][order], return_index=True)
    sizes = np.diff(np.append(starts, len(order)))
    work, count = 0, 0
    for k in np.argsort(sizes, kind="stable").tolist():
        work += int(sizes[k])
        if sizes[k] > MOST_COUPLINGS or work > MOST_WORK:
            break
        chosen = edges[order[starts[k] : starts[k] + sizes[k]]]
        count += _eliminate(graph, chosen, check)
    return count


def _eliminate(graph: Graph, edges: I64, check: Callable[[], None]) -> int:
    """Fix the spins of one component, all of whose edges are given; returns how many, 0 if it is too wide."""
    ends = np.stack([graph.rows[edges], graph.cols[edges]], axis=1)
    spins, places = np.unique(ends.astype(np.int64), return_inverse=True)
    n = len(spins)
    if n > EFFORT.width and len(edges) > MOST_DEGREE * n:
        return 0
    proof: Proof | None = None
    for found in elimination(_terms(graph, edges, spins, np.sort(places.reshape(-1, 2), axis=1)), EFFORT):
        check()
        proof = found
    if proof is None or proof.configuration is None:
        return 0
    _fix(graph, edges, spins, proof)
    return n


def _terms(graph: Graph, edges: I64, spins: I64, pairs: I64) -> Polynomial:
    fields = graph.fields[spins]
    has_field = np.flatnonzero(fields)
    sizes = np.concatenate([np.ones(len(has_field), np.int64), np.full(len(pairs), 2)])
    return Polynomial(
        n=len(spins),
        is_spin=True,
        indptr=np.concatenate([[0], np.cumsum(sizes)]),
        variables=np.concatenate([has_field, pairs.ravel()]),
        values=np.concatenate([fields[has_field], graph.weights[edges]]),
        scale=Scale(offset=Fraction(0), unit=Fraction(1)),
    )


def _fix(graph: Graph, edges: I64, spins: I64, proof: Proof) -> None:
    """Take the spins out, each as a record that depends on the ghost alone."""
    from qiosk.kernels.presolve.graph import CONSTANT, REMOVED

    first = int(graph.counters[REMOVED])
    places = slice(first, first + len(spins))
    graph.removed[places] = spins
    graph.partners[places] = -1
    graph.partners[places, 0] = len(graph.start)
    graph.couplings[places] = 0
    graph.couplings[places, 0] = -np.asarray(proof.configuration, np.int64)
    graph.counters[REMOVED] += len(spins)
    graph.counters[CONSTANT] += int(proof.level)
    graph.is_left[spins] = False
    graph.fields[spins] = 0
    graph.weights[edges] = 0
