"""Nodes bounded by the inequalities of odd cycles, for sparse problems."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction

import numpy as np

from qiosk.bounds.branch.merging import Merging
from qiosk.bounds.branch.program import Mask, Program
from qiosk.bounds.branch.tree import Branching, Node, Tree
from qiosk.bounds.covering import PACKED
from qiosk.bounds.graph import SpinGraph
from qiosk.bounds.packing import GROWTHS, MOST_NODES, WORK, cover, empty_cycles, packed_cycles
from qiosk.model.cost_function import F64, I64

EXTRAS = (1e-2, 1e-5)
"""Added to every z when cycles are sought: first so that those of few edges come first, then so that none is missed."""
LONGEST = 1.0 - 1e-4
"""Sum of z on a cycle below which it is added."""
GROWTH = 2.0
ROOM = 20
"""Edges of new cycles in a round, for every edge of the graph."""
CLOSE = 1e-6
"""How close to 0 or 1 a z counts as that."""
STALLED = 3
"""Rounds without a gain after which a node is branched on."""
GAIN = 2e-3
"""Gain of a round, as a share of what is missing, below which it counts as none."""


class CycleRelaxation:
    """Bounds nodes by one linear program, whose rows serve all nodes."""

    def __init__(self, graph: SpinGraph, seed: int) -> None:
        self.graph = graph
        self._seed = seed
        self._program = Program(graph)
        self._space = cover(graph)
        self._flips = self._space.flips
        self._rng = np.random.default_rng((seed % 2**64, 0xB4))

    def solve(self, node: Node, tree: Tree) -> Generator[None, None, Branching]:
        """The program with what the node fixes, until no cycle is violated, or that brings nothing any more."""
        if not self._program.rows:
            yield from self._begin()
        self._program.drop_slack()
        stalled, extra = 0, 0
        while True:
            is_fixed, is_one = node.merging.fixed(self.graph)
            self._program.fix(is_fixed, is_one)
            yield from self._program.solve()
            level, reduced = self._program.proved(is_fixed, is_one)
            z = self._program.z
            self._round(z, tree)
            gain = _share(node.level, max(level, node.level), tree)
            stalled = stalled + 1 if gain < GAIN else 0
            tree.present = max(level, node.level)
            node = replace(node, level=tree.present)
            tree.look()
            if tree.is_cut(node.level):
                return Branching(node=node, pair=None)
            merging = self._decided(node, level, reduced, is_fixed, is_one, tree)
            is_fixed, is_one = merging.fixed(self.graph)
            node = replace(node, merging=merging)
            found = yield from self._separate(z, is_fixed, is_one, EXTRAS[extra])
            if not found and extra + 1 < len(EXTRAS):
                extra += 1
                found = yield from self._separate(z, is_fixed, is_one, EXTRAS[extra])
            if not found or stalled >= STALLED:
                return Branching(node=node, pair=self._pair(z, is_fixed, merging, tree))

    def _begin(self) -> Generator[None, None, None]:
        """The cycles of a packing as first rows."""
        packed = None
        for found in packed_cycles(self.graph, self._seed, GROWTHS[0]):
            if found is None:
                yield
                continue
            packed = found
            if len(found.members) > PACKED * len(self.graph.weights):
                break
        if packed is not None:
            self._program.add(packed.indptr, packed.members, np.zeros(len(self.graph.weights), np.bool_))

    def _separate(self, z: F64, is_fixed: Mask, is_one: Mask, extra: float) -> Generator[None, None, int]:
        """Add violated rows; returns how many. An edge fixed at 1 is one of the other sign fixed at 0."""
        from qiosk.kernels.bounds.frustrated import COUNT, PLACE, pack_cycles

        m = len(z)
        lengths = np.where(is_fixed, 0.0, z) + extra * (1.0 + self._rng.random(m))
        space = self._space._replace(flips=self._flips ^ is_one)
        cycles = empty_cycles(ROOM * m + 1000)
        values, loads, ones = np.empty(len(cycles.indptr)), np.zeros(m), np.ones(m)
        roots = self._rng.permutation(self.graph.vertices)
        cycles.counters[PLACE] = 0
        pack = pack_cycles()
        while not pack(space, lengths, ones, loads, cycles, values, roots, LONGEST, GROWTH, MOST_NODES, WORK):
            yield
        count = int(cycles.counters[COUNT])
        return self._program.add(cycles.indptr[: count + 1], cycles.members, is_one)

    def _decided(self, node: Node, level: Fraction, reduced: I64, is_fixed: Mask, is_one: Mask, tree: Tree) -> Merging:
        """Spins that every better configuration of the node has equal, or opposite: reduced costs tell."""
        merging, room = node.merging, tree.room(level)
        if room is None:
            return merging
        for e in np.flatnonzero(~is_fixed & (2 * np.abs(reduced) > math.floor(room * 2**self._program.shift))):
            u, v = int(self.graph.rows[e]), int(self.graph.cols[e])
            if merging.roots[u] != merging.roots[v]:
                is_least = reduced[e] > 0
                merging = merging.with_product(u, v, -1 if (self.graph.weights[e] > 0) == is_least else 1)
        return merging

    def _round(self, z: F64, tree: Tree) -> None:
        """A configuration from the solution."""
        from qiosk.kernels.bounds.rounding import round_products

        graph = self.graph
        order = np.argsort(-np.abs(z - 0.5), kind="stable")
        products = np.where((graph.weights > 0) == (z < 0.5), -1, 1).astype(np.int8)
        spins = np.ones(graph.vertices, np.int8)
        parents, signs = np.arange(graph.vertices), np.ones(graph.vertices, np.int8)
        round_products()(order, graph.rows, graph.cols, products, parents, signs, spins)
        tree.offer_descended(spins)

    def _pair(self, z: F64, is_fixed: Mask, merging: Merging, tree: Tree) -> tuple[int, int] | None:
        """The ends of the coupling to branch on: one that is little decided, and large.

        Two spins without a coupling, if all are decided, but some may have had one before it was rounded to 0.
        """
        if is_fixed.all():
            roots = np.unique(merging.roots)
            if self.graph.slack and len(roots) > 1:
                return int(roots[0]), int(roots[1])
            tree.offer(merging.signs)
            return None
        distance = np.where(is_fixed, 1.0, np.abs(z - 0.5))
        score = (0.5 - distance + CLOSE) * np.abs(self.graph.weights)
        e = int(np.argmax(np.where(is_fixed, -1.0, score)))
        return int(self.graph.rows[e]), int(self.graph.cols[e])


def _share(before: Fraction, after: Fraction, tree: Tree) -> float:
    """How much of what is missing to the best a round has gained."""
    if tree.goal is None:
        return 1.0
    missing = float(tree.goal - before)
    return float(after - before) / missing if missing > 0 else 1.0
