"""When independent searches that reach the same best cost are enough to call a search converged.

A search runs in rounds of several independent searches each. A round agrees if a good share of its searches reached the
best cost by themselves. When several rounds in a row agree, and enough searches in them, more effort is not expected to
find anything better.
"""

from __future__ import annotations

from dataclasses import dataclass

ROUNDS_TO_AGREE = 3
"""Rounds in a row that must agree."""
FEWEST_SEARCHES = 2
"""Searches of a round that must reach the best cost, whatever their share."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many independent searches must reach the best cost: their share in a round, and their number in all."""

    share: float
    total: int

    def after_round(self, rounds: int, searches: int, reached: int, n: int) -> tuple[int, int]:
        """Rounds in a row that agree, and searches in them that reached the best, after one more round.

        ``rounds`` and ``searches`` are those before it; of its ``n`` searches, ``reached`` came to the best cost.
        """
        agrees = reached >= max(FEWEST_SEARCHES, self.share * n)
        return (rounds + 1, searches + reached) if agrees else (0, 0)

    def is_enough(self, rounds: int, searches: int) -> bool:
        """Whether so many rounds in a row, with so many searches that reached the best, end the search."""
        return rounds >= ROUNDS_TO_AGREE and searches >= self.total


# Anneals are many and short, ladders few and thorough. A tenth of the anneals is not enough to go by after few hits: on
# some max-cut instances a dozen anneals in a row end in the second best cost.
ANNEALS_TO_AGREE = Agreement(share=0.08, total=64)
LADDERS_TO_AGREE = Agreement(share=0.75, total=12)
