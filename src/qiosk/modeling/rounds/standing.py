"""Where a search in rounds stands: its weights, what was found, and how much time is left for another round."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from qiosk.modeling.answer import Round
from qiosk.modeling.penalties.weights import round_up
from qiosk.modeling.solution import Solution
from qiosk.solvers.result import Result

FIRST_SHARE = 1 / 32
"""Share of the time limit that the first round may take; later ones take as long as all before them."""
LOWERED = 0.0625
"""Factor of weights that are lowered: those of inequalities with slack are mostly much too large at first."""
SETUP_MARGIN = 1.25
"""How much longer than that of earlier rounds the set-up of the next one may take."""


@dataclass(slots=True)
class Weights:
    """The weights in effect, and what is known about them."""

    now: dict[str, float]
    fixed: Mapping[str, float]
    largest: float  # above the range of the objective
    lost: Counter[str] = field(default_factory=Counter)  # how often each constraint was violated

    def change(self, violated: Collection[str], *, is_exact: bool, is_cut: bool) -> None:
        """After a round: raise the weights of what it violated, or lower some if only the time ended it."""
        self.lost.update(violated)
        if violated and ((is_exact and max(self.lost.values()) > 2) or self._are_largest(violated)):
            changed = dict.fromkeys(self.now, self.largest)
        elif violated:
            changed = {name: min(self.largest, self.now[name] * 2.0 ** self.lost[name]) for name in violated}
            changed = {name: max(self.now[name], round_up(weight)) for name, weight in changed.items()}
        else:
            changed = {name: round_up(w * LOWERED) for name, w in self.now.items() if is_cut and name not in self.lost}
        self.now = self.now | changed | dict(self.fixed)

    def are_enough(self) -> bool:
        """Whether no violation of any constraint can pay."""
        return self._are_largest(self.now)

    def _are_largest(self, names: Collection[str]) -> bool:
        return all(self.now[name] >= self.largest for name in names)


@dataclass(slots=True)
class Standing:
    """A search in rounds, from which another process can go on.

    ``before`` are the weights of the round before. ``elapsed`` is the time that counts against the limit [s] until the
    present round began, ``uncounted`` the part of it before the search was extended, by which the limit is longer;
    ``setup`` is the longest time of a round that was not spent on its search.
    """

    weights: Weights
    before: Mapping[str, float]
    rounds: list[Round] = field(default_factory=list)
    best: tuple[Solution, Result] | None = None
    elapsed: float = 0.0
    setup: float = 0.0
    uncounted: float = 0.0

    def share(self, time_limit: float, built: float, *, is_kept: bool = False) -> float:
        """Seconds of the next round, whose problem took ``built`` of them: as many as all rounds before took, and all
        that are left if these would be few, or if searches violate nothing (``is_kept``).
        """
        if math.isinf(time_limit):
            return math.inf
        left, least = time_limit - self.elapsed, FIRST_SHARE * time_limit
        if is_kept or self.weights.fixed.keys() == self.weights.now.keys():  # there is nothing to change
            return left
        wanted = max(self.elapsed, least, 2 * built)
        return left if left - wanted < max(least, 2 * built, 2 * self.setup) else wanted

    def has_time(self, time_limit: float) -> bool:
        """Whether the time that is left is longer than the set-up of a round takes."""
        return time_limit - self.elapsed > SETUP_MARGIN * self.setup
