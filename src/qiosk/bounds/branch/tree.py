"""The tree of branch and bound: the node of the least bound is next.

Where coefficients were rounded, a level is off by at most the slack of the graph. Configurations are compared by their
exact levels, and a part is cut where all of its levels are above the best one by more than the slack. So the last proof
is the exact minimum, too.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import count
from typing import Any, Protocol

import numpy as np

from qiosk.bounds.bound import Proof
from qiosk.bounds.branch.merging import Merging
from qiosk.bounds.graph import SpinGraph
from qiosk.model.cost_function import I8

METHOD = "branch"
MOST_WARM = 10_000
"""Open nodes that keep what their parents leave, some 20 KB each; further ones begin without it."""
Known = Callable[[], I8 | None]
"""The best spins (n,) that the search has found so far; None if there are none."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Node:
    """A part of all configurations, of which none has a level below ``level``; ``warm`` is what its parent leaves."""

    merging: Merging
    level: Fraction
    warm: Any = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Branching:
    """What a relaxation says of a node: its bound, and the two spins whose product to branch on; None: it is done."""

    node: Node
    pair: tuple[int, int] | None


class Relaxation(Protocol):
    """Bounds the nodes of a tree of this graph."""

    graph: SpinGraph

    def solve(self, node: Node, tree: Tree) -> Generator[None, None, Branching]:
        """Yields None between parts of the work."""


@dataclass(slots=True, eq=False)
class Tree:
    """The best configuration so far (V,) with its exact level, and what is not decided yet."""

    graph: SpinGraph
    known: Known
    best: I8 | None = None
    best_level: Fraction | None = None
    nodes: int = 0
    present: Fraction | None = None  # bound of the node that is worked on
    told: Fraction | None = None  # bound of the last proof
    _open: list[tuple[Fraction, int, Node]] = field(default_factory=list)
    _seen: I8 | None = None
    _numbers: Iterator[int] = field(default_factory=count)

    def offer(self, spins: I8) -> None:
        """A configuration (V,), which is kept if it is the best so far."""
        graph = self.graph
        if self.best_level is not None and graph.level(spins) >= self.best_level + graph.slack:
            return
        is_rounded_off = bool(graph.slack) and not graph.has_ghost  # all fields, if there are any
        for some in (spins, -spins) if is_rounded_off else (spins,):
            level = graph.exact_level(some)
            if self.best_level is None or level < self.best_level:
                self.best, self.best_level = some.copy(), level

    def offer_descended(self, spins: I8) -> None:
        """The same after a descent; changes ``spins``."""
        from qiosk.kernels.bounds.rounding import descend_graph

        indptr, others, edges = self.graph.adjacency
        descend_graph()(indptr, others, self.graph.weights[edges], np.empty(len(spins), np.int64), spins)
        self.offer(spins)

    def look(self) -> None:
        """Take what the search has found."""
        spins = self.known()
        if spins is not None and spins is not self._seen:
            self._seen = spins
            self.offer(np.append(spins, np.ones(int(self.graph.has_ghost), np.int8)).astype(np.int8))

    def is_cut(self, level: Fraction) -> bool:
        """Whether nothing of at least this level can be better than the best."""
        return self.goal is not None and self.graph.attainable(level) >= self.goal

    @property
    def goal(self) -> Fraction | None:
        """The least level from which on nothing can be better than the best; None without a best."""
        return None if self.best_level is None else self.graph.attainable(self.best_level + self.graph.slack)

    def room(self, level: Fraction) -> Fraction | None:
        """How much may be added to a bound so that something can still be better than the best; None without a best."""
        return None if self.goal is None else self.goal - self.graph.apart - level

    def push(self, node: Node) -> None:
        """Decide a part later, unless it needs no decision."""
        if not self.is_cut(node.level):
            node = node if len(self._open) < MOST_WARM else replace(node, warm=None)
            heapq.heappush(self._open, (node.level, -next(self._numbers), node))

    def pop(self) -> Node | None:
        """The part of the least bound; None if none can be better than the best."""
        if not self._open or self.is_cut(self._open[0][0]):
            return None
        self.nodes += 1
        node = heapq.heappop(self._open)[2]
        self.present = node.level
        return node

    def level(self) -> Fraction | None:
        """No configuration has a lower exact level."""
        levels = [self.best_level] if self.best_level is not None else []
        least = [self._open[0][0]] if self._open else []
        least += [self.present] if self.present is not None else []
        levels += [self.graph.attainable(level) - self.graph.slack for level in least]
        return min(levels, default=None)


def branched(relaxation: Relaxation, known: Known) -> Iterator[Proof | None]:
    """Yields None between parts of the work, each proof that is better than the one before, and at last the minimum.

    Configurations of proofs are spins.
    """
    graph = relaxation.graph
    tree = Tree(graph, known)
    tree.push(Node(merging=Merging.none(graph.vertices), level=Fraction(graph.least)))
    while (node := tree.pop()) is not None:
        tree.look()
        steps = relaxation.solve(node, tree)
        while True:
            try:
                next(steps)
            except StopIteration as ended:
                found: Branching = ended.value
                break
            yield _news(tree)
        if found.pair is not None:
            u, v = found.pair
            for product in (-1, 1):
                merging = found.node.merging.with_product(u, v, product)
                tree.push(Node(merging=merging, level=found.node.level, warm=found.node.warm))
        tree.present = None
        yield _news(tree)
    yield _proof(tree)


def _news(tree: Tree) -> Proof | None:
    """A proof, if the bound is better than the one that was told last."""
    level = tree.level()
    return None if level is None or (tree.told is not None and level <= tree.told) else _proof(tree)


def _proof(tree: Tree) -> Proof:
    graph, configuration, level = tree.graph, None, tree.level()
    if level is None:
        level = graph.least - graph.slack
    tree.told = level
    if level == tree.best_level and tree.best is not None:
        spins = tree.best[: graph.n] * (tree.best[graph.n] if graph.has_ghost else 1)
        configuration = spins.astype(np.int8)
    return Proof(
        method=METHOD,
        level=level,
        scale=replace(graph.scale, error=Fraction(0)),
        arrays={"nodes": np.array(tree.nodes)},
        configuration=configuration,
    )
