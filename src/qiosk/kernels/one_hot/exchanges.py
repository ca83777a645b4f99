"""Exchanges: two choices of equally many places take each other's, as two free bits of which one is set.

Squares of many bits leave little room for changes of a single choice: where a row is filled, something must go out for
another to come in. Choices of one size that are in squares are a *class*; any two of a class may be exchanged. Besides
the arguments of ``places``: exchanges, the last of ``more``: bounds (K + 1,) int64 of K classes, members (M,) int64
choices.
"""

from __future__ import annotations

from typing import Any

from qiosk.kernels.compiler import called
from qiosk.kernels.one_hot.places import coupling, more_of_swap, partner, swap

LONGEST_CLASS = 256
"""Members up to which a descent tries all pairs of a class; larger classes are left to sweeps and walks."""


@called()
def exchange_gain(tables: Any, i: Any, j: Any, c: Any, d: Any, replica: Any) -> Any:
    """Change of cost if choices ``i`` and ``j`` take places ``c`` and ``d``, of any two choices."""
    taken, fields = replica[0], replica[1]
    a, b = taken[i] + 0, taken[j] + 0
    gain = float(fields[c] - fields[a]) + float(fields[d] - fields[b])
    gain += coupling(tables, a, b) + coupling(tables, c, d) - coupling(tables, c, b) - coupling(tables, a, d)
    if tables[0][4]:
        gain += more_of_swap(tables, a, b, c, d, replica[2], replica[3])
    return gain


@called()
def exchange_downhill(tables: Any, members: Any, size: Any, replica: Any, tolerance: Any) -> Any:
    """Make every exchange of a class that gains more than ``tolerance``, in one pass; returns how many."""
    starts, made = tables[2][0], 0
    for m in range(size):
        for k in range(m + 1, size):
            i, j = members[m], members[k]
            if replica[0][i] - starts[i] != replica[0][j] - starts[j]:
                c, d = partner(starts, i, j, replica[0])
                if exchange_gain(tables, i, j, c, d, replica) < -tolerance:
                    swap(tables, i, j, c, d, replica)
                    made += 1
    return made
