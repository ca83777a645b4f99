"""Sweep index to beta."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qiosk.model.cost_function import F64


@dataclass(frozen=True, slots=True)
class LinearSchedule:
    """beta from ``start`` in the first sweep to ``stop`` in the last, in equal steps [1/cost]."""

    start: float
    stop: float
    sweeps: int

    def betas(self, first: int, n: int) -> F64:
        """(n,) betas of sweeps ``first`` .. ``first + n - 1``; depends on the index alone, never on the chunk."""
        index = np.arange(first, first + n, dtype=np.float64)
        return self.start + (self.stop - self.start) * (index / max(1, self.sweeps - 1))


def geometric(first: float, last: float, n: int) -> F64:
    """(n,) values from ``first`` to ``last`` with a constant ratio."""
    return np.geomspace(first, last, n) if n > 1 else np.array([last])
