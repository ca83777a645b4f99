"""Values of the spins that were taken out, from those that are left: the records from the last to the first."""

from __future__ import annotations

from functools import cache
from typing import Any

from qiosk.kernels.compiler import kernel


@cache
def lift_spins() -> Any:
    """``lift(removed, partners, couplings, spins, place, stops_at_ties) -> place``.

    Sets the spins of the records ``place - 1`` down to 0; returns -1, or the place of the first spin of which both
    values cost the same, if it stops there. Shapes: r records, n spins.

    removed: (r,) int32; partners: (r, 3) int32, couplings: (r, 3) int64, as in ``Graph``.
    spins: (n + 1,) int8, the ghost last; updated. Where both values cost the same a spin is set to +1.
    Plain loops: it is its own reference kernel.
    """

    @kernel
    def lift(removed: Any, partners: Any, couplings: Any, spins: Any, place: Any, stops_at_ties: Any) -> Any:
        while place > 0:
            place -= 1
            slope = couplings[place, 0] * 0
            for k in range(3):
                if partners[place, k] >= 0:
                    slope += couplings[place, k] * spins[partners[place, k]]
            spins[removed[place]] = -1 if slope > 0 else 1
            if slope == 0 and stops_at_ties:
                return place
        return -1

    return lift
