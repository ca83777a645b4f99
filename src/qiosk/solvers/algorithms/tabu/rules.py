"""The rules that tabu walkers move by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qiosk.model.cost_function import I64

# A kick follows so many moves a variable without improvement, at most.
PATIENCE_PER_VARIABLE = 10
# Flips of kicks that stay local. On lattices they do better than large ones, on dense problems worse.
SMALL_KICK = 32
SHORTEST_PATIENCE = 200
# Steps of a kick, at most, which takes about a second then and cannot be interrupted.
KICK_STEPS = 500_000_000


def automatic_tenure(n: int) -> int:
    """Tenure [moves] that suits many problems of n variables."""
    return max(1, min(n // 4, 4 + n // 30, 300))


@dataclass(frozen=True, slots=True)
class Rules:
    """How a walker moves: tenure and the largest random addition to it [moves], the most moves without improvement
    before a kick, and the flips of the largest kick."""

    tenure: int
    spread: int
    patience: int
    largest_kick: int

    @property
    def array(self) -> I64:
        """(4,) as the kernels take them."""
        return np.array([self.tenure, self.spread, self.patience, self.largest_kick], np.int64)


def rules_for(n: int, flip_steps: float, tenure: int, spread: int) -> tuple[Rules, Rules]:
    """Rules for n variables, with large and with small kicks; a tenure or a spread of 0 is chosen here.

    ``flip_steps``: deltas that change with the flip of a random variable.
    """
    tenure = min(tenure or automatic_tenure(n), n)
    spread = min(spread or tenure // 2 + 5, n)
    patience = max(SHORTEST_PATIENCE, PATIENCE_PER_VARIABLE * n)
    large = max(2, min(n // 2, int(KICK_STEPS / flip_steps)))
    return Rules(tenure, spread, patience, large), Rules(tenure, spread, patience, min(large, SMALL_KICK))
