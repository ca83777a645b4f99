"""How long the next round of a search is, where its time is limited.

A parameter-free search consists of rounds of growing length. A round that is cut off by the deadline is wasted: it is
still hot. So the length of rounds is planned from the spin updates that the remaining time permits at the pace so far
(``Budget``). Rounds grow as planned until they have used a quarter of the work that the whole time permits; then the
last round is given nearly all that is left. Its share of the work is fixed, so more time never makes it shorter.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from qiosk.solvers.search.solver import Budget

# Share of the work that the last round takes. The rounds before it measure the pace of sweeps and find easy optima.
# From 0.6 to 0.9 made no difference on most problems, and more was better on the hardest.
LAST_ROUND_SHARE = 0.75
# Share of the remaining time that the last round is planned for, so that it ends cold before the deadline.
LAST_ROUND_MARGIN = 0.97
# Rounds shorter than this share of the one before would add nothing: before the last round, and after it.
SHORTEST_SHARE, SHORTEST_LAST_SHARE = 0.05, 0.25


def next_length(planned: int, current: int, done: int, budget: Budget, longest: Callable[[float], int]) -> int | None:
    """Length of the next round, after one of length ``current``; None if no useful one fits the time.

    That is ``planned``, or less if the share of rounds before the last ends so soon, or all that is left. ``done`` spin
    updates were made so far; ``longest(updates)`` is the length of the longest round that so many suffice for.
    """
    left = budget.left
    if not math.isfinite(left):
        return planned
    before_last = longest((1.0 - LAST_ROUND_SHARE) * left - LAST_ROUND_SHARE * done)
    if before_last >= SHORTEST_SHARE * current:
        return min(planned, before_last)
    last = longest(LAST_ROUND_MARGIN * left)
    return last if last >= SHORTEST_LAST_SHARE * current else None
