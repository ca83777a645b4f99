"""What multipliers prove of the level of a part, in exact numbers.

With W' = W less the triangles' multipliers g, all exact in float64, a diagonal d, and any spins s* and t >= 0, let
W' + Diag(d) + t (s* s*' - I) be positive semidefinite. Then for all spins s

    level(s) >= constant - sum g - (sum d - n t) / 2 - t (s's*)^2 / 2,

and (s's*)^2 is at most (n - 2)^2 unless s is s* or -s*, otherwise n^2. So where s* is known, all others may be cut by a
bound that s* itself does not obey. The proof of the condition is that of :mod:`qiosk.bounds.semidefinite`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qiosk.bounds.semidefinite import is_proved
from qiosk.kernels.bounds.triangles import subtract_triangles
from qiosk.model.cost_function import F64, I8, I32

BITS = 52
"""Couplings less multiples of 2**-shift are exact in float64 below 2**52 of these."""
MOST_SHIFT = 20
LEAST_SHIFT = 1e-9
"""What is added to y at least, relative to the sizes of y and the matrix, when a bound is sought."""
TRIES, FINER = 30, 3
"""Bounds that are tried until one is proved, and after that."""
SPENT = (2.0, 0.1)
"""What is added to y where some spins are left out lowers the bound by this share of what y promises beyond the level
of these spins, and of what is needed beyond y."""


@dataclass(frozen=True, slots=True, eq=False)
class Multipliers:
    """W' (n, n), 0 on the diagonal, y (n,), and the constant less the sum of the multipliers."""

    matrix: F64
    y: F64
    constant: Fraction
    unit: int  # W' are multiples of 1 / unit

    @property
    def level(self) -> float:
        """About what they prove at most."""
        return float(self.constant) - 0.5 * float(self.y.sum())

    def proved(self, shift: float) -> Generator[None, None, Fraction | None]:
        """The bound of all spins with ``shift`` added to y; None if that is not proved."""
        return (yield from self._proved(self.y + shift, Fraction(0), None))

    def proved_but_for(self, spins: I8, needed: float) -> Generator[None, None, Fraction | None]:
        """A bound of about ``needed`` that holds for all but the ``spins`` (n,) and their opposite; None if it is not
        proved.
        """
        n = len(self.y)
        own = float(self.constant) + 0.5 * float((np.multiply.outer(spins, spins) * self.matrix).sum())
        spent = SPENT[0] * max(0.0, self.level - own) + SPENT[1] * abs(needed - self.level)
        whole = int(np.ceil(max(0.0, needed - self.level + spent) / (2.0 * (n - 1)) * self.unit))
        if whole >= 2 ** (BITS - 2):
            return None
        t = Fraction(whole, self.unit)
        return (yield from self._proved(self.y + 2.0 * spent / n - (n - 1) * float(t), t, spins))

    def best_proved(self) -> Generator[None, None, Fraction | None]:
        """The best bound that little work finds."""
        low, best = 0.0, None
        high = LEAST_SHIFT * (float(np.abs(self.matrix).max() + self.y.mean()) or 1.0)
        for _ in range(TRIES):
            best = yield from self.proved(high)
            if best is not None:
                break
            low, high = high, 4.0 * high
        for _ in range(FINER if low > 0.0 else 0):
            middle = float(np.sqrt(low * high))
            found = yield from self.proved(middle)
            if found is None:
                low = middle
            else:
                high, best = middle, found
        return best

    def _proved(self, diagonal: F64, t: Fraction, spins: I8 | None) -> Generator[None, None, Fraction | None]:
        matrix = self.matrix.copy()
        if spins is not None and t > 0:
            some = spins.astype(np.float64)
            matrix += float(t) * np.multiply.outer(some, some)
        np.einsum("ii->i", matrix)[:] = diagonal
        if not (yield from is_proved(matrix)):
            return None
        n = len(diagonal)
        total = sum(map(Fraction, diagonal.tolist()), Fraction(0)) - n * t
        return self.constant - total / 2 - t * (n - 2) ** 2 / 2


def multipliers_of(weights: F64, constant: int, size: int, triangles: I32, gamma: F64, y: F64) -> Multipliers | None:
    """Rounded, so that all is exact: ``weights`` (n, n) are integers whose sizes add up to ``size``; None if gamma is
    too large for that.
    """
    unit = 1 << max(0, min(MOST_SHIFT, BITS - 2 - size.bit_length()))
    whole = np.rint(np.minimum(gamma, 2.0**BITS / unit) * unit)
    if whole.sum() >= 2.0 ** (BITS - 1):
        return None
    matrix = weights.copy()
    subtract_triangles()(triangles, whole / unit, matrix)
    return Multipliers(matrix, y, constant - Fraction(int(whole.sum()), unit), unit)
