"""Terms of one number of ids: sorted, and like ones added up.

Terms are counted by their smallest variable and put into buckets, and each bucket is sorted for itself. Plain loops:
each kernel is its own reference.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from qiosk.kernels.compiler import UNCOUNTED, called, inlined, kernel

_RUN = 8  # terms that are sorted by insertion before runs are merged


@cache
def sort_members() -> Any:
    """``sort(members, sizes)``: the variables of each term, ascending and each once.

    members: (m, d) int32; the distinct ones of each row come first, ascending, updated. sizes: (m,) int32, how many
    these are; written.
    """

    @kernel
    def sort(members: Any, sizes: Any) -> None:
        for t in range(members.shape[0]):
            size = 0
            for k in range(members.shape[1]):
                variable = members[t, k]
                place = size
                while place > 0 and members[t, place - 1] > variable:
                    place -= 1
                if place > 0 and members[t, place - 1] == variable:
                    continue
                for j in range(size, place, -1):
                    members[t, j] = members[t, j - 1]
                members[t, place] = variable
                size += 1
            sizes[t] = size

    return sort


@cache
def merge_terms() -> Any:
    """``merge(members, values, fill, bucket, bucket_values, order, spare, out, out_values) -> left``.

    Terms in lexicographic order; equal ones added up from 0 on in the order in which they were given; zeros left out.

    members: (m, d) int32, rows ascending, d >= 1, in 0..n - 1; values: (m,) float64. fill: (n,) int64, where the terms
    of each smallest variable begin; updated to where they end. bucket: (m, d) int32, bucket_values: (m,) float64,
    written. order, spare: as long as the most terms of a smallest variable, int32. out: (m, d) int32 and out_values:
    (m,) float64: the first ``left`` are written; they may be ``members`` and ``values``.
    """

    run = _RUN

    @inlined()
    def is_less(bucket: Any, a: Any, b: Any) -> Any:
        for k in range(1, bucket.shape[1]):
            if bucket[a, k] != bucket[b, k]:
                return bucket[a, k] < bucket[b, k]
        return False

    @called(**UNCOUNTED)
    def sort(bucket: Any, begin: Any, size: Any, order: Any, spare: Any) -> Any:
        for low in range(0, size, run):
            for k in range(low, min(size, low + run)):
                place = k
                while place > low and is_less(bucket, begin + k, begin + order[place - 1]):
                    order[place] = order[place - 1]
                    place -= 1
                order[place] = k
        width = run
        while width < size:
            for low in range(0, size, 2 * width):
                middle, high = min(size, low + width), min(size, low + 2 * width)
                a, b = low, middle
                for k in range(low, high):
                    if b >= high or (a < middle and not is_less(bucket, begin + order[b], begin + order[a])):
                        spare[k] = order[a]
                        a += 1
                    else:
                        spare[k] = order[b]
                        b += 1
            for k in range(size):
                order[k] = spare[k]
            width *= 2

    @kernel
    def merge(
        members: Any,
        values: Any,
        fill: Any,
        bucket: Any,
        bucket_values: Any,
        order: Any,
        spare: Any,
        out: Any,
        out_values: Any,
    ) -> int:
        m, d = members.shape
        for t in range(m):
            place = fill[members[t, 0]]
            fill[members[t, 0]] = place + 1
            for k in range(d):
                bucket[place, k] = members[t, k]
            bucket_values[place] = values[t]
        left, begin = 0, 0
        for i in range(fill.size):
            size = fill[i] - begin
            if size > 0:
                sort(bucket, begin, size, order, spare)
            k = 0
            while k < size:
                first, total = begin + order[k], 0.0
                while k < size and not is_less(bucket, first, begin + order[k]):
                    total += bucket_values[begin + order[k]]
                    k += 1
                if total != 0.0:
                    for j in range(d):
                        out[left, j] = bucket[first, j]
                    out_values[left] = total
                    left += 1
            begin = fill[i]
        return left

    return merge
