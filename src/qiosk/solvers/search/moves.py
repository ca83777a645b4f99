"""The moves of a search: what leads from one configuration to another, besides sweeps and walks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8
from qiosk.model.flips import deltas, flip
from qiosk.solvers.search.descent import Descent


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

    def gains(self, configuration: I8) -> F64:
        """(moves,) change of cost [cost] by every move."""
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
        return self.descent(configuration)

    def gains(self, configuration: I8) -> F64:
        """(n,) change of cost by every flip."""
        return deltas(self.problem, configuration)

    def neighbours(self, configuration: I8) -> Iterator[I8]:
        """The configurations after one flip, cheapest first."""
        for i in np.argsort(deltas(self.problem, configuration), kind="stable"):
            yield flip(self.problem, configuration, int(i))
