"""The best configurations of small quadratic problems of spins, by a search tree whose bounds are nested minima.

Spins 0 .. h - 1 are decided one by one, in this order. The last ``LOW`` spins are not: every node keeps the costs of
all their ``WIDTH`` configurations, and for each spin that is not decided its field under every one of them. Below a
node that decides spins 0 .. l - 1 no configuration costs less than

    min over the low ones of (cost so far - sum over j = l .. h - 1 of |field of j|)  +  rest[l],

where ``rest[l]`` is the least that the couplings among spins l .. h - 1 alone can cost. These minima come first,
from the last spin to the first, each by a search of the same kind that uses those before. Spins are tried first in the
direction of the field that the least of the low configurations gives them.

Each call goes on where the one before has stopped.

All is in integers. The loops are plain, so they run uncompiled as well: tests compare them with all configurations.

Reference: G. Verfaillie, M. Lemaître, T. Schiex, *Russian doll search for solving constraint optimization problems*,
AAAI (1996), 181–187.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.compiler import kernel

I64 = NDArray[np.int64]

LOW = 5
WIDTH = 1 << LOW
"""Configurations of the last spins: four registers of eight integers."""
NODES, LEVEL, MASK, FIRST, LEAST = range(5)
"""Places in ``Walk.counters``: nodes so far, where the search is, the spins that are decided; of the minima the first
spin of the present one, and the least that was found."""


class Walk(NamedTuple):
    """Where a search is; of h spins that are decided one by one."""

    fields: I64  # (h + 1, h), or (h + 1, h + 1, WIDTH): by level, spin, and low configuration
    totals: I64  # (h + 1,), or (h + 1, WIDTH)
    tried: I64  # (h + 1,)
    spins: I64  # (h + 1,)
    best: I64  # (h + 1,)
    counters: I64  # (5,)


def begin_minima(h: int) -> Walk:
    """Before any call of ``suffix_minima``."""
    counters = np.array([0, h - 2, 0, h - 2, 0])
    return Walk(np.zeros((h + 1, h), np.int64), np.zeros(h + 1, np.int64), *_untried(h), counters)


def begin_tree(n: int) -> Walk:
    """Before any call of ``search_tree``."""
    h = n - LOW
    fields, totals = np.zeros((h + 1, h + 1, WIDTH), np.int64), np.zeros((h + 1, WIDTH), np.int64)
    return Walk(fields, totals, *_untried(h), np.zeros(5, np.int64))


def _untried(h: int) -> tuple[I64, I64, I64]:
    return np.zeros(h + 1, np.int64), np.ones(h + 1, np.int64), np.ones(h + 1, np.int64)


@cache
def suffix_minima() -> Any:
    """``minima(couplings, until, rest, walk) -> is_done``: the least that couplings among the last spins can cost.

    couplings: (h, h) int64, symmetric with zeros on the diagonal. until: how many nodes there may be after the call.
    rest: (h + 1,) int64, zeros at first, updated: at the end ``rest[l]`` is the minimum over spins l .. h - 1. walk: of
    ``begin_minima``, updated.
    """

    @kernel
    def minima(couplings: Any, until: Any, rest: Any, walk: Any) -> bool:
        h = couplings.shape[0]
        fields, totals, tried, spins, best, counters = walk
        nodes, level, first, least = counters[NODES], counters[LEVEL], counters[FIRST], counters[LEAST]
        while first >= 0:
            if level == first:
                # the best of the spins after it, and this spin as they want it, is where to begin
                wanted = 0
                for j in range(first + 1, h):
                    wanted += couplings[first, j] * best[j]
                best[first] = -1 if wanted > 0 else 1
                least = rest[first + 1] - abs(wanted)
                spins[first] = 1  # the other half costs the same
                totals[first + 1], tried[first + 1] = 0, 0
                for j in range(first + 1, h):
                    fields[first + 1, j] = couplings[first, j]
                level = first + 1
            while level > first:
                if level == h:
                    if totals[h] < least:
                        least = totals[h]
                        best[first:h] = spins[first:h]
                    level -= 1
                    continue
                if tried[level] == 2:
                    level -= 1
                    continue
                if tried[level] == 0:
                    if nodes == until:
                        counters[NODES], counters[LEVEL], counters[FIRST], counters[LEAST] = nodes, level, first, least
                        return False
                    nodes += 1
                    bound = totals[level] + rest[level]
                    for j in range(level, h):
                        bound -= abs(fields[level, j])
                    if bound >= least:
                        level -= 1
                        continue
                    spins[level] = -1 if fields[level, level] > 0 else 1
                else:
                    spins[level] = -spins[level]
                tried[level] += 1
                spin = spins[level]
                totals[level + 1] = totals[level] + spin * fields[level, level]
                for j in range(level + 1, h):
                    fields[level + 1, j] = fields[level, j] + spin * couplings[level, j]
                level += 1
                tried[level] = 0
            rest[first] = least
            first -= 1
            level = first
        counters[NODES], counters[LEVEL], counters[FIRST] = nodes, level, first
        return True

    return minima


@cache
def search_tree() -> Any:
    """``search(couplings, fields, rest, until, is_symmetric, costs, found, walk) -> is_done``: the best configurations.

    couplings: (n, n) int64, symmetric with zeros on the diagonal, of 5 <= n <= 62 spins; fields: (n,) int64. rest:
    (n - LOW + 1,) int64 of ``suffix_minima`` for the first n - LOW spins. until: how many nodes there may be after the
    call. is_symmetric: spin 0 is +1 in what is found. costs: (k,) int64, larger than all costs at first; updated with
    those of the k best configurations, ascending. found: (k,) int64, updated; bit i is set where spin i is -1. walk: of
    ``begin_tree``, updated.
    """

    @kernel
    def search(
        couplings: Any, fields: Any, rest: Any, until: Any, is_symmetric: Any, costs: Any, found: Any, walk: Any
    ) -> bool:
        n = fields.size
        h, k = n - LOW, costs.size
        signs = np.empty((LOW, WIDTH), np.int64)
        for a in range(LOW):
            for x in range(WIDTH):
                signs[a, x] = 1 - 2 * ((x >> a) & 1)
        under, totals, tried, spins, _, counters = walk
        nodes, level, mask = counters[NODES], counters[LEVEL], counters[MASK]
        if nodes == 0:
            totals[0] = 0
        for a in range(LOW if nodes == 0 else 0):
            for x in range(WIDTH):
                totals[0, x] += fields[h + a] * signs[a, x]
            for b in range(a):
                for x in range(WIDTH):
                    totals[0, x] += couplings[h + a, h + b] * signs[a, x] * signs[b, x]
        for j in range(h if nodes == 0 else 0):
            for x in range(WIDTH):
                under[0, j, x] = fields[j]
            for a in range(LOW):
                for x in range(WIDTH):
                    under[0, j, x] += couplings[j, h + a] * signs[a, x]
        bounds = np.empty(WIDTH, np.int64)
        while level >= 0:
            if level == h:
                for x in range(WIDTH):
                    if totals[h, x] < costs[k - 1]:
                        place = k - 1
                        while place > 0 and costs[place - 1] > totals[h, x]:
                            costs[place], found[place] = costs[place - 1], found[place - 1]
                            place -= 1
                        costs[place], found[place] = totals[h, x], mask | (np.int64(x) << h)
                level -= 1
                continue
            if tried[level] == 2 or (tried[level] == 1 and level == 0 and is_symmetric):
                level -= 1
                continue
            if tried[level] == 0:
                if nodes == until:
                    counters[NODES], counters[LEVEL], counters[MASK] = nodes, level, mask
                    return False
                nodes += 1
                for x in range(WIDTH):
                    bounds[x] = totals[level, x]
                for j in range(level, h):
                    for x in range(WIDTH):
                        bounds[x] -= abs(under[level, j, x])
                least = bounds[0]
                for x in range(1, WIDTH):
                    least = min(least, bounds[x])
                if least + rest[level] >= costs[k - 1]:
                    level -= 1
                    continue
                at = 0
                while bounds[at] != least:
                    at += 1
                spins[level] = -1 if under[level, level, at] > 0 and not (level == 0 and is_symmetric) else 1
            else:
                spins[level] = -spins[level]
            tried[level] += 1
            spin = spins[level]
            if spin < 0:
                mask |= np.int64(1) << level
            else:
                mask &= ~(np.int64(1) << level)
            for x in range(WIDTH):
                totals[level + 1, x] = totals[level, x] + spin * under[level, level, x]
            for j in range(level + 1, h):
                change = spin * couplings[level, j]
                for x in range(WIDTH):
                    under[level + 1, j, x] = under[level, j, x] + change
            level += 1
            tried[level] = 0
        counters[NODES], counters[LEVEL] = nodes, level
        return True

    return search
