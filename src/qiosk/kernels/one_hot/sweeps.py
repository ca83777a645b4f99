"""The heat bath of choices and assignments; see ``places`` for arrays and arguments."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.addresses import address
from qiosk.kernels.compiler import called, inlined, kernel
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


@cache
def one_hot_sweeps() -> Any:
    """``sweeps(couplings, moves, more, state, states, age, betas, by_replica, n_sweeps)``.

    A sweep is a heat bath over all pairs of rows of every assignment, then over every other choice. age: (1,) int64
    sweeps that these replicas have made; updated. betas: float64 [1/unit], (R,) if ``by_replica``, else (n_sweeps,).
    """

    @kernel
    def sweeps(
        couplings: Any,
        moves: Any,
        more: Any,
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
        for r in range(state[0].shape[0]):
            replica = replica_addresses(state, r)
            for sweep in range(n_sweeps):
                if (age[0] + sweep) % REFRESH_SWEEPS == 0:
                    fill(tables, state[0].shape[1], replica)
                beta = betas[r] if by_replica else betas[sweep]
                for q in range(moves[1].size):
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
        age[0] += n_sweeps

    return sweeps
