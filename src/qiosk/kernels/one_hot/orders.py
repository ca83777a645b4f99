"""Moves of an assignment whose rows are steps of an order: a stretch of it is reversed, or moved along it.

The couplings of an *ordered* assignment are between the rows k and k + 1 alone, and the same at every k: a matrix of
what it costs that a column follows another. In a cycle the first row also follows the last. Tours are such assignments,
and sequences of jobs. A swap of two rows changes up to four pairs of neighbours; a reversal changes two, and a stretch
that is moved three, so they lead out of most local minima of swaps. Their costs follow from the matrix alone, so the
fields of such rows are left as they are until the others read them; ``places`` describes those.

Arguments that all functions share. order, of one assignment: is_cycle; is_mirrored, whether the matrix is symmetric;
has_own, whether rows have costs of their own; size N; near (N + 1, N + 1) real [unit], what it costs that a column
follows another, 0 with column N, which stands for none; base (N, N) real [unit], of its places. seq (N + 2,) int64:
columns of the rows 1..N; before and after them those of the neighbours, which are rows of the cycle or none.

References: S. Lin, Bell Syst. Tech. J. 44, 2245 (1965), doi:10.1002/j.1538-7305.1965.tb04146.x (reversals); I. Or,
dissertation, Northwestern University (1976) (stretches of up to three); O. Martin, S. W. Otto, E. W. Felten, Complex
Syst. 5, 299 (1991) (two stretches change places).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qiosk.kernels.addresses import address
from qiosk.kernels.compiler import called, inlined

NO_ORDER, LINE, CYCLE = range(3)
"""Entries of ``kinds``."""
LONGEST_STRETCH = 3
"""Rows that are moved along the order, at most."""


@inlined()
def follow(order: Any, a: Any, b: Any) -> Any:
    """What it costs that column b follows column a."""
    return float(order[4][a * (order[3] + 1) + b])


@inlined()
def own(order: Any, row: Any, column: Any) -> Any:
    """What it costs that a row, from 1 on, takes a column."""
    return float(order[5][(row - 1) * order[3] + column])


@inlined()
def close(order: Any, seq: Any) -> None:
    """Set the neighbours of the first and of the last row."""
    size = order[3]
    seq[0], seq[size + 1] = size, size
    if order[0]:
        seq[0], seq[size + 1] = seq[size], seq[1]


@inlined()
def read_order(order: Any, start: Any, taken: Any, seq: Any) -> None:
    """The columns of places that are taken; ``start`` is the first place of the assignment, ``taken`` of its rows."""
    for k in range(order[3]):
        seq[k + 1] = taken[k] - start - k * order[3]
    close(order, seq)


@inlined()
def write_order(order: Any, start: Any, seq: Any, taken: Any) -> None:
    """Take the places of the columns."""
    for k in range(order[3]):
        taken[k] = start + k * order[3] + seq[k + 1]


@called()
def reversed_inside(order: Any, seq: Any, i: Any, j: Any) -> Any:
    """What reversing rows i..j changes between its ends."""
    gain = 0.0
    if not order[1]:
        for k in range(i, j):
            gain += follow(order, seq[k + 1], seq[k]) - follow(order, seq[k], seq[k + 1])
    if order[2]:
        for k in range(i, j + 1):
            gain += own(order, k, seq[i + j - k]) - own(order, k, seq[k])
    return gain


@inlined()
def gain_of_reversal(order: Any, seq: Any, i: Any, j: Any) -> Any:
    """Change of cost if the columns of rows i..j are reversed; they must not be all of a cycle."""
    before, first, last, after = seq[i - 1], seq[i], seq[j], seq[j + 1]
    gain = follow(order, before, last) + follow(order, first, after)
    gain -= follow(order, before, first) + follow(order, last, after)
    if order[2] or not order[1]:
        gain += reversed_inside(order, seq, i, j)
    return gain


@called()
def reverse(order: Any, seq: Any, i: Any, j: Any) -> None:
    """Reverse the columns of rows i..j."""
    while i < j:
        seq[i], seq[j] = seq[j], seq[i]
        i, j = i + 1, j - 1
    close(order, seq)


@called()
def shifted_own(order: Any, seq: Any, i: Any, m: Any, j: Any) -> Any:
    """What costs of rows of their own change if rows i..m and m + 1..j change places."""
    gain = 0.0
    for k in range(i, j + 1):
        source = k + m + 1 - i
        gain += own(order, k, seq[source if source <= j else source - (j - i + 1)]) - own(order, k, seq[k])
    return gain


@inlined()
def gain_of_shift(order: Any, seq: Any, i: Any, m: Any, j: Any) -> Any:
    """Change of cost if the columns of rows i..m and of m + 1..j change places; they must not be all of a cycle."""
    before, first, end, next_, last, after = seq[i - 1], seq[i], seq[m], seq[m + 1], seq[j], seq[j + 1]
    gain = follow(order, before, next_) + follow(order, last, first) + follow(order, end, after)
    gain -= follow(order, before, first) + follow(order, end, next_) + follow(order, last, after)
    if order[2]:
        gain += shifted_own(order, seq, i, m, j)
    return gain


@called()
def shift(order: Any, seq: Any, i: Any, m: Any, j: Any) -> None:
    """The columns of rows i..m and of m + 1..j change places."""
    reverse(order, seq, i, m)
    reverse(order, seq, m + 1, j)
    reverse(order, seq, i, j)


@inlined()
def gain_of_exchange(order: Any, seq: Any, i: Any, j: Any) -> Any:
    """Change of cost if rows i and j swap columns; they must not be neighbours, i < j."""
    a, b = seq[i], seq[j]
    gain = follow(order, seq[i - 1], b) + follow(order, b, seq[i + 1])
    gain += follow(order, seq[j - 1], a) + follow(order, a, seq[j + 1])
    gain -= follow(order, seq[i - 1], a) + follow(order, a, seq[i + 1])
    gain -= follow(order, seq[j - 1], b) + follow(order, b, seq[j + 1])
    if order[2]:
        gain += own(order, i, b) + own(order, j, a) - own(order, i, a) - own(order, j, b)
    return gain


@inlined()
def are_neighbours(order: Any, i: Any, j: Any) -> Any:
    """Whether rows i < j follow each other."""
    return j - i == 1 or (order[0] and j - i == order[3] - 1)


@called()
def costs_of_insertions(order: Any, seq: Any, i: Any, length: Any, is_turned: Any, out: Any, first_out: Any) -> None:
    """out[first_out + k] = what the stretch of ``length`` rows from row i on costs if k of the others come before it.

    For k in 0..N - length, up to one constant for all k, and for the stretch turned round if ``is_turned``.
    """
    size, stop = order[3], i + length
    first, last = (seq[stop - 1], seq[i]) if is_turned else (seq[i], seq[stop - 1])
    rest = size - length
    inside = 0.0
    if not order[1]:
        for k in range(i, stop - 1):
            ahead = follow(order, seq[k], seq[k + 1])
            inside += follow(order, seq[k + 1], seq[k]) - ahead if is_turned else 0.0
    before = size
    if order[0]:
        before = seq[size] if stop <= size else seq[i - 1]
    at = 1 if i > 1 else stop  # the row of the next of the others
    costs_of_others = 0.0  # of the rows of the others, less than with all of them after the stretch
    for k in range(rest + 1):
        after = seq[at] if k < rest else size
        if order[0] and k == rest:
            after = seq[1] if i > 1 else seq[stop]
        cost = follow(order, before, first) + follow(order, last, after) - follow(order, before, after)
        if order[2]:
            for s in range(length):
                cost += own(order, k + 1 + s, seq[stop - 1 - s] if is_turned else seq[i + s])
        out[first_out + k] = cost + inside + costs_of_others
        if k < rest:
            if order[2]:
                costs_of_others += own(order, k + 1, after) - own(order, k + 1 + length, after)
            before = after
            at = at + 1 if at + 1 != i else stop


@called()
def insert(order: Any, seq: Any, i: Any, length: Any, is_turned: Any, k: Any) -> None:
    """The stretch of ``length`` rows from row i on goes where k of the others come before it."""
    if is_turned:
        reverse(order, seq, i, i + length - 1)
    if k + 1 < i:
        shift(order, seq, k + 1, i - 1, i + length - 1)
    elif k + 1 > i:
        shift(order, seq, i, i + length - 1, k + length)


@inlined()
def longest_order(orders: Any, moves: Any) -> Any:
    """Rows of the longest order; 0 if there is none."""
    longest = 0
    for q in range(moves[1].size):
        if orders[0][q] != NO_ORDER:
            longest = max(longest, moves[2][q])
    return longest


@inlined()
def order_addresses(orders: Any, moves: Any, base: Any, q: Any) -> Any:
    """The order of assignment q."""
    kinds, mirrored, has_own, at, near = orders
    size, start = moves[2][q], moves[0][moves[1][q]]
    return (
        kinds[q] == CYCLE,
        mirrored[q] != 0,
        has_own[q] != 0,
        np.int64(size),
        address(near[at[q] :]),
        address(base[start:]),
    )
