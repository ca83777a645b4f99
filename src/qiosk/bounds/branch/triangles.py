"""Nodes bounded by a semidefinite program with triangle inequalities, for dense problems."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from qiosk.bounds.branch.dual import Dual
from qiosk.bounds.branch.merging import Merging
from qiosk.bounds.branch.tree import Branching, Node, Tree
from qiosk.bounds.graph import SpinGraph
from qiosk.bounds.semidefinite import repaired
from qiosk.bounds.triangles import FIRST_EXCESS, most_violated
from qiosk.model.cost_function import F64, I8, I32, I64

MOST_VERTICES = 400
"""Rows of the largest matrix: an eigendecomposition takes some 20 ms then."""
MOST_SHIFT = 20
BITS = 52
"""Couplings less multiples of 2**-shift are exact in float64 below 2**52 of these."""
ALPHAS = (1.0, 1e-4)
"""The penalty, first and last, for couplings of mean square 1."""
SHRINK = 0.5
STEPS = 12
"""Of the quasi-Newton method in a round."""
NEW_TRIANGLES = 6
"""New triangles of a round, for every vertex, at most."""
HYPERPLANES = 40
MOST_ROUNDS = 60
SLOW = 0.1
"""Share of what is missing that a round must gain, or a node is branched on."""
PATIENCE = 1
POWER = 2.0
"""Of what is not known of a product, in the choice of two spins, both of which are known well relative to others."""


@dataclass(frozen=True, slots=True, eq=False)
class Warm:
    """The dual variables of the parent: by vertex (V,), and triangles of vertices."""

    y: F64
    triangles: I32
    gamma: F64
    alpha: float


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The couplings of the roots that are left."""

    roots: I64  # (n,)
    weights: F64  # (n, n) exact
    constant: int


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
    weights += weights.T
    return Part(roots, weights.astype(np.float64), graph.constant + int(signed[is_inside].sum()))


def is_suited(graph: SpinGraph) -> bool:
    """Whether the matrix is small enough, and exact."""
    return 0 < graph.vertices <= MOST_VERTICES and graph.size < 2**40


class TriangleRelaxation:
    """Bounds nodes by the dual variables of their parents, improved."""

    def __init__(self, graph: SpinGraph, seed: int) -> None:
        self.graph = graph
        self._seed = seed
        self._rng = np.random.default_rng((seed % 2**64, 0xB5))
        self._shift = max(0, min(MOST_SHIFT, BITS - 2 - graph.size.bit_length()))

    def solve(self, node: Node, tree: Tree) -> Generator[None, None, Branching]:
        """Rounds of the dual, each with further triangles, until it is cut or gains too little."""
        part = part_of(self.graph, node.merging)
        if len(part.roots) == 1:
            tree.offer(node.merging.signs * 1)
            return Branching(node=replace(node, level=max(node.level, Fraction(part.constant))), pair=None)
        scale = float(np.sqrt(np.square(part.weights).sum() / (len(part.roots) * (len(part.roots) - 1)))) or 1.0
        dual = _begun(part, node, scale)
        slow, before, least = 0, Fraction(self.graph.least), FIRST_EXCESS
        for _ in range(MOST_ROUNDS):
            for _ in dual.ascend(STEPS, 1e-3):
                yield
            self._round(dual, part, node.merging, tree)
            tree.look()
            level = yield from self._proved(dual, part, scale)
            tree.present = max(level, node.level)
            node = replace(node, level=tree.present)
            if tree.is_cut(node.level):
                return Branching(node=node, pair=None)
            is_last = dual.alpha <= ALPHAS[1] * 1.01
            missing = float(tree.best_level - self.graph.apart - level) if tree.best_level is not None else 0.0
            slow = slow + 1 if float(level - before) < SLOW * missing else 0
            before = level
            found, least = yield from most_violated(dual.x.astype(np.float32), least, NEW_TRIANGLES)
            dual.drop(1e-4 * float(dual.gamma.max(initial=0.0)))
            if is_last and (slow >= PATIENCE or not len(found)):
                break
            dual.add(found)
            dual.alpha = max(ALPHAS[1], dual.alpha * SHRINK)
        return self._branching(node, dual, part, scale)

    def _branching(self, node: Node, dual: Dual, part: Part, scale: float) -> Branching:
        """On two spins of which little is known whether they are equal, but much how others relate to each."""
        i, j = np.triu_indices(len(part.roots), 1)
        known = np.square(dual.x).sum(axis=0)
        q = int(np.argmax((1.0 - np.abs(dual.x[i, j])) ** POWER * np.minimum(known[i], known[j])))
        y = np.zeros(self.graph.vertices)
        y[part.roots] = scale * dual.y
        triangles = dual.triangles.copy()
        triangles[:, :3] = part.roots[dual.triangles[:, :3]]
        warm = Warm(y, triangles, scale * dual.gamma, dual.alpha)
        return Branching(node=replace(node, warm=warm), pair=(int(part.roots[i[q]]), int(part.roots[j[q]])))

    def _proved(self, dual: Dual, part: Part, scale: float) -> Generator[None, None, Fraction]:
        """What the dual variables prove, in exact numbers."""
        from qiosk.kernels.bounds.triangles import subtract_triangles

        unit = float(1 << self._shift)
        gamma = np.rint(np.minimum(dual.gamma * scale, self.graph.size) * unit)
        matrix = part.weights.copy()
        subtract_triangles()(dual.triangles, gamma / unit, matrix)
        y = yield from repaired(matrix, 2.0 * scale * dual.y, self._seed)
        if y is None or gamma.sum() >= 2.0**BITS:
            return Fraction(self.graph.least)
        level = part.constant - Fraction(int(gamma.sum()), 1 << self._shift)
        return level - sum(map(Fraction, y.tolist()), Fraction(0)) / 2

    def _round(self, dual: Dual, part: Part, merging: Merging, tree: Tree) -> None:
        """Configurations from random hyperplanes."""
        values, vectors = np.linalg.eigh(dual.x)
        factor = vectors * np.sqrt(np.maximum(values, 0.0))
        place = np.searchsorted(part.roots, merging.roots)
        for _ in range(HYPERPLANES):
            sides = np.where(factor @ self._rng.normal(size=len(values)) < 0.0, -1, 1).astype(np.int8)
            spins: I8 = sides[place] * merging.signs
            tree.offer_descended(spins)


def _begun(part: Part, node: Node, scale: float) -> Dual:
    """The dual of a node, with what its parent found."""
    n, warm = len(part.roots), node.warm
    weights = part.weights / scale
    if warm is None:
        first = np.full(n, 0.5 * abs(float(np.linalg.eigvalsh(weights)[0])))
        return Dual(weights, np.empty((0, 5), np.int32), first, np.empty(0), ALPHAS[0])
    merging = node.merging
    gamma = warm.gamma / scale
    y = np.zeros(n)
    np.add.at(y, np.searchsorted(part.roots, merging.roots), warm.y / scale)
    ends = warm.triangles[:, :3]
    places = np.searchsorted(part.roots, merging.roots[ends])
    signs = merging.signs[ends].astype(np.int32)
    triangles = warm.triangles.copy()
    triangles[:, :3] = places
    triangles[:, 3] *= signs[:, 0] * signs[:, 1]
    triangles[:, 4] *= signs[:, 0] * signs[:, 2]
    is_kept = np.ones(len(triangles), np.bool_)
    for a, b, c, sign in _pairs(triangles):
        is_merged = triangles[:, a] == triangles[:, b]
        is_kept &= ~is_merged
        # 1 +- 2 x_ac >= -1 is what is left where the sign is +1: the diagonal takes its multiplier
        is_moved = is_merged & (sign > 0) & (triangles[:, a] != triangles[:, c])
        for end in (a, c):
            np.add.at(y, triangles[is_moved, end], gamma[is_moved])
    return Dual(weights, triangles[is_kept], y, gamma[is_kept], warm.alpha)


def _pairs(triangles: I32) -> list[tuple[int, int, int, I32]]:
    """Two corners, the third one, and the signs (T,) of the product of the two."""
    s, t = triangles[:, 3], triangles[:, 4]
    return [(0, 1, 2, s), (0, 2, 1, t), (1, 2, 0, s * t)]
