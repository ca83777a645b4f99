"""Single-flip tabu search with stored deltas, in exact integers.

Every coefficient has been scaled to an integer beforehand, so the change of cost that each flip would make, its
*delta*, is kept up to date by additions alone and never drifts. A variable's value is a mask: 0 where it is low (-1, or
0), all ones where it is high; ``(w ^ m) - m`` is w or -w. Flipping j changes the delta of a neighbour i by plus or
minus a constant of the pair, minus if exactly one of the two is high, and negates that of j itself.

Variables stand in blocks of ``BLOCK``. The least delta of every block is kept, over all its variables and over those
that are not tabu; only blocks in which something changed are read again. So a move on a sparse problem reads a few
blocks and the list of minima, not all deltas; on a dense one everything changes anyhow, and a move is two passes over
memory.

Tables (n variables, N with padding, a multiple of BLOCK; "real" is int32 or int64):
``(shape, pairs, dense, terms, groups)``. shape: n, B = N / BLOCK, and whether pairs are dense. pairs: indptr (n + 1,)
int64, neighbors, weights, CSR; weights are the change of delta. dense: (N * N,) weights, or empty where pairs are used.
terms: indptr (T + 1,), variables, weights (T,), indptr by variable (n + 1,), terms by variable. groups: indptr (G + 1,)
and variables, weights and values in float64, indptr by variable (n + 1,), groups and weights by variable; the value
times both weights is the change of delta.

Walker: ``(high (N,) real, deltas (N,) real, penalties (N,) real, free_minima (B,) real, minima (B,) real, is_stale (B,)
uint8, stale (B,) int32, slots (W,) int32, links (n,) int32, grown (n,) int32, counts (T,) int32, home (n,) int8, trail
(n,) int8, numbers (NUMBERS,) int64, random (1,) uint64, changed (n,) int32, pending (n,) int32, marks (n,) uint8)``.

A penalty is ``numbers[TABU]``, above all deltas, for tabu variables and its negative for free ones. ``slots`` heads a
list of the variables that become free at move ``clock`` = slot modulo W. ``counts``: a mask that is set where a spin
term's product is negative, or the number of zeros of a bit term. ``trail`` is the best configuration since the last
kick, ``home`` the best of all, 1 where high. ``changed`` lists the variables flipped since the last kick, outside of
which both are equal, and ``pending`` those flipped since trail was last brought up to date; ``marks`` says who is in
which list. So neither a record nor a kick touches all variables.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import inlined, kernel, simd_available

if simd_available():
    from qiosk.kernels.simd import pointer

BLOCK = 64
"""Variables whose least delta is kept."""
COST, HOME, TRAIL, CLOCK, LAST, STALE, KICKS, SLOTS, TABU, PATIENCE, CHANGED, PENDING = range(12)
"""Entries of ``numbers``: present cost, cost of home, cost of trail (``UNSEEN`` if there is none), moves made, move of
the last improvement of trail, length of ``stale``, kicks, W, penalty of a tabu variable, moves without improvement
before the next kick, lengths of ``changed`` and ``pending``."""
NUMBERS = 12
UNSEEN = 2**62
"""A cost above all others."""
LEAST_PATIENCE, PATIENCE_PER_FLIP = 20, 4
"""Moves without improvement before a kick, at least, and more for every flip of the kick before."""
PATH_SAMPLE = 256
"""Variables that a greedy path compares, at most, before each of its steps."""

_SHIFT = 6
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_30, _27, _31, _33 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(33)


@inlined()
def _below(random: Any, limit: Any) -> Any:
    """A random integer 0..limit - 1, ``limit`` at most 2**31, of a splitmix64 generator."""
    random[0] += _GOLDEN
    x = random[0]
    x = (x ^ (x >> _30)) * _MIX1
    x = (x ^ (x >> _27)) * _MIX2
    return (np.int64((x ^ (x >> _31)) >> _33) * limit) >> 31


@inlined()
def _touch(i: Any, is_stale: Any, stale: Any, numbers: Any) -> None:
    """The block of variable i has to be read again."""
    block = i >> _SHIFT
    if is_stale[block] == 0:
        is_stale[block] = 1
        stale[numbers[STALE]] = block
        numbers[STALE] += 1


if simd_available():

    @inlined()
    def _address(array: Any) -> Any:
        """Where an array begins: its numbers can be read there without counting references to it."""
        return pointer(array)

else:

    @inlined()
    def _address(array: Any) -> Any:
        """The array itself: slower, and all the same."""
        return array


@inlined()
def _walker_at(w: Any) -> Any:
    """A walker's arrays by address."""
    high, deltas, penalties, free_minima = _address(w[0]), _address(w[1]), _address(w[2]), _address(w[3])
    minima, is_stale, stale, slots = _address(w[4]), _address(w[5]), _address(w[6]), _address(w[7])
    links, grown, counts, home = _address(w[8]), _address(w[9]), _address(w[10]), _address(w[11])
    trail, numbers, random, changed = _address(w[12]), _address(w[13]), _address(w[14]), _address(w[15])
    kept = (free_minima, minima, is_stale, stale, slots, links, grown, counts, home, trail, numbers, random)
    return (high, deltas, penalties, *kept, changed, _address(w[16]), _address(w[17]))


@inlined()
def _tables_at(tables: Any) -> Any:
    """The tables' arrays by address."""
    shape, p, dense, t, g = tables
    pairs = (_address(p[0]), _address(p[1]), _address(p[2]))
    terms = (_address(t[0]), _address(t[1]), _address(t[2]), _address(t[3]), _address(t[4]))
    members = (_address(g[4]), _address(g[5]), _address(g[6]))
    groups = (_address(g[0]), _address(g[1]), _address(g[2]), _address(g[3]), *members)
    return (shape, pairs, _address(dense), terms, groups)


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
        _touch(i, is_stale, stale, numbers)


@inlined()
def _flip_dense(j: Any, dense: Any, blocks: Any, walker: Any) -> None:
    high, deltas = walker[0], walker[1]
    is_stale, stale, numbers = walker[5], walker[6], walker[13]
    mask = high[j]
    row = j * blocks * BLOCK
    for i in range(blocks * BLOCK):
        sign = high[i] ^ mask
        deltas[i] += (dense[row + i] ^ sign) - sign
    for block in range(blocks):
        is_stale[block] = 1
        stale[block] = block
    numbers[STALE] = blocks


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
                _touch(i, is_stale, stale, numbers)


@inlined()
def _flip_bit_terms(j: Any, terms: Any, walker: Any) -> None:
    """Ones of a term without zeros matter, and the zero of a term with one; other terms are dead."""
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
                _touch(i, is_stale, stale, numbers)


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
                _touch(i, is_stale, stale, numbers)


@cache
def _flip(is_spin: bool, is_dense: bool, has_terms: bool, has_groups: bool) -> Any:
    """``flip(j, tables, walker)`` for one kind of problem: what it has not is not compiled."""

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
        _touch(j, walker[5], walker[6], numbers)

    return flip


@inlined()
def _refresh(walker: Any) -> None:
    """Read the stale blocks again."""
    deltas, penalties, free_minima, minima = walker[1], walker[2], walker[3], walker[4]
    is_stale, stale, numbers = walker[5], walker[6], walker[13]
    for k in range(numbers[STALE]):
        block = stale[k]
        is_stale[block] = 0
        begin = block * BLOCK
        least = deltas[begin]
        least_free = max(deltas[begin], penalties[begin])
        for i in range(begin, begin + BLOCK):
            least = min(least, deltas[i])
            least_free = min(least_free, max(deltas[i], penalties[i]))
        minima[block] = least
        free_minima[block] = least_free
    numbers[STALE] = 0


@inlined()
def _least(values: Any, count: Any) -> Any:
    least = values[0]
    for k in range(count):
        least = min(least, values[k])
    return least


@inlined()
def _choose(blocks: Any, walker: Any) -> Any:
    """The variable to flip: least delta of those that are free, or of all if that beats everything seen.

    Among equals the first one after a random block, and after a random place in it.
    """
    deltas, penalties, free_minima, minima = walker[1], walker[2], walker[3], walker[4]
    numbers, random = walker[13], walker[14]
    least, least_free = _least(minima, blocks), _least(free_minima, blocks)
    is_record = least < least_free and numbers[COST] + least < min(numbers[HOME], numbers[TRAIL])
    is_free = not is_record and least_free < numbers[TABU]
    block = _below(random, blocks)
    for _ in range(blocks):
        if (free_minima[block] == least_free) if is_free else (minima[block] == least):
            break
        block = block + 1 if block + 1 < blocks else 0
    offset = _below(random, np.int64(BLOCK))
    for k in range(BLOCK):
        i = block * BLOCK + ((offset + k) & (BLOCK - 1))
        if (max(deltas[i], penalties[i]) == least_free) if is_free else (deltas[i] == least):
            return i
    return block * BLOCK


@inlined()
def _release(walker: Any) -> None:
    """Variables whose time is over become free."""
    penalties, is_stale, stale = walker[2], walker[5], walker[6]
    slots, links, numbers = walker[7], walker[8], walker[13]
    slot = numbers[CLOCK] % numbers[SLOTS]
    i = slots[slot]
    slots[slot] = -1
    while i >= 0:
        penalties[i] = -numbers[TABU]
        _touch(i, is_stale, stale, numbers)
        i = links[i]


@inlined()
def _forbid(i: Any, rules: Any, walker: Any) -> None:
    """Variable i is tabu for the tenure and a random addition; one that is tabu already stays so as it was."""
    penalties, slots, links, numbers, random = walker[2], walker[7], walker[8], walker[13], walker[14]
    if penalties[i] < numbers[TABU]:
        penalties[i] = numbers[TABU]
        slot = (numbers[CLOCK] + 1 + rules[0] + _below(random, rules[1] + 1)) % numbers[SLOTS]
        links[i] = slots[slot]
        slots[slot] = i


@inlined()
def _list(i: Any, walker: Any) -> None:
    """Variable i has been flipped: it is in ``changed`` and in ``pending`` from now on."""
    numbers, changed, pending, marks = walker[13], walker[15], walker[16], walker[17]
    if marks[i] & 1 == 0:
        changed[numbers[CHANGED]] = i
        numbers[CHANGED] += 1
    if marks[i] & 2 == 0:
        pending[numbers[PENDING]] = i
        numbers[PENDING] += 1
    marks[i] = 3


@inlined()
def _record(walker: Any) -> None:
    """The present configuration becomes trail."""
    high, trail, numbers, pending, marks = walker[0], walker[12], walker[13], walker[16], walker[17]
    for k in range(numbers[PENDING]):
        i = pending[k]
        trail[i] = high[i] & 1
        marks[i] = 1
    numbers[PENDING] = 0
    numbers[TRAIL] = numbers[COST]


@inlined()
def _neighbor(i: Any, tables: Any, random: Any) -> Any:
    """A random variable that shares a pair, a term or a group with i; any variable where pairs are dense."""
    shape, pairs, _, terms, groups = tables
    of_pairs = pairs[0][i + 1] - pairs[0][i]
    of_terms = terms[3][i + 1] - terms[3][i]
    of_groups = groups[4][i + 1] - groups[4][i]
    if shape[2] or of_pairs + of_terms + of_groups == 0:
        return _below(random, shape[0])
    k = _below(random, of_pairs + of_terms + of_groups)
    if k < of_pairs:
        return np.int64(pairs[1][pairs[0][i] + k])
    if k < of_pairs + of_terms:
        t = terms[4][terms[3][i] + k - of_pairs]
        return np.int64(terms[1][terms[0][t] + _below(random, terms[0][t + 1] - terms[0][t])])
    g = groups[5][groups[4][i] + k - of_pairs - of_terms]
    return np.int64(groups[1][groups[0][g] + _below(random, groups[0][g + 1] - groups[0][g])])


@cache
def _compiled_flip(is_spin: bool, is_dense: bool, has_terms: bool, has_groups: bool) -> Any:
    """``flip(j, tables, walker)`` for where it may take a call, which is 20 ns: it is not compiled once more there."""
    inner = _flip(is_spin, is_dense, has_terms, has_groups)

    @kernel
    def flip(j: Any, tables: Any, walker: Any) -> None:
        inner(j, tables, walker)

    return flip


@cache
def _go_home(is_spin: bool, is_dense: bool, has_terms: bool, has_groups: bool) -> Any:
    flip = _compiled_flip(is_spin, is_dense, has_terms, has_groups)

    @kernel
    def go_home(tables: Any, walker: Any) -> None:
        """Make the better of home and trail both, and go there; of equal ones trail."""
        high, home, trail, numbers, changed, marks = (
            walker[0],
            walker[11],
            walker[12],
            walker[13],
            walker[15],
            walker[17],
        )
        is_accepted = numbers[TRAIL] <= numbers[HOME]
        for k in range(numbers[CHANGED]):
            i = np.int64(changed[k])
            marks[i] = 0
            if is_accepted:
                home[i] = trail[i]
            else:
                trail[i] = home[i]
            if (high[i] & 1) != home[i]:
                flip(i, tables, walker)
        numbers[HOME] = min(numbers[HOME], numbers[TRAIL])
        numbers[CHANGED] = 0
        numbers[PENDING] = 0

    return go_home


@cache
def _kick(is_spin: bool, is_dense: bool, has_terms: bool, has_groups: bool) -> Any:
    flip = _compiled_flip(is_spin, is_dense, has_terms, has_groups)
    go_home = _go_home(is_spin, is_dense, has_terms, has_groups)

    @kernel
    def kick(tables: Any, walker: Any, rules: Any) -> None:
        """Go home, or stay if this is no worse; then flip a cluster of neighbours, or variables anywhere.

        The number of flips is log-uniform in 2..largest, since which size helps depends on the problem. So does the
        number of moves without improvement before the next kick: short ones are the more frequent, so that every
        doubling gets the same share of the time.
        """
        penalties, grown, numbers, random = walker[2], walker[9], walker[13], walker[14]
        n = tables[0][0]
        go_home(tables, walker)
        uniform = _below(random, np.int64(1 << 30)) * 2.0**-30
        wanted = np.int64(2.0 * np.exp(uniform * np.log(max(1.0, 0.5 * rules[3]))) + 0.5)
        is_cluster = _below(random, np.int64(2)) == 0
        size = 0
        for _ in range(4 * wanted):
            i = _below(random, n)
            if is_cluster and size > 0:
                i = _neighbor(np.int64(grown[_below(random, size)]), tables, random)
            if size < min(wanted, n) and penalties[i] < numbers[TABU]:
                flip(i, tables, walker)
                _list(i, walker)
                _forbid(i, rules, walker)
                grown[size] = i
                size += 1
        numbers[TRAIL] = UNSEEN
        numbers[LAST] = numbers[CLOCK]
        numbers[KICKS] += 1
        uniform = (_below(random, np.int64(1 << 30)) + 1) * 2.0**-30
        numbers[PATIENCE] = min(rules[2], np.int64((LEAST_PATIENCE + PATIENCE_PER_FLIP * size) / uniform))

    return kick


@cache
def tabu_moves(is_spin: bool, is_dense: bool, has_terms: bool, has_groups: bool) -> Any:
    """``moves(tables, walker, rules, n_moves)``: so many moves, in place, kicks included.

    rules: (4,) int64 tenure, its random spread, the most moves without improvement before a kick, and the
    flips of the largest kick.
    """
    flip, kick = _flip(is_spin, is_dense, has_terms, has_groups), _kick(is_spin, is_dense, has_terms, has_groups)

    @kernel
    def moves(tables: Any, walker: Any, rules: Any, n_moves: Any) -> None:
        tables_at, walker_at, rules_at = _tables_at(tables), _walker_at(walker), _address(rules)
        deltas, numbers, blocks = walker_at[1], walker_at[13], tables_at[0][1]
        for _ in range(n_moves):
            _release(walker_at)
            _refresh(walker_at)
            i = _choose(blocks, walker_at)
            if numbers[COST] < numbers[TRAIL]:
                numbers[LAST] = numbers[CLOCK]
                if deltas[i] >= 0:
                    _record(walker_at)
            flip(i, tables_at, walker_at)
            _list(i, walker_at)
            _forbid(i, rules_at, walker_at)
            numbers[CLOCK] += 1
            if numbers[CLOCK] - numbers[LAST] > numbers[PATIENCE] and numbers[COST] >= numbers[TRAIL]:
                kick(tables_at, walker_at, rules_at)

    return moves


@cache
def relink(is_spin: bool, is_dense: bool, has_terms: bool, has_groups: bool) -> Any:
    """``relink(tables, walker, begin, target, first, last, is_greedy)``: stay at the best of a path.

    The path leads from ``begin`` (n,) to ``target`` (n,), 1 where high. Steps flip variables that differ from
    ``target``, in random order, or the one of least delta if ``is_greedy`` (if more than ``PATH_SAMPLE`` differ, of so
    many random ones).
    The walker ends where the cost was least between ``first`` and ``last`` steps, both at least 1 and at most the
    distance; it stays at ``begin`` if ``last`` is less than ``first``.
    """
    flip = _compiled_flip(is_spin, is_dense, has_terms, has_groups)

    @kernel
    def relink(tables: Any, walker: Any, begin: Any, target: Any, first: Any, last: Any, is_greedy: Any) -> None:
        tables_at, walker_at = _tables_at(tables), _walker_at(walker)
        high, deltas, grown, numbers, random = walker_at[0], walker_at[1], walker_at[9], walker_at[13], walker_at[14]
        distance = 0
        for i in range(target.size):
            if (high[i] & 1) != begin[i]:
                flip(i, tables_at, walker_at)
            if (high[i] & 1) != target[i]:
                grown[distance] = i
                distance += 1
        best: Any = UNSEEN
        best_step = 0
        steps = last if last >= first else 0
        for step in range(steps):
            # steps made are in front; the next one is brought to their end
            left = distance - step
            chosen = step + _below(random, left)
            if is_greedy:
                for q in range(min(PATH_SAMPLE, left)):
                    other = step + q if left <= PATH_SAMPLE else step + _below(random, left)
                    if deltas[grown[other]] < deltas[grown[chosen]]:
                        chosen = other
            flipped = np.int64(grown[chosen])
            grown[chosen] = grown[step]
            grown[step] = flipped
            flip(flipped, tables_at, walker_at)
            if step + 1 >= first and numbers[COST] < best:
                best, best_step = numbers[COST], step + 1
        for step in range(steps - 1, best_step - 1, -1):
            flip(np.int64(grown[step]), tables_at, walker_at)

    return relink
