"""Moves, kicks and paths of tabu walkers; see ``tabu_flips`` for what a walker consists of.

A move flips the variable of least delta among those that are free, or any variable if that leads to a new best. After
some moves without improvement a walker is kicked: it returns to the better of its best configuration and the best since
the last kick, and flips some variables at random. Kernels are made for a kind of problem: ``(is_spin, is_dense,
has_terms, has_groups)``, whether terms are of spins, pairs are a matrix, and there are terms and groups.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.addresses import address
from qiosk.kernels.compiler import inlined, kernel
from qiosk.kernels.search.tabu_flips import (
    BLOCK,
    CHANGED,
    CLOCK,
    COST,
    HOME,
    KICKS,
    LAST,
    PATIENCE,
    PENDING,
    SLOTS,
    STALE,
    TABU,
    TRAIL,
    UNSEEN,
    flip_of,
    random_below,
    read_block,
    table_addresses,
    touch,
    walker_addresses,
)

LEAST_PATIENCE, PATIENCE_PER_FLIP = 20, 4
"""Moves without improvement before a kick, at least, and more for every flip of the kick before."""
PATH_SAMPLE = 256
"""Variables that a greedy path compares, at most, before each of its steps."""


@inlined()
def _refresh(walker: Any) -> None:
    """Read the stale blocks again."""
    is_stale, stale, numbers = walker[5], walker[6], walker[13]
    for k in range(numbers[STALE]):
        block = stale[k]
        is_stale[block] = 0
        read_block(block, walker)
    numbers[STALE] = 0


@inlined()
def _least(values: Any, count: Any) -> Any:
    least = values[0]
    for k in range(count):
        least = min(least, values[k])
    return least


@inlined()
def _choose(blocks: Any, walker: Any) -> Any:
    """The variable to flip: least delta of those that are free, or of all if that leads to a new best.

    Among equals the first one after a random block, and after a random place in it.
    """
    deltas, penalties, free_minima, minima = walker[1], walker[2], walker[3], walker[4]
    numbers, random = walker[13], walker[14]
    least, least_free = _least(minima, blocks), _least(free_minima, blocks)
    is_record = least < least_free and numbers[COST] + least < min(numbers[HOME], numbers[TRAIL])
    is_free = not is_record and least_free < numbers[TABU]
    block = random_below(random, blocks)
    for _ in range(blocks):
        if (free_minima[block] == least_free) if is_free else (minima[block] == least):
            break
        block = block + 1 if block + 1 < blocks else 0
    offset = random_below(random, np.int64(BLOCK))
    for k in range(BLOCK):
        i = block * BLOCK + ((offset + k) & (BLOCK - 1))
        if (max(deltas[i], penalties[i]) == least_free) if is_free else (deltas[i] == least):
            return i
    return block * BLOCK


@inlined()
def _release(walker: Any) -> None:
    """Free the variables whose tenure has ended."""
    penalties, is_stale, stale = walker[2], walker[5], walker[6]
    slots, links, numbers = walker[7], walker[8], walker[13]
    slot = numbers[CLOCK] % numbers[SLOTS]
    i = slots[slot]
    slots[slot] = -1
    while i >= 0:
        penalties[i] = -numbers[TABU]
        touch(i, is_stale, stale, numbers)
        i = links[i]


@inlined()
def _forbid(i: Any, rules: Any, walker: Any) -> None:
    """Variable i is tabu for the tenure and a random addition; one that is tabu already stays so as it was."""
    penalties, slots, links, numbers, random = walker[2], walker[7], walker[8], walker[13], walker[14]
    if penalties[i] < numbers[TABU]:
        penalties[i] = numbers[TABU]
        slot = (numbers[CLOCK] + 1 + rules[0] + random_below(random, rules[1] + 1)) % numbers[SLOTS]
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
    """Record the present configuration as trail."""
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
        return random_below(random, shape[0])
    k = random_below(random, of_pairs + of_terms + of_groups)
    if k < of_pairs:
        return np.int64(pairs[1][pairs[0][i] + k])
    if k < of_pairs + of_terms:
        t = terms[4][terms[3][i] + k - of_pairs]
        return np.int64(terms[1][terms[0][t] + random_below(random, terms[0][t + 1] - terms[0][t])])
    g = groups[5][groups[4][i] + k - of_pairs - of_terms]
    return np.int64(groups[1][groups[0][g] + random_below(random, groups[0][g + 1] - groups[0][g])])


@cache
def _compiled_flip(*kind: bool) -> Any:
    """``flip(j, tables, walker)`` as a function that is called, which takes 20 ns, and not compiled into its caller."""
    inner = flip_of(*kind)

    @kernel
    def flip(j: Any, tables: Any, walker: Any) -> None:
        inner(j, tables, walker)

    return flip


@cache
def _go_home(*kind: bool) -> Any:
    flip = _compiled_flip(*kind)

    @kernel
    def go_home(tables: Any, walker: Any) -> None:
        """Set home and trail to the better of the two (trail if equal), and move there."""
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
def _kick(*kind: bool) -> Any:
    flip = _compiled_flip(*kind)
    go_home = _go_home(*kind)

    @kernel
    def kick(tables: Any, walker: Any, rules: Any) -> None:
        """Move to the better of home and trail; then flip a cluster of neighbours, or variables anywhere.

        The number of flips is log-uniform in 2..largest, since which size helps depends on the problem. So does the
        number of moves without improvement before the next kick: short ones are the more frequent, so that every
        doubling gets the same share of the time.
        """
        penalties, grown, numbers, random = walker[2], walker[9], walker[13], walker[14]
        n = tables[0][0]
        go_home(tables, walker)
        uniform = random_below(random, np.int64(1 << 30)) * 2.0**-30
        wanted = np.int64(2.0 * np.exp(uniform * np.log(max(1.0, 0.5 * rules[3]))) + 0.5)
        is_cluster = random_below(random, np.int64(2)) == 0
        size = 0
        for _ in range(4 * wanted):
            i = random_below(random, n)
            if is_cluster and size > 0:
                i = _neighbor(np.int64(grown[random_below(random, size)]), tables, random)
            if size < min(wanted, n) and penalties[i] < numbers[TABU]:
                flip(i, tables, walker)
                _list(i, walker)
                _forbid(i, rules, walker)
                grown[size] = i
                size += 1
        numbers[TRAIL] = UNSEEN
        numbers[LAST] = numbers[CLOCK]
        numbers[KICKS] += 1
        uniform = (random_below(random, np.int64(1 << 30)) + 1) * 2.0**-30
        numbers[PATIENCE] = min(rules[2], np.int64((LEAST_PATIENCE + PATIENCE_PER_FLIP * size) / uniform))

    return kick


@cache
def tabu_moves(*kind: bool) -> Any:
    """``moves(tables, walker, rules, n_moves)``: so many moves, in place, kicks included.

    rules: (4,) int64 tenure, its random spread, the most moves without improvement before a kick, and the
    flips of the largest kick.
    """
    flip, kick = flip_of(*kind), _kick(*kind)

    @kernel
    def moves(tables: Any, walker: Any, rules: Any, n_moves: Any) -> None:
        tables_at, walker_at, rules_at = table_addresses(tables), walker_addresses(walker), address(rules)
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
def settle(*kind: bool) -> Any:
    """``settle(tables, walker, configuration, descends)``: move to a configuration (n,), 1 where high.

    With ``descends`` on to a local minimum, by flips of least delta. Nothing is tabu, and nothing is recorded.
    """
    flip = _compiled_flip(*kind)

    @kernel
    def settle(tables: Any, walker: Any, configuration: Any, descends: Any) -> None:
        tables_at, walker_at = table_addresses(tables), walker_addresses(walker)
        high, deltas, blocks = walker_at[0], walker_at[1], tables_at[0][1]
        for i in range(configuration.size):
            if (high[i] & 1) != configuration[i]:
                flip(i, tables_at, walker_at)
        while descends:
            _refresh(walker_at)
            i = _choose(blocks, walker_at)
            if deltas[i] >= 0:
                break
            flip(i, tables_at, walker_at)

    return settle


@cache
def relink(*kind: bool) -> Any:
    """``relink(tables, walker, begin, target, first, last, is_greedy)``: stay at the best of a path.

    The path leads from ``begin`` (n,) to ``target`` (n,), 1 where high. Steps flip variables that differ from
    ``target``, in random order, or the one of least delta if ``is_greedy`` (if more than ``PATH_SAMPLE`` differ, of so
    many random ones).
    The walker ends where the cost was least between ``first`` and ``last`` steps, both at least 1 and at most the
    distance; it stays at ``begin`` if ``last`` is less than ``first``.
    """
    flip = _compiled_flip(*kind)

    @kernel
    def relink(tables: Any, walker: Any, begin: Any, target: Any, first: Any, last: Any, is_greedy: Any) -> None:
        tables_at, walker_at = table_addresses(tables), walker_addresses(walker)
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
            chosen = step + random_below(random, left)
            if is_greedy:
                for q in range(min(PATH_SAMPLE, left)):
                    other = step + q if left <= PATH_SAMPLE else step + random_below(random, left)
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
