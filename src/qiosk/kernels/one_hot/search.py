"""Descent of one replica, and the gains of all its moves; see ``places`` for arrays and arguments."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.addresses import address
from qiosk.kernels.compiler import kernel
from qiosk.kernels.one_hot.exchanges import LONGEST_CLASS, exchange_downhill, exchange_gain
from qiosk.kernels.one_hot.places import (
    FORBIDDEN_COST,
    change,
    costs_of_places,
    gain_of_swap,
    longest_choice,
    partner,
    replica_addresses,
    swap,
    table_addresses,
)


@cache
def one_hot_descent() -> Any:
    """``descend(couplings, moves, more, state, tolerance, passes) -> moves made``: of replica 0.

    Passes over all moves, each choice to its cheapest place and each swap and exchange that gains more than
    ``tolerance``, until nothing gains.
    """

    @kernel
    def descend(couplings: Any, moves: Any, more: Any, state: Any, tolerance: Any, passes: Any) -> int:
        tables = table_addresses(couplings, moves, more)
        starts, firsts, sizes, singles = tables[2]
        replica = replica_addresses(state, 0)
        bounds, members = more[2]
        costs = np.empty(longest_choice(moves))
        made = 0
        for _ in range(passes):
            before = made
            for q in range(moves[1].size):
                for i in range(firsts[q], firsts[q] + sizes[q]):
                    for j in range(i + 1, firsts[q] + sizes[q]):
                        c, d = partner(starts, i, j, replica[0])
                        gain = gain_of_swap(tables, i, j, c, d, replica)
                        if gain < -tolerance:
                            swap(tables, i, j, c, d, replica)
                            made += 1
            for s in range(moves[3].size):
                i = singles[s]
                costs_of_places(tables, i, replica, address(costs))
                here = replica[0][i] - starts[i]
                best = here
                for k in range(starts[i + 1] - starts[i]):
                    if costs[k] < costs[best]:
                        best = k
                if costs[best] < costs[here] - tolerance:
                    change(tables, i, starts[i] + best, replica)
                    made += 1
            for k in range(more[2][0].size - 1):
                size = bounds[k + 1] - bounds[k]
                if size <= LONGEST_CLASS:
                    made += exchange_downhill(tables, address(members[bounds[k] :]), size, replica, tolerance)
            if made == before:
                break
        return made

    return descend


@cache
def one_hot_gains() -> Any:
    """``gains(couplings, moves, more, state, out, places)``: of all moves of replica 0.

    out: (moves,) change of cost. places: (moves, 2) int64, the places that are taken by it; for a choice, twice the
    same. An exchange that would change nothing costs FORBIDDEN_COST.
    """

    @kernel
    def gains(couplings: Any, moves: Any, more: Any, state: Any, out: Any, places: Any) -> None:
        tables = table_addresses(couplings, moves, more)
        starts, firsts, sizes, singles = tables[2]
        replica = replica_addresses(state, 0)
        bounds, members = more[2]
        costs = np.empty(longest_choice(moves))
        m = 0
        for q in range(moves[1].size):
            for i in range(firsts[q], firsts[q] + sizes[q]):
                for j in range(i + 1, firsts[q] + sizes[q]):
                    c, d = partner(starts, i, j, replica[0])
                    out[m] = gain_of_swap(tables, i, j, c, d, replica)
                    places[m, 0], places[m, 1] = c, d
                    m += 1
        for s in range(moves[3].size):
            i = singles[s]
            costs_of_places(tables, i, replica, address(costs))
            here = replica[0][i] - starts[i]
            for k in range(starts[i + 1] - starts[i]):
                if k != here:
                    out[m] = costs[k] - costs[here]
                    places[m, 0] = places[m, 1] = starts[i] + k
                    m += 1
        for k in range(bounds.size - 1):
            if bounds[k + 1] - bounds[k] > LONGEST_CLASS:
                continue
            for first in range(bounds[k], bounds[k + 1]):
                for second in range(first + 1, bounds[k + 1]):
                    i, j = members[first], members[second]
                    c, d = partner(starts, i, j, replica[0])
                    out[m] = FORBIDDEN_COST
                    if c != replica[0][i]:
                        out[m] = exchange_gain(tables, i, j, c, d, replica)
                    places[m, 0], places[m, 1] = c, d
                    m += 1

    return gains
