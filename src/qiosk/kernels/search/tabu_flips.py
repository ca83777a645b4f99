"""State of single-flip tabu search with stored deltas, in exact integers, and what a flip changes in it.

Every coefficient has been scaled to an integer beforehand, so the change of cost that each flip would make, its
*delta*, is kept up to date by additions alone and never drifts. A variable's value is a mask: 0 where it is low (-1, or
0), all ones where it is high; ``(w ^ m) - m`` is w or -w. Flipping j changes the delta of a neighbour i by plus or
minus a constant of the pair, minus if exactly one of the two is high, and negates that of j itself.

Variables are kept in blocks of ``BLOCK``. The least delta of every block is kept, over all its variables and over those
that are not tabu; only blocks in which something changed are read again. So a move on a sparse problem reads a few
blocks and the list of minima, not all deltas; on a dense one everything changes anyway, and a move is one pass over
memory: blocks are read again as they change.

Tables (n variables, N with padding, a multiple of BLOCK; "real" is int32 or int64):
``(shape, pairs, dense, terms, groups)``. shape: n, B = N / BLOCK, and whether pairs are dense. pairs: indptr (n + 1,)
int64, neighbors, weights, CSR; weights are the change of delta. dense: (N * N,) weights, of the narrowest type that
holds them, or empty where pairs are used.
terms: indptr (T + 1,), variables, weights (T,), indptr by variable (n + 1,), terms by variable. groups: indptr (G + 1,)
and variables, weights and values in float64, indptr by variable (n + 1,), groups and weights by variable; the value
times both weights is the change of delta.

Walker: ``(high (N,) int8, deltas (N,) real, penalties (N,) real, free_minima (B,) real, minima (B,) real, is_stale (B,)
uint8, stale (B,) int32, slots (W,) int32, links (n,) int32, grown (n,) int32, counts (T,) int32, home (n,) int8, trail
(n,) int8, numbers (NUMBERS,) int64, random (1,) uint64, changed (n,) int32, pending (n,) int32, marks (n,) uint8)``.

A penalty is ``numbers[TABU]``, above all deltas, for tabu variables and its negative for free ones. ``slots`` heads a
list of the variables that become free at move ``clock`` = slot modulo W. ``counts``: a mask that is set where a spin
term's product is negative, or the number of zeros of a bit term. ``trail`` is the best configuration since the last
kick, ``home`` the best of all, 1 where high. ``changed`` lists the variables flipped since the last kick, outside of
which both are equal, and ``pending`` those flipped since trail was last brought up to date; ``marks`` shows which
variables are in which list. So neither a record nor a kick touches all variables.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.addresses import address
from qiosk.kernels.compiler import inlined

BLOCK = 64
"""Variables whose least delta is kept."""
COST, HOME, TRAIL, CLOCK, LAST, STALE, KICKS, SLOTS, TABU, PATIENCE, CHANGED, PENDING = range(12)
"""Entries of ``numbers``: present cost, cost of home, cost of trail (``UNSEEN`` if there is none), moves made, move of
the last improvement of trail, length of ``stale``, kicks, W, penalty of a tabu variable, moves without improvement
before the next kick, lengths of ``changed`` and ``pending``."""
NUMBERS = 12
UNSEEN = 2**62
"""A cost above all others."""
_SHIFT = 6
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_30, _27, _31, _33 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(33)


@inlined()
def random_below(random: Any, limit: Any) -> Any:
    """A random integer 0..limit - 1, ``limit`` at most 2**31, of a splitmix64 generator."""
    random[0] += _GOLDEN
    x = random[0]
    x = (x ^ (x >> _30)) * _MIX1
    x = (x ^ (x >> _27)) * _MIX2
    return (np.int64((x ^ (x >> _31)) >> _33) * limit) >> 31


@inlined()
def touch(i: Any, is_stale: Any, stale: Any, numbers: Any) -> None:
    """The block of variable i has to be read again."""
    block = i >> _SHIFT
    if is_stale[block] == 0:
        is_stale[block] = 1
        stale[numbers[STALE]] = block
        numbers[STALE] += 1


@inlined()
def walker_addresses(w: Any) -> Any:
    """A walker's arrays by address."""
    high, deltas, penalties, free_minima = address(w[0]), address(w[1]), address(w[2]), address(w[3])
    minima, is_stale, stale, slots = address(w[4]), address(w[5]), address(w[6]), address(w[7])
    links, grown, counts, home = address(w[8]), address(w[9]), address(w[10]), address(w[11])
    trail, numbers, random, changed = address(w[12]), address(w[13]), address(w[14]), address(w[15])
    kept = (free_minima, minima, is_stale, stale, slots, links, grown, counts, home, trail, numbers, random)
    return (high, deltas, penalties, *kept, changed, address(w[16]), address(w[17]))


@inlined()
def table_addresses(tables: Any) -> Any:
    """The tables' arrays by address."""
    shape, p, dense, t, g = tables
    pairs = (address(p[0]), address(p[1]), address(p[2]))
    terms = (address(t[0]), address(t[1]), address(t[2]), address(t[3]), address(t[4]))
    members = (address(g[4]), address(g[5]), address(g[6]))
    groups = (address(g[0]), address(g[1]), address(g[2]), address(g[3]), *members)
    return (shape, pairs, address(dense), terms, groups)


@inlined()
def _flip_pairs(j: Any, pairs: Any, walker: Any) -> None:
    indptr, neighbors, weights = pairs
    high, deltas = walker[0], walker[1]
    is_stale, stale, numbers = walker[5], walker[6], walker[13]
    mask = high[j]
    for k in range(indptr[j], indptr[j + 1]):
        i = neighbors[k]
        sign = high[i] ^ mask
        deltas[i] += (weights[k] ^ sign) - sign
        touch(i, is_stale, stale, numbers)


@inlined()
def read_block(block: Any, walker: Any) -> None:
    """The least delta of a block, and that of its free variables."""
    deltas, penalties, free_minima, minima = walker[1], walker[2], walker[3], walker[4]
    begin = block * BLOCK
    least = deltas[begin]
    least_free = max(deltas[begin], penalties[begin])
    for i in range(begin, begin + BLOCK):
        least = min(least, deltas[i])
        least_free = min(least_free, max(deltas[i], penalties[i]))
    minima[block] = least
    free_minima[block] = least_free


@inlined()
def _flip_dense(j: Any, dense: Any, blocks: Any, walker: Any) -> None:
    """Every block is read again while it is in registers, so a move is one pass over memory."""
    high, deltas, is_stale, numbers = walker[0], walker[1], walker[5], walker[13]
    mask = high[j]
    row = j * blocks * BLOCK
    for block in range(blocks):
        for i in range(block * BLOCK, block * BLOCK + BLOCK):
            sign = high[i] ^ mask
            deltas[i] += (dense[row + i] ^ sign) - sign
        read_block(block, walker)
        is_stale[block] = 0
    numbers[STALE] = 0


@inlined()
def _flip_spin_terms(j: Any, terms: Any, walker: Any) -> None:
    indptr, variables, weights, var_indptr, var_terms = terms
    deltas, is_stale, stale, counts, numbers = walker[1], walker[5], walker[6], walker[10], walker[13]
    for k in range(var_indptr[j], var_indptr[j + 1]):
        t = var_terms[k]
        change = (weights[t] ^ counts[t]) - counts[t]
        counts[t] = ~counts[t]
        for q in range(indptr[t], indptr[t + 1]):
            i = variables[q]
            if i != j:
                deltas[i] += change
                touch(i, is_stale, stale, numbers)


@inlined()
def _flip_bit_terms(j: Any, terms: Any, walker: Any) -> None:
    """Ones of a term without zeros matter, and the zero of a term with one; other terms are constant."""
    indptr, variables, weights, var_indptr, var_terms = terms
    high, deltas, counts = walker[0], walker[1], walker[10]
    is_stale, stale, numbers = walker[5], walker[6], walker[13]
    for k in range(var_indptr[j], var_indptr[j + 1]):
        t = var_terms[k]
        others = counts[t] - (0 if high[j] else 1)  # zeros besides j
        counts[t] += 1 if high[j] else -1
        if others > 1:
            continue
        change = weights[t] if (others == 0) == (high[j] != 0) else -weights[t]
        for q in range(indptr[t], indptr[t + 1]):
            i = variables[q]
            if i != j and (others == 0 or high[i] == 0):
                deltas[i] += change
                touch(i, is_stale, stale, numbers)


@inlined()
def _flip_groups(j: Any, groups: Any, walker: Any) -> None:
    indptr, variables, weights, values, member_indptr, member_groups, member_weights = groups
    high, deltas, is_stale, stale, numbers = walker[0], walker[1], walker[5], walker[6], walker[13]
    mask = high[j]
    for k in range(member_indptr[j], member_indptr[j + 1]):
        g = member_groups[k]
        factor = values[g] * member_weights[k]
        for q in range(indptr[g], indptr[g + 1]):
            i = variables[q]
            if i != j:
                change = np.int64(np.rint(factor * weights[q]))
                sign = np.int64(high[i] ^ mask)
                deltas[i] += (change ^ sign) - sign
                touch(i, is_stale, stale, numbers)


@cache
def flip_of(is_spin: bool, is_dense: bool, has_terms: bool, has_groups: bool) -> Any:
    """``flip(j, tables, walker)`` for one kind of problem: parts that it does not have are not compiled."""

    @inlined()
    def flip(j: Any, tables: Any, walker: Any) -> None:
        shape, pairs, dense, terms, groups = tables
        high, deltas, numbers = walker[0], walker[1], walker[13]
        own = deltas[j]
        numbers[COST] += own
        if is_dense:
            _flip_dense(j, dense, shape[1], walker)
        else:
            _flip_pairs(j, pairs, walker)
        if has_terms:
            if is_spin:
                _flip_spin_terms(j, terms, walker)
            else:
                _flip_bit_terms(j, terms, walker)
        if has_groups:
            _flip_groups(j, groups, walker)
        deltas[j] = -own
        high[j] = ~high[j]
        touch(j, walker[5], walker[6], numbers)

    return flip
