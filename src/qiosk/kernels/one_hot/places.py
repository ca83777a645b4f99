"""Moves that keep one-hot groups: a choice takes another of its places, two rows of an assignment swap columns.

Replica-major, with a stored field for every place: what the cost gains if the place is taken, as far as pairs go,

    field_p = base_p + sum_c J_{p, taken_c}.

So the cost of every place of a choice is known, and the heat bath draws the next one among all of them at once:
proportional to exp(-beta cost). Two rows swap with the probability of the heat bath over the two states. A move that is
accepted adds rows of the couplings to the fields: loops over contiguous places, which the compiler vectorizes. Places
that no configuration takes together have no coupling.

Terms of three or more places and squared linear combinations are not in the fields. They are added up where they are
needed, from the number of places of a term that are not taken and from the value of a linear combination. Such problems
take longer, whatever their share of larger terms.

These are plain loops, which also run uncompiled, so they have no twin: tests compare them to enumerations of all
configurations that keep the groups.

Arguments that all kernels share. Shapes: W places, C choices, A assignments, R replicas, T terms, G squares; "real" is
float32 or float64. All costs are in units.

couplings: matrix (W * W,) real, or empty; CSR (W + 1,) int64, (nnz,) int32 and real; base (W,) real. If there are both,
couplings of two places are looked up in the matrix, and rows are added from the other. linked (L, L) uint8: whether two
rows of assignments have any coupling; L may be 0, then all may have.
moves: starts (C + 1,), first choice and size (A,) of each assignment, the other choices in their order; int64.
more: terms (indptr (T + 1,), places (K,), values (T,), by place (W + 1,), terms (K,)) and squares (values (G,), offsets
(G,), by place (W + 1,), squares (M,), weights (M,), widths (G,)), of which only how far a sum is below 0 or above the
width is squared; exchanges (see ``exchanges``).
state: taken (R, C) int32; fields (R, W) real; missing (R, T) int32, places of each term that are not taken; sums
(R, G) float64, values of the linear combinations. states: (R,) uint64 of the generators.

Inside, arrays are addresses: counting references to them would take most of the time.

References: R. B. Potts, Math. Proc. Camb. Philos. Soc. 48, 106 (1952), doi:10.1017/S0305004100027419; E. D. Taillard,
Parallel Comput. 17, 443 (1991), doi:10.1016/S0167-8191(05)80147-4 (swaps in quadratic assignment).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.addresses import address
from qiosk.kernels.compiler import called, inlined, kernel

FORBIDDEN_COST = 1e30
"""In units: more than any other cost. A place that costs so much is never taken."""


@inlined()
def table_addresses(couplings: Any, moves: Any, more: Any) -> Any:
    """All tables by address, and their shape: W, T, G, whether rows of couplings are added from a matrix, whether there
    is more, whether there is a matrix, and the rows of ``linked``."""
    matrix, indptr, neighbors, values, base, linked = couplings
    t, q, _ = more
    n_terms, n_squares = t[2].size, q[1].size
    is_sparse = indptr[base.size] > 0
    is_dense = not is_sparse and matrix.size > 0
    shape = (base.size, n_terms, n_squares, is_dense, n_terms + n_squares > 0, matrix.size > 0, linked.shape[0])
    rows = (address(indptr), address(neighbors), address(values))
    pairs = (address(matrix), *rows, address(base), address(linked.ravel()))
    choices = (address(moves[0]), address(moves[1]), address(moves[2]), address(moves[3]))
    terms = (address(t[0]), address(t[1]), address(t[2]), address(t[3]), address(t[4]))
    squares = (address(q[0]), address(q[1]), address(q[2]), address(q[3]), address(q[4]), address(q[5]))
    return (shape, pairs, choices, terms, squares)


@inlined()
def replica_addresses(state: Any, r: Any) -> Any:
    """Arrays of one replica: places that are taken, fields, missing places of terms, sums of squares."""
    taken, fields, missing, sums = state
    return (address(taken[r]), address(fields[r]), address(missing[r]), address(sums[r]))


@inlined()
def beyond(total: Any, width: Any) -> Any:
    """How far a sum is from the range 0 .. width; negative below it."""
    return min(total, 0.0) + max(total - width, 0.0)


@inlined()
def coupling(tables: Any, a: Any, b: Any) -> Any:
    """J of two places, float64."""
    shape, pairs, _, _, _ = tables
    matrix, indptr, neighbors, values, _, _ = pairs
    if shape[5]:
        return float(matrix[a * shape[0] + b])
    low, high = indptr[a], indptr[a + 1]
    while low < high:
        middle = (low + high) // 2
        if neighbors[middle] < b:
            low = middle + 1
        else:
            high = middle
    if low < indptr[a + 1] and neighbors[low] == b:
        return float(values[low])
    return 0.0


@inlined()
def _add_row(tables: Any, a: Any, fields: Any) -> None:
    shape, pairs, _, _, _ = tables
    matrix, indptr, neighbors, values, _, _ = pairs
    if shape[3]:
        row = a * shape[0]
        for p in range(shape[0]):
            fields[p] += matrix[row + p]
    else:
        for k in range(indptr[a], indptr[a + 1]):
            fields[neighbors[k]] += values[k]


@called()
def _exchange_rows(tables: Any, old: Any, new: Any, fields: Any) -> None:
    """Fields after a choice takes place ``new`` instead of ``old``."""
    shape, pairs, _, _, _ = tables
    matrix, indptr, neighbors, values, _, _ = pairs
    if shape[3]:
        at, to = old * shape[0], new * shape[0]
        for p in range(shape[0]):
            fields[p] += matrix[to + p] - matrix[at + p]
    else:
        for k in range(indptr[old], indptr[old + 1]):
            fields[neighbors[k]] -= values[k]
        for k in range(indptr[new], indptr[new + 1]):
            fields[neighbors[k]] += values[k]


@called()
def _swap_rows(tables: Any, a: Any, b: Any, c: Any, d: Any, fields: Any) -> None:
    """Fields after places ``c`` and ``d`` are taken instead of ``a`` and ``b``."""
    shape, pairs, _, _, _ = tables
    if shape[3]:
        matrix, width = pairs[0], shape[0]
        a, b, c, d = a * width, b * width, c * width, d * width
        for p in range(width):
            fields[p] += (matrix[c + p] - matrix[a + p]) + (matrix[d + p] - matrix[b + p])
    else:
        _exchange_rows(tables, a, c, fields)
        _exchange_rows(tables, b, d, fields)


@inlined()
def _take(tables: Any, p: Any, step: Any, missing: Any, sums: Any) -> None:
    """Take a place (step 1) or leave it (-1), as far as terms and squares go."""
    terms, squares = tables[3], tables[4]
    for k in range(terms[3][p], terms[3][p + 1]):
        missing[terms[4][k]] -= step
    for k in range(squares[2][p], squares[2][p + 1]):
        sums[squares[3][k]] += step * squares[4][k]


@inlined()
def _more_at(tables: Any, p: Any, missing: Any, sums: Any) -> Any:
    """What terms and squares gain if a place that is not taken were."""
    terms, squares = tables[3], tables[4]
    gain = 0.0
    for k in range(terms[3][p], terms[3][p + 1]):
        if missing[terms[4][k]] == 1:
            gain += terms[2][terms[4][k]]
    for k in range(squares[2][p], squares[2][p + 1]):
        g, weight, width = squares[3][k], squares[4][k], squares[5][squares[3][k]]
        here, there = beyond(sums[g], width), beyond(sums[g] + weight, width)
        gain += squares[0][g] * (there - here) * (there + here)
    return gain


@called()
def more_of_swap(tables: Any, a: Any, b: Any, c: Any, d: Any, missing: Any, sums: Any) -> Any:
    """What terms and squares gain if places ``c`` and ``d`` are taken instead of ``a`` and ``b``."""
    _take(tables, a, -1, missing, sums)
    _take(tables, b, -1, missing, sums)
    gain = _more_at(tables, c, missing, sums) - _more_at(tables, a, missing, sums)
    _take(tables, c, 1, missing, sums)
    gain += _more_at(tables, d, missing, sums)
    _take(tables, c, -1, missing, sums)
    _take(tables, a, 1, missing, sums)
    gain -= _more_at(tables, b, missing, sums)
    _take(tables, b, 1, missing, sums)
    return gain


@called()
def fill(tables: Any, choices: Any, replica: Any) -> None:
    """Fields, missing places and sums of a replica with so many choices, from the places that it has taken."""
    shape, pairs, _, terms, squares = tables
    taken, fields, missing, sums = replica
    for p in range(shape[0]):
        fields[p] = pairs[4][p]
    for t in range(shape[1]):
        missing[t] = terms[0][t + 1] - terms[0][t]
    for g in range(shape[2]):
        sums[g] = squares[1][g]
    for c in range(choices):
        _add_row(tables, np.int64(taken[c]), fields)
        _take(tables, np.int64(taken[c]), 1, missing, sums)


@inlined()
def coupling_of_swap(tables: Any, i: Any, j: Any, c: Any, d: Any, taken: Any) -> Any:
    """What both fields leave out of the gain if rows ``i`` and ``j`` take places ``c`` and ``d``."""
    if tables[0][6] == 0 or tables[1][5][i * tables[0][6] + j]:
        return coupling(tables, np.int64(taken[i]), np.int64(taken[j])) + coupling(tables, c, d)
    return 0.0


@inlined()
def gain_of_swap(tables: Any, i: Any, j: Any, c: Any, d: Any, replica: Any) -> Any:
    """Change of cost if rows ``i`` and ``j`` take places ``c`` and ``d``."""
    taken, fields = replica[0], replica[1]
    a, b = np.int64(taken[i]), np.int64(taken[j])
    gain = float(fields[c] - fields[a]) + float(fields[d] - fields[b])
    gain += coupling_of_swap(tables, i, j, c, d, taken)
    if tables[0][4]:
        gain += more_of_swap(tables, a, b, c, d, replica[2], replica[3])
    return gain


@inlined()
def swap(tables: Any, i: Any, j: Any, c: Any, d: Any, replica: Any) -> None:
    """Rows ``i`` and ``j`` take places ``c`` and ``d``."""
    taken, fields, missing, sums = replica
    a, b = np.int64(taken[i]), np.int64(taken[j])
    _swap_rows(tables, a, b, c, d, fields)
    taken[i], taken[j] = c, d
    if tables[0][4]:
        _take(tables, a, -1, missing, sums)
        _take(tables, b, -1, missing, sums)
        _take(tables, c, 1, missing, sums)
        _take(tables, d, 1, missing, sums)


@inlined()
def change(tables: Any, i: Any, new: Any, replica: Any) -> None:
    """Choice ``i`` takes place ``new``."""
    taken, fields, missing, sums = replica
    old = np.int64(taken[i])
    _exchange_rows(tables, old, new, fields)
    taken[i] = new
    if tables[0][4]:
        _take(tables, old, -1, missing, sums)
        _take(tables, new, 1, missing, sums)


@inlined()
def costs_of_places(tables: Any, i: Any, replica: Any, out: Any) -> None:
    """out[k] = what the k-th place of choice ``i`` costs."""
    taken, fields, missing, sums = replica
    start, stop, here = tables[2][0][i], tables[2][0][i + 1], np.int64(taken[i])
    for p in range(start, stop):
        out[p - start] = fields[p]
    if tables[0][4]:
        _take(tables, here, -1, missing, sums)
        for p in range(start, stop):
            out[p - start] += _more_at(tables, p, missing, sums)
        _take(tables, here, 1, missing, sums)


@inlined()
def longest_choice(moves: Any) -> Any:
    """Places of the longest choice outside of assignments; at least 1."""
    starts, _, _, singles = moves
    longest = 1
    for i in singles:
        longest = max(longest, starts[i + 1] - starts[i])
    return longest


@inlined()
def partner(starts: Any, i: Any, j: Any, taken: Any) -> Any:
    """Places that rows i and j take when they swap columns."""
    return starts[i] + (taken[j] - starts[j]), starts[j] + (taken[i] - starts[i])


@cache
def one_hot_fill() -> Any:
    """``fill(couplings, moves, more, state)``: of every replica, from ``taken``."""

    @kernel
    def fill_all(couplings: Any, moves: Any, more: Any, state: Any) -> None:
        tables = table_addresses(couplings, moves, more)
        for r in range(state[0].shape[0]):
            fill(tables, state[0].shape[1], replica_addresses(state, r))

    return fill_all


@cache
def one_hot_costs() -> Any:
    """``costs(couplings, more, state, out)``: (R,) in units, the constant apart."""

    @kernel
    def costs(couplings: Any, more: Any, state: Any, out: Any) -> None:
        base, values, square_values, widths = couplings[4], more[0][2], more[1][0], more[1][5]
        taken, fields, missing, sums = state
        for r in range(taken.shape[0]):
            total = 0.0
            for c in range(taken.shape[1]):
                total += 0.5 * (float(base[taken[r, c]]) + float(fields[r, taken[r, c]]))
            for t in range(missing.shape[1]):
                if missing[r, t] == 0:
                    total += values[t]
            for g in range(sums.shape[1]):
                excess = beyond(sums[r, g], widths[g])
                total += square_values[g] * excess * excess
            out[r] = total

    return costs
