"""In which order to eliminate variables, so that few depend on each other at any time."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable, Sequence
from itertools import combinations

CHUNK = 20_000
"""Pairs of neighbours that are looked at before the caller is asked whether to go on; some 10 ms."""
FRONT = 2000
"""Variables of a front after which it is asked, too; some 10 ms."""
MOST_LOOKED = 600_000
"""Pairs that are looked at before it is given up; some 0.5 s."""


def min_fill(
    n: int, scopes: Iterable[Sequence[int]], width: int, most_looked: int = MOST_LOOKED
) -> Generator[None, None, list[int] | None]:
    """The order of variables 0..n-1 in which each adds the fewest new pairs; None if one has over ``width`` neighbours.

    Yields between parts of the work.
    """
    graph = _Graph(n, scopes, width)
    if graph.is_wide:
        return None
    heap = [(*graph.key(u), u) for u in range(n)]
    keys = [(fill, degree) for fill, degree, _ in heap]
    heapq.heapify(heap)
    order, done = list[int](), 0
    is_left = [True] * n
    while heap:
        fill, degree, u = heapq.heappop(heap)
        if not is_left[u] or keys[u] != (fill, degree):
            continue
        if degree > width or graph.looked > most_looked:
            return None
        is_left[u] = False
        order.append(u)
        for v in graph.eliminate(u):
            key = graph.key(v)
            if key != keys[v]:
                keys[v] = key
                heapq.heappush(heap, (*key, v))
        if graph.looked - done > CHUNK:
            done = graph.looked
            yield
    return order


def front_order(n: int, scopes: Iterable[Sequence[int]]) -> Generator[None, None, list[int]]:
    """The order in which a breadth-first search comes across variables 0..n-1, those with few neighbours first.

    It begins at an end of each component, and yields between parts of the work. Reference: E. Cuthill, J. McKee,
    *Reducing the bandwidth of sparse symmetric matrices*, ACM National Conference (1969),
    https://doi.org/10.1145/800195.805928.
    """
    neighbours: list[set[int]] = [set() for _ in range(n)]
    for scope in scopes:
        for u in scope:
            neighbours[u].update(scope)
    sizes = list(map(len, neighbours))
    order, is_placed = list[int](), [False] * n
    for first in sorted(range(n), key=sizes.__getitem__):
        if is_placed[first]:
            continue
        middle = yield from _front(first, neighbours, sizes)
        end = yield from _front(middle[-1], neighbours, sizes)
        component = yield from _front(end[-1], neighbours, sizes)
        for u in component:
            is_placed[u] = True
        order += component
    return order


def _front(first: int, neighbours: Sequence[set[int]], sizes: Sequence[int]) -> Generator[None, None, list[int]]:
    found, seen = [first], {first}
    for k, u in enumerate(found, 1):
        if k % FRONT == 0:
            yield
        new = sorted(neighbours[u] - seen, key=lambda v: (sizes[v], v))
        seen.update(new)
        found += new
    return found


class _Graph:
    """Which variables are in a term together, or would be after eliminations."""

    def __init__(self, n: int, scopes: Iterable[Sequence[int]], width: int) -> None:
        self.width = width
        self.neighbours: list[set[int]] = [set() for _ in range(n)]
        self.looked = 0
        self.is_wide = False
        for scope in scopes:
            if len(scope) > width + 1:
                self.is_wide = True
                return
            for u in scope:
                self.neighbours[u].update(scope)
        for u in range(n):
            self.neighbours[u].discard(u)

    def key(self, u: int) -> tuple[int, int]:
        """New pairs that eliminating a variable makes, and its neighbours; not counted where there are too many."""
        around = self.neighbours[u]
        degree = len(around)
        if degree > self.width:
            return degree * degree, degree
        self.looked += degree * degree // 2 + 1
        return sum(a not in self.neighbours[b] for a, b in combinations(around, 2)), degree

    def eliminate(self, u: int) -> set[int]:
        """Connect all neighbours; returns the variables whose keys may have changed."""
        around = self.neighbours[u]
        touched = set(around)
        for v in around:
            own = self.neighbours[v]
            own |= around
            own.discard(v)
            own.discard(u)
        for v in around:
            if len(self.neighbours[v]) <= self.width:
                touched |= self.neighbours[v]
        return touched
