"""Schedules: beta, or another parameter of a run, as a function of the sweep or step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qiosk.model.cost_function import F64


@dataclass(frozen=True, slots=True)
class Schedule:
    """From ``initial`` to ``final`` in equal steps or, if ``is_geometric`` (both ends > 0), at a constant ratio."""

    initial: float
    final: float
    is_geometric: bool = False

    @classmethod
    def from_parameter(cls, value: Mapping[str, Any]) -> Schedule:
        """From a checked parameter ``{"type", "initial", "final"}``."""
        return cls(value["initial"], value["final"], value["type"] == "geometric")

    def to_parameter(self) -> dict[str, Any]:
        """As ``{"type", "initial", "final"}``."""
        kind = "geometric" if self.is_geometric else "linear"
        return {"type": kind, "initial": self.initial, "final": self.final}

    def values(self, first: int, n: int, steps: int) -> F64:
        """(n,) values at steps ``first`` .. ``first + n - 1`` of ``steps``; they depend on the index alone."""
        share = np.arange(first, first + n, dtype=np.float64) / max(1, steps - 1)
        if self.is_geometric:
            return np.asarray(self.initial * (self.final / self.initial) ** share, np.float64)
        return self.initial + (self.final - self.initial) * share


def geometric(first: float, last: float, n: int) -> F64:
    """(n,) values from ``first`` to ``last`` with a constant ratio."""
    return np.geomspace(first, last, n) if n > 1 else np.array([last])
