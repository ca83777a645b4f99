"""The heat bath of choices and assignments; see ``places`` for arrays and arguments."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.addresses import address, kept
from qiosk.kernels.compiler import called, inlined, kernel
from qiosk.kernels.one_hot.exchanges import exchange_gain
from qiosk.kernels.one_hot.orders import (
    LONGEST_STRETCH,
    NO_ORDER,
    are_neighbours,
    costs_of_insertions,
    gain_of_exchange,
    gain_of_reversal,
    insert,
    longest_order,
    order_addresses,
    read_order,
    reverse,
    write_order,
)
from qiosk.kernels.one_hot.places import (
    FORBIDDEN_COST,
    change,
    costs_of_places,
    fill,
    gain_of_swap,
    longest_choice,
    partner,
    replica_addresses,
    swap,
    table_addresses,
)
from qiosk.kernels.plain.general import uniform

REFRESH_SWEEPS = 256
"""Sweeps after which fields are added up again, so that rounding does not build up."""
LARGEST_EXPONENT = 40.0
"""exp(-40) of a total cannot be drawn by a uniform number of 53 bits, up to a few times its probability."""


@called()
def _draw_place(costs: Any, size: Any, here: Any, beta: Any, states: Any, r: Any) -> Any:
    """The place of a choice that the heat bath draws; ``here`` is the one that is taken. costs are overwritten."""
    least = costs[0]
    for k in range(1, size):
        least = min(least, costs[k])
    limit = least + LARGEST_EXPONENT / beta if beta > 0.0 else np.inf
    near = 0
    for k in range(size):
        near += costs[k] <= limit
    if near == 1 and costs[here] == least:
        return here
    total = 0.0
    for k in range(size):
        if costs[k] == least:
            total += 1.0
        elif costs[k] <= limit:
            total += np.exp(-beta * (costs[k] - least))
        costs[k] = total
    drawn = uniform(states, r) * total
    k = 0
    while k < size - 1 and costs[k] <= drawn:
        k += 1
    return k


@inlined()
def _is_accepted(gain: Any, beta: Any, states: Any, r: Any) -> Any:
    """Whether the heat bath over two states takes the one that costs ``gain`` more."""
    exponent = beta * gain if gain != 0.0 else 0.0
    if exponent > LARGEST_EXPONENT or gain >= FORBIDDEN_COST / 2.0:
        return False
    if exponent < -LARGEST_EXPONENT:
        return True
    return uniform(states, r) * (1.0 + np.exp(exponent)) < 1.0


@called()
def _exchange(tables: Any, members: Any, first: Any, end: Any, beta: Any, replica: Any, random: Any, r: Any) -> None:
    """A heat bath over the exchange of each member of a class with a random other one."""
    starts = tables[2][0]
    for m in range(first, end):
        other = first + np.int64(uniform(random, r) * (end - first))
        i, j = members[m], members[min(other, end - 1)]
        if replica[0][i] - starts[i] != replica[0][j] - starts[j]:
            c, d = partner(starts, i, j, replica[0])
            if _is_accepted(exchange_gain(tables, i, j, c, d, replica), beta, random, r):
                swap(tables, i, j, c, d, replica)


@called()
def _sweep_order(order: Any, seq: Any, costs: Any, beta: Any, states: Any, r: Any) -> None:
    """A heat bath over all reversals, over swaps if rows have costs of their own, and over insertions.

    An insertion takes a stretch of 1..3 rows from random ones and draws where, and which way round, it goes among the
    others. They are as many wherever it is, so that it is found there as often: the weights are kept.
    """
    size = order[3]
    for i in range(1, size):
        for j in range(i + 1, size + 1):
            if order[0] and j - i + 1 == size:
                continue
            if _is_accepted(gain_of_reversal(order, seq, i, j), beta, states, r):
                reverse(order, seq, i, j)
            is_swapped = order[2] and not are_neighbours(order, i, j)
            if is_swapped and _is_accepted(gain_of_exchange(order, seq, i, j), beta, states, r):
                reverse(order, seq, i, j)
                reverse(order, seq, i + 1, j - 1)
    for _ in range(size):
        length = 1 + min(LONGEST_STRETCH - 1, int(uniform(states, r) * LONGEST_STRETCH))
        positions = size - length + 1
        i = 1 + min(positions - 1, int(uniform(states, r) * positions))
        costs_of_insertions(order, seq, i, length, False, costs, 0)
        turns = 1 if length == 1 else 2
        if turns == 2:
            costs_of_insertions(order, seq, i, length, True, costs, positions)
        drawn = _draw_place(costs, turns * positions, i - 1, beta, states, r)
        if drawn != i - 1:
            insert(order, seq, i, length, drawn >= positions, drawn % positions)


@cache
def one_hot_sweeps(with_orders: bool) -> Any:
    """``sweeps(couplings, moves, more, orders, state, states, age, betas, by_replica, n_sweeps)``.

    A sweep is a heat bath over all pairs of rows of every assignment, or over moves of an ordered one, then over every
    other choice, then over the exchange of each choice of a class with a random one. age: (1,) int64 sweeps that these
    replicas have made; updated. betas: float64 [1/unit], (R,) if ``by_replica``, else (n_sweeps,). Without
    ``with_orders`` no assignment counts as ordered.
    """

    @kernel
    def sweeps(
        couplings: Any,
        moves: Any,
        more: Any,
        orders: Any,
        state: Any,
        states: Any,
        age: Any,
        betas: Any,
        by_replica: Any,
        n_sweeps: Any,
    ) -> None:
        tables = table_addresses(couplings, moves, more)
        starts, firsts, sizes, singles = tables[2]
        scratch = np.empty(longest_choice(moves))
        costs, random = address(scratch), address(states)
        longest = longest_order(orders, moves) if with_orders else 0
        columns, insertions = np.empty(longest + 2, np.int64), np.empty(2 * longest + 2)
        seq = address(columns)
        bounds, members = address(more[2][0]), address(more[2][1])
        for r in range(state[0].shape[0]):
            replica = replica_addresses(state, r)
            for sweep in range(n_sweeps):
                if (age[0] + sweep) % REFRESH_SWEEPS == 0:
                    fill(tables, state[0].shape[1], replica)
                beta = betas[r] if by_replica else betas[sweep]
                for q in range(moves[1].size):
                    if with_orders:  # noqa: SIM102 - a branch of its own is left out where this is false
                        if orders[0][q] != NO_ORDER:
                            order = order_addresses(orders, moves, couplings[4], q)
                            rows = address(state[0][r, firsts[q] :])
                            read_order(order, starts[firsts[q]], rows, seq)
                            _sweep_order(order, seq, address(insertions), beta, random, r)
                            write_order(order, starts[firsts[q]], seq, rows)
                            continue
                    for i in range(firsts[q], firsts[q] + sizes[q]):
                        for j in range(i + 1, firsts[q] + sizes[q]):
                            c, d = partner(starts, i, j, replica[0])
                            gain = gain_of_swap(tables, i, j, c, d, replica)
                            if _is_accepted(gain, beta, random, r):
                                swap(tables, i, j, c, d, replica)
                for s in range(moves[3].size):
                    i = singles[s]
                    costs_of_places(tables, i, replica, costs)
                    here = replica[0][i] - starts[i]
                    new = _draw_place(costs, starts[i + 1] - starts[i], here, beta, random, r)
                    if new != here:
                        change(tables, i, starts[i] + new, replica)
                for k in range(more[2][0].size - 1):
                    _exchange(tables, members, bounds[k], bounds[k + 1], beta, replica, random, r)
            if with_orders:
                fill(tables, state[0].shape[1], replica)
        age[0] += n_sweeps
        kept(scratch)
        kept(columns)

    return sweeps
