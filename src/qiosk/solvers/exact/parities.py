"""Linear equations over two elements, 0 and 1, packed 64 to a word."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qiosk.model.cost_function import I8, I64

U64 = NDArray[np.uint64]
_ONE = np.uint64(1)


def pack(rows: I64, columns: I64, n_rows: int, n_columns: int) -> U64:
    """(n_rows, words) matrix with ones at (rows, columns), modulo 2; entries may repeat."""
    packed = np.zeros((n_rows, n_columns // 64 + 1), np.uint64)
    bits = _ONE << (columns % 64).astype(np.uint64)
    np.bitwise_xor.at(packed, (rows, columns // 64), bits)
    return packed


def solve(matrix: U64, right: NDArray[np.bool_], n_columns: int) -> I8 | None:
    """A solution (n_columns,) of ``matrix`` x = ``right`` modulo 2, with zeros where it is free; None without any.

    Gaussian elimination: R rows take about R * n_columns**2 / 64 operations on words.
    """
    table = np.concatenate([matrix, right.astype(np.uint64)[:, None]], axis=1)
    pivots: list[int] = []
    for column in range(n_columns):
        done = len(pivots)
        if done == len(table):
            break
        is_set = (table[:, column // 64] >> np.uint64(column % 64)) & _ONE == _ONE
        below = np.flatnonzero(is_set[done:])
        if len(below) == 0:
            continue
        pivot = done + int(below[0])
        table[[done, pivot]] = table[[pivot, done]]
        is_set[pivot], is_set[done] = is_set[done], False
        table[is_set] ^= table[done]
        pivots.append(column)
    if table[len(pivots) :, -1].any():
        return None
    x = np.zeros(n_columns, np.int8)
    x[pivots] = table[: len(pivots), -1]
    return x


def solve_pairs(first: I64, second: I64, right: NDArray[np.bool_], n: int) -> I8 | None:
    """A solution (n,) of x[first] + x[second] = ``right`` modulo 2, (T,) each; None without any.

    Variables are merged pair by pair, in random order, so that the first contradiction ends it: of many pairs that
    contradict each other, few are tried.
    """
    parents, offsets = list(range(n)), [0] * n  # each variable differs from its parent by its offset

    def root(i: int) -> tuple[int, int]:
        offset = 0
        while parents[i] != i:
            parent = parents[i]
            offsets[i] ^= offsets[parent]
            parents[i] = parents[parent]
            offset ^= offsets[i]
            i = parents[i]
        return i, offset

    order = np.random.default_rng(len(first)).permutation(len(first))
    for i, j, differs in zip(first[order].tolist(), second[order].tolist(), right[order].tolist(), strict=True):
        (a, offset), (b, other) = root(i), root(j)
        if a != b:
            parents[a], offsets[a] = b, offset ^ other ^ differs
        elif offset ^ other != differs:
            return None
    return np.array([root(i)[1] for i in range(n)], np.int8)
