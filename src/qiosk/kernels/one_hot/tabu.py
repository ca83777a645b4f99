"""Tabu walkers that keep one-hot groups; see ``places`` for places, fields and tables.

A move gives a choice another of its places, swaps two rows of an assignment, or exchanges two choices: the one of least
gain among those that are free, or any that leads to a new best; among equals a random one. A place that was left is
tabu for some moves; a swap is tabu if both places that it takes are. After some moves without improvement a walker is
kicked: it returns to the better of its best configuration and the best since the last kick, and makes some random
moves.

Walker: ``state`` of one replica; until (W,) int64, the move from which a place is free; home (C,) int32, the best
places of all, and trail (C,) int32, the best since the last kick; costs (4,) float64 in units, the constant apart:
present, of home, of trail (infinite if there is none), and the least difference that is not rounding; numbers
(NUMBERS,) int64; random (1,) uint64.

Inside, links has for every place of an assignment, the k-th of a row, the couplings of the swap of that row with row k.
Only swaps of one of both rows change them.

References: F. Glover, ORSA J. Comput. 1, 190 (1989), doi:10.1287/ijoc.1.3.190; E. D. Taillard, Parallel Comput. 17, 443
(1991), doi:10.1016/S0167-8191(05)80147-4; A. Misevicius, Comput. Optim. Appl. 30, 95 (2005),
doi:10.1007/s10589-005-4562-x (kicks).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.addresses import address, kept
from qiosk.kernels.compiler import called, inlined, kernel
from qiosk.kernels.one_hot.exchanges import exchange_gain
from qiosk.kernels.one_hot.orders import (
    NO_ORDER,
    longest_order,
    order_addresses,
    read_order,
    write_order,
)
from qiosk.kernels.one_hot.places import (
    FORBIDDEN_COST,
    beyond,
    change,
    costs_of_places,
    coupling_of_swap,
    fill,
    gain_of_swap,
    longest_choice,
    more_of_swap,
    partner,
    replica_addresses,
    swap,
    table_addresses,
)
from qiosk.kernels.one_hot.tabu_orders import ORDERED, best_of_order, kick_orders, move_order
from qiosk.kernels.search.tabu_flips import random_below

COST, HOME, TRAIL, LEAST = range(4)
"""Entries of ``costs``."""
CLOCK, LAST, PATIENCE, MADE = range(4)
"""Entries of ``numbers``: moves made, move of the last improvement of trail, moves without improvement before the next
kick, moves since the fields were added up."""
NUMBERS = 4
LEAST_PATIENCE, PATIENCE_PER_MOVE = 20, 16
"""Moves without improvement before a kick, at least, and more for every move of the kick before."""
MOST_EXCHANGES = 1024
"""Exchanges of a class that are looked at for a move."""
REFRESH_MOVES = 4096
"""Moves after which fields and the cost are added up again, so that rounding does not build up."""


@inlined()
def _total(tables: Any, choices: Any, replica: Any) -> Any:
    """Cost of a replica, the constant apart."""
    (_, n_terms, n_squares, _, _, _, _), pairs, _, terms, squares = tables
    taken, fields, missing, sums = replica
    total = 0.0
    for c in range(choices):
        total += 0.5 * (float(pairs[4][taken[c]]) + float(fields[taken[c]]))
    for t in range(n_terms):
        if missing[t] == 0:
            total += terms[2][t]
    for g in range(n_squares):
        excess = beyond(sums[g], squares[5][g])
        total += squares[0][g] * excess * excess
    return total


@called()
def _best_swap(
    tables: Any, first: Any, size: Any, replica: Any, links: Any, until: Any, clock: Any, random: Any, best: Any
) -> None:
    """Update ``best`` by the swaps of an assignment.

    best: (7,) float64 gain of the best free move, gain of the best move, ties of the first; choice and partner of the
    first and of the second. A partner is another row, or -1 - the place that the choice takes.
    """
    starts, (taken, fields, missing, sums) = tables[2][0], replica
    free_gain, any_gain, ties = best[0], best[1], best[2]
    for i in range(first, first + size - 1):
        row, a = starts[i], np.int64(taken[i])
        column, here, other = a - row, fields[a], row
        for j in range(i + 1, first + size):
            other += size
            b = np.int64(taken[j])
            c, d = row + (b - other), other + column
            gain = float((fields[c] - here) + (fields[d] - fields[b]) + links[row + j - first])
            if tables[0][4]:
                gain += more_of_swap(tables, a, b, c, d, missing, sums)
            if gain <= free_gain and (until[c] <= clock or until[d] <= clock):
                ties = 1.0 if gain < free_gain else ties + 1.0
                if ties == 1.0 or random_below(random, np.int64(ties)) == 0:
                    best[3], best[4] = float(i), float(j)
                free_gain = gain
            if gain < any_gain:
                any_gain = gain
                best[5], best[6] = float(i), float(j)
    best[0], best[1], best[2] = free_gain, any_gain, ties


@inlined()
def _link(tables: Any, i: Any, first: Any, size: Any, taken: Any, links: Any) -> None:
    """``links`` of row i with every other row of its assignment."""
    starts = tables[2][0]
    for j in range(first, first + size):
        if j != i:
            c, d = partner(starts, i, j, taken)
            found = coupling_of_swap(tables, i, j, c, d, taken)
            links[starts[i] + j - first] = links[starts[j] + i - first] = found


@called()
def _link_all(tables: Any, assignments: Any, kinds: Any, taken: Any, links: Any) -> None:
    firsts, sizes = tables[2][1], tables[2][2]
    for q in range(assignments):
        if kinds[q] != NO_ORDER:
            continue
        for i in range(firsts[q], firsts[q] + sizes[q]):
            _link(tables, i, firsts[q], sizes[q], taken, links)


@called()
def _best_change(tables: Any, i: Any, costs: Any, replica: Any, until: Any, clock: Any, random: Any, best: Any) -> None:
    """Update ``best`` by the changes of a choice."""
    starts = tables[2][0]
    start, here = starts[i], replica[0][i] - starts[i]
    costs_of_places(tables, i, replica, costs)
    for k in range(starts[i + 1] - start):
        gain = costs[k] - costs[here]
        if k == here or gain > max(best[0], best[1]):
            continue
        if gain <= best[0] and until[start + k] <= clock:
            best[2] = 1.0 if gain < best[0] else best[2] + 1.0
            if best[2] == 1.0 or random_below(random, np.int64(best[2])) == 0:
                best[3], best[4] = float(i), float(-1 - start - k)
            best[0] = gain
        if gain < best[1]:
            best[1] = gain
            best[5], best[6] = float(i), float(-1 - start - k)


@called()
def _best_exchange(
    tables: Any, members: Any, size: Any, replica: Any, until: Any, clock: Any, random: Any, best: Any
) -> None:
    """Update ``best`` by the exchanges of a class: all of them, or some random ones if they are many."""
    starts, taken = tables[2][0], replica[0]
    pairs = size * (size - 1) // 2
    m, k = np.int64(0), np.int64(0)
    for _ in range(min(pairs, MOST_EXCHANGES)):
        if pairs > MOST_EXCHANGES:
            m, k = random_below(random, size), random_below(random, size)
        else:
            k += 1
            if k == size:
                m += 1
                k = m + 1
        i, j = members[m], members[k]
        if taken[i] - starts[i] == taken[j] - starts[j]:
            continue
        c, d = partner(starts, i, j, taken)
        gain = exchange_gain(tables, i, j, c, d, replica)
        if gain <= best[0] and (until[c] <= clock or until[d] <= clock):
            best[2] = 1.0 if gain < best[0] else best[2] + 1.0
            if best[2] == 1.0 or random_below(random, np.int64(best[2])) == 0:
                best[3], best[4] = float(i), float(j)
            best[0] = gain
        if gain < best[1]:
            best[1] = gain
            best[5], best[6] = float(i), float(j)


@inlined()
def _assignment_of(tables: Any, row: Any) -> Any:
    """The assignment of a row: they come first, row after row."""
    _, firsts, sizes, _ = tables[2]
    q = 0
    while row >= firsts[q] + sizes[q]:
        q += 1
    return q


@inlined()
def _make(tables: Any, i: Any, other: Any, replica: Any, links: Any, assigned: Any) -> None:
    """Swap choices i and ``other``; or, if that is negative, choice i takes place -1 - other."""
    if other >= 0:
        c, d = partner(tables[2][0], i, other, replica[0])
        swap(tables, i, other, c, d, replica)
        if i >= assigned:
            return
        q = _assignment_of(tables, i)
        for row in (i, other):
            _link(tables, row, tables[2][1][q], tables[2][2][q], replica[0], links)
    else:
        change(tables, i, -1 - other, replica)


@called()
def _kick(tables: Any, counts: Any, kinds: Any, largest: Any, replica: Any, home: Any, random: Any) -> Any:
    """Put a replica at ``home`` after some random moves, 2 .. ``largest``. Returns how many; and those among them that
    are left to be made in ordered assignments."""
    starts, firsts, sizes, singles = tables[2]
    choices, assignments, single = counts
    for c in range(choices):
        replica[0][c] = home[c]
    fill(tables, choices, replica)
    flips = 2 + random_below(random, max(np.int64(1), np.int64(largest) - 1))
    rows, in_orders = np.int64(0), np.int64(0)
    for q in range(assignments):
        rows += sizes[q]
    for _ in range(flips):
        drawn = random_below(random, rows + single)
        if drawn >= rows:
            i = singles[drawn - rows]
            here = replica[0][i] - starts[i]
            new = random_below(random, starts[i + 1] - starts[i] - 1)
            change(tables, i, starts[i] + new + (new >= here), replica)
            continue
        q = _assignment_of(tables, drawn)
        if kinds[q] != NO_ORDER:
            in_orders += 1
            continue
        other = firsts[q] + random_below(random, sizes[q])
        if other != drawn:
            c, d = partner(starts, drawn, other, replica[0])
            if gain_of_swap(tables, drawn, other, c, d, replica) < FORBIDDEN_COST / 2.0:
                swap(tables, drawn, other, c, d, replica)
    return flips, in_orders


@cache
def one_hot_tabu(with_orders: bool) -> Any:
    """``run(couplings, moves, more, orders, state, *records, rules, n_moves)``.

    records: until, home, trail, costs, numbers, random. rules: (4,) int64 tenure, largest random addition to it,
    most moves without improvement, moves of the largest kick. Without ``with_orders`` no assignment counts as ordered.
    """

    @kernel
    def run(
        couplings: Any,
        moves: Any,
        more: Any,
        orders: Any,
        state: Any,
        until: Any,
        home: Any,
        trail: Any,
        costs: Any,
        numbers: Any,
        random: Any,
        rules: Any,
        n_moves: Any,
    ) -> None:
        tables = table_addresses(couplings, moves, more)
        starts, firsts, sizes, singles = tables[2]
        bounds, members = more[2]
        assigned = moves[2].sum()
        choices = state[0].shape[1]
        counts = (choices, moves[1].size, moves[3].size)
        replica = replica_addresses(state, 0)
        until_at, random_at, home_at = address(until), address(random), address(home)
        scratch, best_move = np.empty(longest_choice(moves)), np.empty(7)
        places, best = address(scratch), address(best_move)
        kinds = address(orders[0])
        columns = np.empty((longest_order(orders, moves) if with_orders else 0) + 2, np.int64)
        seq = address(columns)
        links = np.empty_like(state[1][0, : (moves[2] * moves[2]).sum()])
        links_at = address(links)
        _link_all(tables, counts[1], kinds, replica[0], links_at)
        for _ in range(n_moves):
            numbers[CLOCK] += 1
            best[0] = best[1] = FORBIDDEN_COST / 2.0
            best[2], best[3], best[5] = 0.0, -1.0, -1.0
            for q in range(counts[1]):
                if with_orders:  # noqa: SIM102 - a branch of its own is left out where this is false
                    if kinds[q] != NO_ORDER:
                        order, start = order_addresses(orders, moves, couplings[4], q), starts[firsts[q]]
                        read_order(order, start, address(state[0][0, firsts[q] :]), seq)
                        parted = address(until[start:])
                        best_of_order(order, firsts[q], seq, parted, numbers[CLOCK], random_at, best)
                        continue
                _best_swap(tables, firsts[q], sizes[q], replica, links_at, until_at, numbers[CLOCK], random_at, best)
            for s in range(counts[2]):
                _best_change(tables, singles[s], places, replica, until_at, numbers[CLOCK], random_at, best)
            for k in range(bounds.size - 1):
                size = bounds[k + 1] - bounds[k]
                own = address(members[bounds[k] :])
                _best_exchange(tables, own, size, replica, until_at, numbers[CLOCK], random_at, best)
            is_record = best[1] < best[0] and costs[COST] + best[1] < min(costs[HOME], costs[TRAIL]) - costs[LEAST]
            if is_record or best[3] < 0.0:
                best[0], best[3], best[4] = best[1], best[5], best[6]
            if best[3] < 0.0:
                continue  # there is no other configuration
            i, other = np.int64(best[3]), np.int64(best[4])
            ended = numbers[CLOCK] + 1 + rules[0]
            if with_orders and other >= ORDERED:
                q = _assignment_of(tables, i)
                order, start = order_addresses(orders, moves, couplings[4], q), starts[firsts[q]]
                rows = address(state[0][0, firsts[q] :])
                read_order(order, start, rows, seq)
                parted = address(until[start:])
                move_order(order, seq, parted, ended, rules[1], random_at, i - firsts[q], other)
                write_order(order, start, seq, rows)
            else:
                until_at[replica[0][i]] = ended + random_below(random_at, rules[1] + 1)
                if other >= 0:
                    until_at[replica[0][other]] = ended + random_below(random_at, rules[1] + 1)
                _make(tables, i, other, replica, links_at, assigned)
            costs[COST] += best[0]
            numbers[MADE] += 1
            if numbers[MADE] == REFRESH_MOVES:
                numbers[MADE] = 0
                fill(tables, choices, replica)
                costs[COST] = _total(tables, choices, replica)
            if costs[COST] < costs[TRAIL] - costs[LEAST]:
                costs[TRAIL] = costs[COST]
                trail[:] = state[0][0]
                numbers[LAST] = numbers[CLOCK]
            elif numbers[CLOCK] - numbers[LAST] >= numbers[PATIENCE]:
                if costs[TRAIL] < costs[HOME]:
                    costs[HOME] = costs[TRAIL]
                    home[:] = trail
                made, in_orders = _kick(tables, counts, kinds, rules[3], replica, home_at, random_at)
                if with_orders and in_orders > 0:
                    kick_orders(orders, moves, couplings[4], state[0][0], in_orders, seq, random_at)
                    fill(tables, choices, replica)
                _link_all(tables, counts[1], kinds, replica[0], links_at)
                costs[COST], costs[TRAIL] = _total(tables, choices, replica), np.inf
                numbers[LAST], numbers[MADE] = numbers[CLOCK], 0
                numbers[PATIENCE] = min(rules[2], LEAST_PATIENCE + PATIENCE_PER_MOVE * made)
        if with_orders:
            fill(tables, choices, replica)
        kept(scratch)
        kept(best_move)
        kept(columns)
        kept(links)

    return run
