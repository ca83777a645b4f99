"""The minimum of a problem of small width: variables are minimized out one by one.

The terms and tables that contain a variable are added up, once for each of its values, over all configurations of the
others in them; the lesser of both is a new table of those. Bit b of an index into a table is the b-th variable of its
scope, set for a spin of -1 or a bit of 1; scopes are in the order in which their variables have their turns.

All is in integers. The loops are plain, so they run uncompiled as well: tests compare them with all configurations.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import called, kernel

LOW = 10
"""Bits of an index of which the place in another table is looked up."""


@cache
def _add_table() -> Any:
    @called
    def add(table: Any, places: Any, size: Any, sums: Any) -> None:
        """Add a table, whose first bit is the variable itself and bit b + 1 is bit places[b] of an index, to both sums
        (2, 2^size)."""
        low = min(size, LOW)
        offsets = np.zeros(1 << low, np.int64)
        for b in range(places.size):
            if places[b] < low:
                for i in range(1 << low):
                    offsets[i] |= ((i >> places[b]) & 1) << (b + 1)
        for high in range(1 << (size - low)):
            base = 0
            for b in range(places.size):
                if places[b] >= low:
                    base |= ((high >> (places[b] - low)) & 1) << (b + 1)
            first = high << low
            for i in range(1 << low):
                sums[0, first + i] += table[base + offsets[i]]
                sums[1, first + i] += table[base + offsets[i] + 1]

    return add


@cache
def _add_term() -> Any:
    @called
    def add(value: Any, mask: Any, size: Any, is_spin: Any, sums: Any) -> None:
        """Add a term over the variable itself and those of a mask to both sums (2, 2^size)."""
        for i in range(1 << size):
            if is_spin:
                odd = i & mask
                odd ^= odd >> 16
                odd ^= odd >> 8
                odd ^= odd >> 4
                odd ^= odd >> 2
                odd ^= odd >> 1
                change = value - 2 * value * (odd & 1)
                sums[0, i] += change
                sums[1, i] -= change
            elif i & mask == mask:
                sums[1, i] += value

    return add


@cache
def eliminate() -> Any:
    """``run(first, last, order, scope_indptr, scopes, term_indptr, variables, values, is_spin, state, heads, nexts,
    begins, pool, free, sums, choice_begins, choices)``: minimize the variables of turns first .. last - 1 out.

    order, scope_indptr, scopes: as of ``fill_order``; an order of n variables. term_indptr, variables, values: the
    terms, grouped by the turn of their first variable: those of turn p are ``state[p + 2]`` to ``state[p + 3] - 1``.
    state: (n + 3,) int64; ``state[0]`` is what of ``pool`` was in use so far, ``state[1]`` the sum of what does not
    depend on any variable; both updated. heads: (n,) int64, the first table that waits for each turn, -1 for none, and
    nexts: (n,) the next one; begins: (n,) where in the pool the table of each turn is. pool: int64, the tables. free:
    (n + 32,) int64 heads and links of freed parts of the pool by size, -1 for none: the head of size 2^b at b, the link
    of the part of turn p at 32 + p. sums: (2, 2^width) int64, scratch. choice_begins: (n + 1,) int64; choices: int8,
    written: whether bit 1 or spin -1 costs less, by the configuration of the scope.
    """
    add_table, add_term = _add_table(), _add_term()

    @kernel
    def run(
        first: Any,
        last: Any,
        order: Any,
        scope_indptr: Any,
        scopes: Any,
        term_indptr: Any,
        variables: Any,
        values: Any,
        is_spin: Any,
        state: Any,
        heads: Any,
        nexts: Any,
        begins: Any,
        pool: Any,
        free: Any,
        sums: Any,
        choice_begins: Any,
        choices: Any,
    ) -> None:
        n = order.size
        rank = np.empty(n, np.int64)
        for p in range(n):
            rank[order[p]] = p
        bit_of = np.full(n, -1, np.int64)
        places = np.empty(64, np.int64)
        for p in range(first, last):
            scope = scopes[scope_indptr[p] : scope_indptr[p + 1]]
            size = scope.size
            for b in range(size):
                bit_of[scope[b]] = b
            count = 1 << size
            sums[:, :count] = 0
            for t in range(state[p + 2], state[p + 3]):
                mask = 0
                for k in range(term_indptr[t], term_indptr[t + 1]):
                    if variables[k] != order[p]:
                        mask |= 1 << bit_of[variables[k]]
                add_term(values[t], mask, size, is_spin, sums)
            q = heads[p]
            while q >= 0:
                own = scopes[scope_indptr[q] + 1 : scope_indptr[q + 1]]
                for b in range(own.size):
                    places[b] = bit_of[own[b]]
                add_table(pool[begins[q] : begins[q] + (2 << own.size)], places[: own.size], size, sums)
                free[32 + q] = free[own.size + 1]
                free[own.size + 1] = q
                q = nexts[q]
            choice = choices[choice_begins[p] : choice_begins[p] + count]
            for i in range(count):
                choice[i] = sums[1, i] < sums[0, i]
            if size == 0:
                state[1] += min(sums[0, 0], sums[1, 0])
                continue
            if free[size] >= 0:
                begins[p] = begins[free[size]]
                free[size] = free[32 + free[size]]
            else:
                begins[p] = state[0]
                state[0] += count
            table = pool[begins[p] : begins[p] + count]
            for i in range(count):
                table[i] = min(sums[0, i], sums[1, i])
            turn = rank[scope[0]]
            nexts[p], heads[turn] = heads[turn], p

    return run
