"""The variables that are not assigned, the one of the most recent conflicts first."""

from __future__ import annotations

from typing import Any

from qiosk.kernels.compiler import INTERNAL, called, inlined
from qiosk.kernels.propagation.state import HEAPED

LARGEST = 1e100
"""Activity at which all are scaled down."""
DECAY = 0.95


@called(**INTERNAL)
def rise(s: Any, place: Any) -> None:
    """Move a variable up until its parent is at least as active."""
    v = s.heap[place]
    while place > 0:
        parent = (place - 1) >> 1
        if s.activities[s.heap[parent]] >= s.activities[v]:
            break
        s.heap[place] = s.heap[parent]
        s.heap_places[s.heap[place]] = place
        place = parent
    s.heap[place], s.heap_places[v] = v, place


@called(**INTERNAL)
def _sink(s: Any, place: Any) -> None:
    v, size = s.heap[place], s.counters[HEAPED]
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and s.activities[s.heap[child + 1]] > s.activities[s.heap[child]]:
            child += 1
        if s.activities[s.heap[child]] <= s.activities[v]:
            break
        s.heap[place] = s.heap[child]
        s.heap_places[s.heap[place]] = place
        place = child
    s.heap[place], s.heap_places[v] = v, place


@inlined(**INTERNAL)
def put(s: Any, v: Any) -> None:
    """Put a variable into the heap, if it is not in it."""
    if s.heap_places[v] < 0:
        s.heap[s.counters[HEAPED]] = v
        s.counters[HEAPED] += 1
        rise(s, s.counters[HEAPED] - 1)


@called(**INTERNAL)
def take(s: Any) -> Any:
    """Take the most active variable out of the heap."""
    v = s.heap[0]
    s.counters[HEAPED] -= 1
    s.heap_places[v] = -1
    if s.counters[HEAPED] > 0:
        s.heap[0] = s.heap[s.counters[HEAPED]]
        _sink(s, 0)
    return v


@called(**INTERNAL)
def bump(s: Any, v: Any) -> None:
    """Make a variable more active."""
    s.activities[v] += s.step[0]
    if s.activities[v] > LARGEST:
        for u in range(s.activities.size):
            s.activities[u] /= LARGEST
        s.step[0] /= LARGEST
    if s.heap_places[v] >= 0:
        rise(s, s.heap_places[v])
