"""Which bounds the nodes of a tree get."""

from __future__ import annotations

from collections.abc import Callable

from qiosk.bounds import covering
from qiosk.bounds.branch.cycles import CycleRelaxation
from qiosk.bounds.branch.tree import Relaxation
from qiosk.bounds.branch.triangles import MOST_VERTICES, TriangleRelaxation
from qiosk.bounds.graph import SpinGraph
from qiosk.errors import InvalidValue

SPARSE_DEGREE = 10.0
"""Mean number of neighbours up to which the inequalities of cycles are better than the semidefinite program."""


def relaxation_of(graph: SpinGraph, seed: int, rounded: Callable[[], SpinGraph]) -> Relaxation:
    """Cycles for sparse graphs, triangles for dense ones: those of ``rounded``, of which float64 holds all weights.

    Raises InvalidValue for those that are too large.
    """
    may_be_sparse = covering.is_installed() and len(graph.weights) <= covering.MOST_EDGES
    is_sparse = 2 * len(graph.weights) <= SPARSE_DEGREE * graph.vertices
    if may_be_sparse and (is_sparse or graph.vertices > MOST_VERTICES):
        return CycleRelaxation(graph, seed)
    if 0 < graph.vertices <= MOST_VERTICES:
        return TriangleRelaxation(rounded(), seed)
    raise InvalidValue(
        f"bound 'branch': is for at most {MOST_VERTICES} variables, or with qiosk[lp] for {covering.MOST_EDGES} "
        f"couplings, found {graph.vertices} variables and {len(graph.weights)} couplings"
    )
