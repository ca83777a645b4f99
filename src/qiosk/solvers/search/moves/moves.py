"""The moves of a search: what leads from one configuration to another, besides sweeps and walks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8
from qiosk.model.flips import cost_of, deltas, flip
from qiosk.solvers.search.moves.descent import Descent, Minimum


class Moves(Protocol):
    """Moves between the configurations (n,) that a search may visit: all of them, or those that keep groups."""

    @property
    def choices(self) -> int:
        """What a configuration consists of: variables, or choices among places."""
        ...

    def random(self, rng: np.random.Generator) -> I8:
        """A random configuration."""
        ...

    def nearest(self, configuration: I8) -> I8:
        """A configuration that may be visited: this one, if possible."""
        ...

    def descend(self, configuration: I8) -> I8:
        """The local minimum that moves lead to from the nearest configuration."""
        ...

    def gains(self, configuration: I8, most: int | None = None) -> F64:
        """(moves,) change of cost [cost] by every move; where there are more than ``most``, of some of them if that is
        faster, evenly spread.
        """
        ...

    def cost(self, configuration: I8) -> float:
        """The cost of a configuration (n,), constant included."""
        ...

    def neighbours(self, configuration: I8) -> Iterator[I8]:
        """The configurations after one move, cheapest first."""
        ...


@dataclass(frozen=True, eq=False)
class Flips:
    """Flips of single variables."""

    problem: CompiledProblem
    check: Callable[[], None] = lambda: None
    """Called during long descents; what it raises ends them."""
    _last: list[Minimum] = field(default_factory=list)
    """The minimum of the last descent, of which more is known; it must not be changed."""

    @cached_property
    def descent(self) -> Descent:
        """Of single variables."""
        return Descent(self.problem, self.check)

    @property
    def choices(self) -> int:
        """Variables."""
        return self.problem.n

    def random(self, rng: np.random.Generator) -> I8:
        """Uniformly random values."""
        low = -1 if self.problem.is_spin else 0
        return rng.choice(np.array([low, 1], np.int8), self.problem.n)

    def nearest(self, configuration: I8) -> I8:
        """The configuration itself."""
        return configuration

    def descend(self, configuration: I8) -> I8:
        """The local minimum that flips lead to."""
        minimum = self.descent.minimum(configuration)
        self._last[:] = [minimum]
        return minimum.values

    def gains(self, configuration: I8, most: int | None = None) -> F64:
        """(n,) change of cost by every flip, or by every second, every third and so on."""
        every = max(1, -(-self.problem.n // most)) if most is not None else 1
        known = self._known(configuration)
        return deltas(self.problem, configuration, every) if known is None else known.gains(every)

    def cost(self, configuration: I8) -> float:
        """The cost of a configuration (n,), constant included."""
        known = self._known(configuration)
        return cost_of(self.problem, configuration) if known is None else known.cost

    def _known(self, configuration: I8) -> Minimum | None:
        return next((minimum for minimum in self._last if minimum.values is configuration), None)

    def neighbours(self, configuration: I8) -> Iterator[I8]:
        """The configurations after one flip, cheapest first."""
        for i in np.argsort(deltas(self.problem, configuration), kind="stable"):
            yield flip(self.problem, configuration, int(i))
