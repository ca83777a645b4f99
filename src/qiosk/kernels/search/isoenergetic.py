"""Isoenergetic cluster moves: two configurations exchange a connected set of the variables in which they differ.

Shapes: n variables, D = 2 x pairs, G squared linear combinations with M members in all. Two variables are connected if
they share a pair or a combination. A term that has variables on both sides of the cluster's border has, on the outer
side, only variables with equal values in both configurations: the exchange moves its values from one configuration to
the other, and the sum of the two costs stays.

References: J. Houdayer, Eur. Phys. J. B 22, 479 (2001), doi:10.1007/PL00011151; Z. Zhu, A. J. Ochoa, H. G. Katzgraber,
Phys. Rev. Lett. 115, 077201 (2015), doi:10.1103/PhysRevLett.115.077201.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import inlined, kernel


@inlined()
def _chosen(first: Any, second: Any, share: Any) -> tuple[Any, Any]:
    """A variable in which they differ, ``share`` (0..1) of the way through those; and how many there are."""
    differing = 0
    for i in range(first.size):
        differing += first[i] != second[i]
    skip = min(int(share * differing), differing - 1)
    i = 0
    while i < first.size and (skip > 0 or first[i] == second[i]):
        skip -= first[i] != second[i]
        i += 1
    return i, differing


@inlined()
def _push(j: int, first: Any, second: Any, is_seen: Any, queue: Any, length: Any) -> Any:
    if first[j] != second[j] and not is_seen[j]:
        is_seen[j] = True
        queue[length] = j
        return length + 1
    return length


@cache
def exchange_cluster() -> Any:
    """``exchange(pairs, by_variable, groups, first, second, share) -> size``: of the cluster that was exchanged.

    pairs: (indptr (n + 1,), neighbours (D,)); by_variable: (indptr (n + 1,), groups (M,)); groups: (indptr (G + 1,),
    variables (M,)). first, second: (n,) int8, updated. share: float64 in 0..1, which of the differing variables the
    cluster grows from. A cluster of all differing variables is left where it is: it would only rename the two. The size
    is then 0, as it is where nothing differs.
    """

    @kernel
    def exchange(pairs: Any, by_variable: Any, groups: Any, first: Any, second: Any, share: Any) -> int:
        indptr, neighbours = pairs
        member_indptr, member_groups = by_variable
        group_indptr, group_variables = groups
        root, differing = _chosen(first, second, share)
        if differing < 2:
            return 0
        is_seen = np.zeros(first.size, np.bool_)
        is_group_seen = np.zeros(group_indptr.size, np.bool_)
        queue = np.empty(differing, np.int64)
        size, length = 0, _push(root, first, second, is_seen, queue, 0)
        while size < length:  # what was read stays in the queue
            if length == differing:
                return 0
            i = queue[size]
            size += 1
            for p in range(indptr[i], indptr[i + 1]):
                length = _push(neighbours[p], first, second, is_seen, queue, length)
            for m in range(member_indptr[i], member_indptr[i + 1]):
                g = member_groups[m]
                if not is_group_seen[g]:
                    is_group_seen[g] = True
                    for q in range(group_indptr[g], group_indptr[g + 1]):
                        length = _push(group_variables[q], first, second, is_seen, queue, length)
        for k in range(size):
            i = queue[k]
            first[i], second[i] = second[i], first[i]
        return size

    return exchange
