"""The best move of an ordered assignment, for tabu walkers; see ``orders`` for orders and their moves.

What is tabu are pairs of neighbours: a pair that a move has parted may not be made again for some moves. A move is tabu
if all pairs that it makes are. Pairs are kept where other assignments keep places: (a, b) is at place a * N + b.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qiosk.kernels.addresses import address
from qiosk.kernels.compiler import called, inlined
from qiosk.kernels.one_hot.orders import (
    LONGEST_STRETCH,
    NO_ORDER,
    are_neighbours,
    gain_of_exchange,
    gain_of_reversal,
    gain_of_shift,
    order_addresses,
    read_order,
    reverse,
    shift,
    write_order,
)
from qiosk.kernels.search.tabu_flips import random_below

ORDERED = 1 << 50
"""Codes of moves of ordered assignments, from this on."""
_BITS = 20
_REVERSAL, _SHIFT, _EXCHANGE = range(3)


@inlined()
def _code(move: Any, m: Any, j: Any) -> Any:
    return float(ORDERED + (move << (2 * _BITS)) + (m << _BITS) + j)


@inlined()
def _is_free(order: Any, until: Any, clock: Any, a: Any, b: Any) -> Any:
    """Whether two columns may become neighbours; not where one of them is none."""
    size = order[3]
    return a < size and b < size and until[min(a, b) * size + max(a, b)] <= clock


@inlined()
def _keep(best: Any, gain: Any, is_free: Any, i: Any, code: Any, random: Any) -> None:
    if gain <= best[0] and is_free:
        best[2] = 1.0 if gain < best[0] else best[2] + 1.0
        if best[2] == 1.0 or random_below(random, np.int64(best[2])) == 0:
            best[3], best[4] = float(i), code
        best[0] = gain
    if gain < best[1]:
        best[1] = gain
        best[5], best[6] = float(i), code


@called()
def best_of_order(order: Any, first: Any, seq: Any, until: Any, clock: Any, random: Any, best: Any) -> None:
    """Update ``best`` by reversals, by moves of stretches of a random length up to three, and, if rows have costs of
    their own, by swaps. Choices are ``first`` and rows from 0 on."""
    size = order[3]
    for i in range(1, size):
        for j in range(i + 1, size + 1):
            if order[0] and j - i + 1 == size:
                continue
            gain = gain_of_reversal(order, seq, i, j)
            if gain <= best[0] or gain < best[1]:
                free = _is_free(order, until, clock, seq[i - 1], seq[j])
                free = free or _is_free(order, until, clock, seq[i], seq[j + 1])
                _keep(best, gain, free, first + i - 1, _code(_REVERSAL, 0, j), random)
            if order[2] and not are_neighbours(order, i, j):
                gain = gain_of_exchange(order, seq, i, j)
                if gain <= best[0] or gain < best[1]:
                    free = _is_free(order, until, clock, seq[i - 1], seq[j])
                    free = free or _is_free(order, until, clock, seq[j], seq[i + 1])
                    free = free or _is_free(order, until, clock, seq[j - 1], seq[i])
                    free = free or _is_free(order, until, clock, seq[i], seq[j + 1])
                    _keep(best, gain, free, first + i - 1, _code(_EXCHANGE, 0, j), random)
    length = 1 + random_below(random, LONGEST_STRETCH)
    for i in range(1, size - length + 1):
        for j in range(i + length, size + 1):
            if order[0] and j - i + 1 == size:
                continue
            for is_back in range(2):
                m = j - length if is_back else i + length - 1
                gain = gain_of_shift(order, seq, i, m, j)
                if gain <= best[0] or gain < best[1]:
                    free = _is_free(order, until, clock, seq[i - 1], seq[m + 1])
                    free = free or _is_free(order, until, clock, seq[j], seq[i])
                    free = free or _is_free(order, until, clock, seq[m], seq[j + 1])
                    _keep(best, gain, free, first + i - 1, _code(_SHIFT, m, j), random)


@inlined()
def _part(order: Any, until: Any, ended: Any, spread: Any, random: Any, a: Any, b: Any) -> None:
    size = order[3]
    if a < size and b < size:
        until[min(a, b) * size + max(a, b)] = ended + random_below(random, spread + 1)


@called()
def move_order(order: Any, seq: Any, until: Any, ended: Any, spread: Any, random: Any, row: Any, code: Any) -> None:
    """Make a move; the pairs that it parts are tabu until ``ended``, or up to ``spread`` longer. Rows are from 0 on."""
    i, rest = row + 1, code - ORDERED
    move, m, j = rest >> (2 * _BITS), (rest >> _BITS) & ((1 << _BITS) - 1), rest & ((1 << _BITS) - 1)
    _part(order, until, ended, spread, random, seq[i - 1], seq[i])
    _part(order, until, ended, spread, random, seq[j], seq[j + 1])
    if move == _REVERSAL:
        reverse(order, seq, i, j)
    elif move == _SHIFT:
        _part(order, until, ended, spread, random, seq[m], seq[m + 1])
        shift(order, seq, i, m, j)
    else:
        _part(order, until, ended, spread, random, seq[i], seq[i + 1])
        _part(order, until, ended, spread, random, seq[j - 1], seq[j])
        reverse(order, seq, i, j)
        reverse(order, seq, i + 1, j - 1)


@called()
def _kick_order(order: Any, seq: Any, random: Any) -> None:
    """Two random stretches beside each other change places."""
    size = order[3]
    length = 2 + random_below(random, size - 2)
    i = 1 + random_below(random, size - length + 1)
    shift(order, seq, i, i + random_below(random, length - 1), i + length - 1)


@inlined()
def kick_orders(orders: Any, moves: Any, base: Any, taken: Any, kicks: Any, seq: Any, random: Any) -> None:
    """So many random moves in every ordered assignment. ``taken`` (C,) are the places of a replica."""
    starts, firsts = moves[0], moves[1]
    for q in range(firsts.size):
        if orders[0][q] != NO_ORDER:
            order, start = order_addresses(orders, moves, base, q), starts[firsts[q]]
            rows = address(taken[firsts[q] :])
            read_order(order, start, rows, seq)
            for _ in range(kicks):
                _kick_order(order, seq, random)
            write_order(order, start, seq, rows)
