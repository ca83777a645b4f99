"""Nodes bounded by a semidefinite program with triangle inequalities, for dense problems."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from qiosk.bounds.branch.merging import Merging
from qiosk.bounds.branch.proving import Multipliers, multipliers_of
from qiosk.bounds.branch.relaxed import CALMER, SHAKE, Point, Relaxed
from qiosk.bounds.branch.tree import Branching, Node, Tree
from qiosk.bounds.graph import SpinGraph
from qiosk.model.cost_function import F64, I8, I64

MOST_VERTICES = 400
"""Rows of the largest matrix."""
STEPS = 20
"""Of the vectors in a round."""
LEAST_ROUNDS, MOST_ROUNDS = 5, 16
AHEAD = 3.0
"""A node is branched on where so many rounds like the last one would not close it."""
FIRST_EXCESS, NEXT_EXCESS = 0.2, 0.1
"""By how much the first new triangles of a node must be violated: where the parent left nothing, and at others."""
HYPERPLANES, MORE_HYPERPLANES = 3, 10
"""Roundings after a round, and where the parent left nothing."""
WITHIN = 1e-3
"""Share of the distance of levels by which a bound is to be above what is needed."""
POWER = 2.0
"""Of what is not known of a product, in the choice of two spins, both of which are known well relative to others."""


@dataclass(frozen=True, slots=True, eq=False)
class Warm:
    """Where the search at a node ended: the roots of its vertices (n,), and multipliers in units of levels."""

    roots: I64
    point: Point


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The couplings of the roots that are left."""

    roots: I64  # (n,)
    weights: F64  # (n, n) exact
    constant: int
    scale: float  # divided by it, the weights have mean square 1


def part_of(graph: SpinGraph, merging: Merging) -> Part:
    """What is left of a graph."""
    roots = np.unique(merging.roots)
    place = np.empty(graph.vertices, np.int64)
    place[roots] = np.arange(len(roots))
    rows, cols = place[merging.roots[graph.rows]], place[merging.roots[graph.cols]]
    signed = graph.weights * merging.signs[graph.rows] * merging.signs[graph.cols]
    is_inside = rows == cols
    weights = np.zeros((len(roots), len(roots)), np.int64)
    np.add.at(weights, (rows[~is_inside], cols[~is_inside]), signed[~is_inside])
    exact = (weights + weights.T).astype(np.float64)
    pairs = max(1, len(roots) * (len(roots) - 1))
    scale = float(np.sqrt(np.square(exact).sum() / pairs)) or 1.0
    return Part(roots, exact, graph.constant + int(signed[is_inside].sum()), scale)


class TriangleRelaxation:
    """Bounds nodes from where the search ended at their parents; the size of the graph is below 2**50."""

    def __init__(self, graph: SpinGraph, seed: int) -> None:
        self.graph = graph
        self._rng = np.random.default_rng((seed % 2**64, 0xB5))

    def solve(self, node: Node, tree: Tree) -> Generator[None, None, Branching]:
        """Rounds of vectors and multipliers, each with further triangles, until the node is cut or gains too little."""
        part, is_cold = part_of(self.graph, node.merging), node.warm is None
        if len(part.roots) == 1:
            tree.offer(node.merging.signs * 1)
            return Branching(node=replace(node, level=max(node.level, Fraction(part.constant))), pair=None)
        relaxed, before = Relaxed(part.weights / part.scale, self._start(part, node)), -np.inf
        least = FIRST_EXCESS if is_cold else NEXT_EXCESS
        for k in range(MOST_ROUNDS):
            if k or is_cold:
                relaxed.shake(SHAKE * CALMER**k, self._rng)
            yield from relaxed.descend(STEPS)
            self._round(relaxed, part, node.merging, tree, MORE_HYPERPLANES if is_cold else HYPERPLANES)
            tree.look()
            found = self._multipliers(relaxed, part)
            level = yield from self._cut(found, part, node, tree)
            if level is None and is_cold and found is not None:
                level = yield from found.best_proved()
            if level is not None:
                node = replace(node, level=max(level, node.level))
                tree.present = node.level
            if tree.is_cut(node.level):
                return Branching(node=node, pair=None)
            value = part.scale * relaxed.value + part.constant
            if k + 1 >= LEAST_ROUNDS and _needed(tree) - value > AHEAD * (value - before):
                break
            before = value
            if k + 1 < MOST_ROUNDS:
                _, least = yield from relaxed.separate(least)
        if not is_cold and found is not None:
            level = yield from found.best_proved()
            node = replace(node, level=max(level or node.level, node.level))
        return self._branching(node, relaxed, part)

    def _start(self, part: Part, node: Node) -> Point:
        """Where the parent ended."""
        if node.warm is None:
            return Point.random(len(part.roots), self._rng)
        warm: Warm = node.warm
        merging, roots = node.merging, warm.roots
        places = np.searchsorted(part.roots, merging.roots[roots])
        moved = warm.point.merged(places, merging.signs[roots], self._rng)
        return replace(moved, gamma=moved.gamma / part.scale)

    def _multipliers(self, relaxed: Relaxed, part: Part) -> Multipliers | None:
        """What the present point may prove."""
        point, scale = relaxed.point, part.scale
        return multipliers_of(
            part.weights, part.constant, self.graph.size, point.triangles, scale * point.gamma, scale * relaxed.pulls
        )

    def _cut(
        self, found: Multipliers | None, part: Part, node: Node, tree: Tree
    ) -> Generator[None, None, Fraction | None]:
        """A bound that cuts the node, if there is one: of all its configurations, or of all but the best one."""
        if found is None or tree.best is None:
            return None
        needed = _needed(tree)
        if found.level > needed:
            return (yield from found.proved(2.0 * (found.level - needed) / len(part.roots)))
        if not np.array_equal(node.merging.signs * tree.best[node.merging.roots], tree.best):
            return None
        return (yield from found.proved_but_for(tree.best[part.roots], needed))

    def _branching(self, node: Node, relaxed: Relaxed, part: Part) -> Branching:
        """On two spins of which little is known whether they are equal, but much how others relate to each."""
        below = relaxed.products
        known = 1.0 + np.square(below).sum(axis=0) + np.square(below).sum(axis=1)
        i, j = np.tril_indices(len(part.roots), -1)
        q = int(np.argmax((1.0 - np.abs(below[i, j])) ** POWER * np.minimum(known[i], known[j])))
        point = replace(relaxed.point, gamma=part.scale * relaxed.point.gamma)
        warm = Warm(part.roots, point)
        return Branching(node=replace(node, warm=warm), pair=(int(part.roots[i[q]]), int(part.roots[j[q]])))

    def _round(self, relaxed: Relaxed, part: Part, merging: Merging, tree: Tree, times: int) -> None:
        """Configurations from random hyperplanes."""
        place = np.searchsorted(part.roots, merging.roots)
        vectors = relaxed.point.vectors
        normals = self._rng.normal(size=(times, len(vectors)))
        for normal in normals:
            sides = np.where(np.einsum("k,ki->i", normal, vectors) < 0.0, -1, 1).astype(np.int8)
            spins: I8 = sides[place] * merging.signs
            tree.offer_descended(spins)


def _needed(tree: Tree) -> float:
    """A bound above this cuts a node."""
    if tree.goal is None:
        return np.inf
    return float(tree.goal) - (1.0 - WITHIN) * tree.graph.apart
