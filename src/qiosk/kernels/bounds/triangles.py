"""Three spins of which each two would have to differ, or other triangles that no spins can have."""

from __future__ import annotations

from functools import cache
from typing import Any

from qiosk.kernels.compiler import uncounted_kernel


@cache
def find_triangles() -> Any:
    """``find(products, least, found, excess, count, first, last) -> count``: triangles with largest vertex in a range.

    For spins, s1 x_ij + s2 x_ik + s1 s2 x_jk >= -1 with all signs. Of every triple i > j > k the signs of the least sum
    are stored, if it is below -1 - ``least``, until there is no room.

    products: (n, n) float32, in place of products of spins. found: (room, 5) int32, rows i, j, k, s1, s2. excess:
    (room,) float32. Plain loops: it is its own reference kernel.
    """

    @uncounted_kernel
    def find(products: Any, least: Any, found: Any, excess: Any, count: Any, first: Any, last: Any) -> Any:
        for i in range(first, last):
            for j in range(i):
                a = products[i, j]
                for k in range(j):
                    b, c = products[i, k], products[j, k]
                    low, s1, s2 = a + b + c, 1, 1
                    if a - b - c < low:
                        low, s1, s2 = a - b - c, 1, -1
                    if -a + b - c < low:
                        low, s1, s2 = -a + b - c, -1, 1
                    if -a - b + c < low:
                        low, s1, s2 = -a - b + c, -1, -1
                    if -1.0 - low > least and count < excess.size:
                        found[count, 0], found[count, 1], found[count, 2] = i, j, k
                        found[count, 3], found[count, 4] = s1, s2
                        excess[count] = -1.0 - low
                        count += 1
        return count

    return find


@cache
def subtract_triangles() -> Any:
    """``subtract(triangles, values, matrix) -> None``: each value times its signs, of both halves of a matrix.

    triangles: (T, 5) int32; values: (T,) float64; matrix: (n, n) float64, updated. Plain loops: its own reference.
    """

    @uncounted_kernel
    def subtract(triangles: Any, values: Any, matrix: Any) -> None:
        for q in range(values.size):
            i, j, k, s, t = triangles[q]
            value = values[q]
            matrix[i, j] -= s * value
            matrix[j, i] -= s * value
            matrix[i, k] -= t * value
            matrix[k, i] -= t * value
            matrix[j, k] -= s * t * value
            matrix[k, j] -= s * t * value

    return subtract
