"""Twins: two spins whose couplings to all others, and fields, are proportional.

Where all others are given, twin u feels c times the field A that twin v feels. The least cost is at ``s_v = -sign(A)``
and ``s_u = -sign(c A)``, unless a coupling of the two is against it. They are merged, ``s_u = sign(c) s_v``, where they
are not coupled, or their coupling wants that, too. No optimum is lost unless they are not coupled and A is 0.

Twins are found by sums of random numbers, one for each spin, times couplings: those of twins are proportional, too.
Then their couplings are compared. Plain loops: the kernels are their own reference.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import INTERNAL, called, inlined, uncounted_kernel
from qiosk.kernels.presolve.graph import POOL, TWINS, merge, other_end


@inlined(**INTERNAL)
def _random(spin: Any) -> Any:
    """A fixed random number of a spin (splitmix64)."""
    z = (np.uint64(spin) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((z ^ (z >> np.uint64(31))) >> np.uint64(1))


@inlined(**INTERNAL)
def _divisor(a: Any, b: Any) -> Any:
    """The greatest common divisor of two sizes; of 0 and b: b."""
    while b != 0:
        a, b = b, a % b
    return a


@cache
def sum_couplings() -> Any:
    """``sums(graph, divisors, sums)``: the common divisor of each spin's couplings and field, and their random sum.

    divisors, sums: (n,) int64, zeros; sums are modulo 2**64.
    """

    @uncounted_kernel
    def add_up(g: Any, divisors: Any, sums: Any) -> None:
        ghost = g.start.size
        for spin in range(ghost):
            if g.is_left[spin]:
                divisors[spin] = abs(g.fields[spin])
                sums[spin] = g.fields[spin] * _random(ghost)
        for edge in range(g.weights.size):
            weight = g.weights[edge]
            if weight != 0:
                u, v = g.rows[edge], g.cols[edge]
                sums[u] += weight * _random(v)
                sums[v] += weight * _random(u)
                if divisors[u] != 1:
                    divisors[u] = _divisor(abs(weight), divisors[u])
                if divisors[v] != 1:
                    divisors[v] = _divisor(abs(weight), divisors[v])

    return add_up


@cache
def reduced_sums() -> Any:
    """``reduce(graph, divisors, sums)``: sums as they are if each spin's couplings are divided by ``divisors``.

    sums: (n,) int64, overwritten; the same for a spin and for one of opposite couplings.
    """

    @uncounted_kernel
    def reduce(g: Any, divisors: Any, sums: Any) -> None:
        ghost = g.start.size
        pool = g.counters[POOL]
        for spin in range(ghost):
            if g.is_left[spin]:
                if divisors[spin] > 1:
                    sums[spin] = g.fields[spin] // divisors[spin] * _random(ghost)
                    for k in range(g.start[spin], g.start[spin] + g.size[spin]):
                        edge = g.pools[pool, k]
                        sums[spin] += g.weights[edge] // divisors[spin] * _random(other_end(g, edge, spin))
                sums[spin] = max(sums[spin], -sums[spin])

    return reduce


@called(**INTERNAL)
def _ratio(g: Any, u: Any, v: Any, a: Any, b: Any, marks: Any) -> Any:
    """The sign of the ratio of the couplings of u and v to all others; 0 if these are not as a to b in size, or none.

    marks: (n,) zeros, and zeros again on return.
    """
    if a == 0 or g.degree[u] != g.degree[v] or (g.fields[u] != 0) != (g.fields[v] != 0):
        return 0
    pool = g.counters[POOL]
    for k in range(g.start[u], g.start[u] + g.size[u]):
        edge = g.pools[pool, k]
        if g.weights[edge] != 0:
            marks[other_end(g, edge, u)] = g.weights[edge] // a
    x, y = g.fields[u] // a, g.fields[v] // b
    sign = 0 if y == 0 else (1 if x == y else -1)
    is_same = x == sign * y
    for k in range(g.start[v], g.start[v] + g.size[v]):
        edge = g.pools[pool, k]
        other = other_end(g, edge, v)
        if g.weights[edge] == 0 or other == u:
            continue
        x, y = marks[other], g.weights[edge] // b
        if sign == 0:
            sign = 1 if x == y else -1
        is_same = is_same and x == sign * y
    for k in range(g.start[u], g.start[u] + g.size[u]):
        edge = g.pools[pool, k]
        if g.weights[edge] != 0:
            marks[other_end(g, edge, u)] = 0
    return sign if is_same else 0


@cache
def merge_coupled_twins() -> Any:
    """``merge(graph, sums, marks) -> count``: merges twins that are coupled, of couplings equal in size to all others.

    sums: (n,) int64 of ``sum_couplings``; marks: (n,) int64, zeros.
    """

    @uncounted_kernel
    def merge_coupled(g: Any, sums: Any, marks: Any) -> Any:
        count = 0
        for edge in range(g.weights.size):
            weight = g.weights[edge]
            if weight == 0:
                continue
            u, v = g.rows[edge], g.cols[edge]
            sign = -1 if weight > 0 else 1
            is_likely = sums[u] - weight * _random(v) == sign * (sums[v] - weight * _random(u))
            if is_likely and _ratio(g, u, v, 1, 1, marks) == sign:
                merge(g, u, v, sign, TWINS)
                count += 1
        return count

    return merge_coupled


@cache
def merge_separate_twins() -> Any:
    """``merge(graph, spins, sums, divisors, marks, is_strict) -> count``: merges twins that are not coupled.

    spins: (k,) int64, by ``sums`` of ``reduced_sums``; divisors: (n,) int64; marks: (n,) int64, zeros. Strict merges
    are those where the field that both feel cannot be 0, because it is odd.
    """

    @uncounted_kernel
    def merge_separate(g: Any, spins: Any, sums: Any, divisors: Any, marks: Any, is_strict: Any) -> Any:
        count, first = 0, spins[0]
        for k in range(1, spins.size):
            spin = spins[k]
            if sums[spin] != sums[first]:
                first = spin
                continue
            a, b = divisors[spin], divisors[first]
            sign = _ratio(g, spin, first, a, b, marks)
            if sign != 0 and not (is_strict and g.totals[spin] // a % 2 == 0):
                divisors[first] = a + b
                merge(g, spin, first, sign, TWINS)
                count += 1
        return count

    return merge_separate
