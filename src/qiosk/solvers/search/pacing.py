"""How long the next round of a search is, where its time is limited.

Rounds grow until they have had a fixed share of the work that the whole time permits; then comes the last one. So the
last round is a fixed share, too, and never shorter with more time.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from qiosk.solvers.search.solver import Budget

# Share of the work that the last round takes. The rounds before it tell how fast sweeps are, and find what is found
# soon; from 0.6 to 0.9 made no difference on most problems, and more was better on the hardest.
LAST_ROUND_SHARE = 0.75
# Of the time that is left goes into the last round, so that it ends cold.
LAST_ROUND_MARGIN = 0.97
# Rounds shorter than this share of the one before would add nothing: before the last round, and after it.
SHORTEST_SHARE, SHORTEST_LAST_SHARE = 0.05, 0.25


def next_length(planned: int, current: int, done: int, budget: Budget, longest: Callable[[float], int]) -> int | None:
    """Length of the next round, after one of length ``current``; None if none is worth its while.

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
