"""Moves that keep one-hot groups: what searches need besides sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qiosk.kernels.one_hot.places import FORBIDDEN_COST, one_hot_fill
from qiosk.kernels.one_hot.search import one_hot_descent, one_hot_gains
from qiosk.model.cost_function import F64, I8, I64
from qiosk.model.flips import cost_of
from qiosk.solvers.samplers.one_hot.layout import Layout
from qiosk.solvers.samplers.one_hot.sampler import STATE, place_arrays

_PASSES = 10_000


@dataclass(frozen=True, eq=False)
class OneHotMoves:
    """The moves of one problem: changes of one choice, and swaps of two rows of an assignment."""

    layout: Layout

    @property
    def choices(self) -> int:
        """Choices between two places or more."""
        return max(1, int(np.count_nonzero(np.diff(self.layout.structure.starts) > 1)))

    def random(self, rng: np.random.Generator) -> I8:
        """(n,) a random configuration that keeps the groups."""
        words = rng.integers(0, 2**64, self.layout.structure.n_choices, np.uint64)
        return self.layout.configuration(self.layout.random(words))

    def nearest(self, configuration: I8) -> I8:
        """The configuration itself, or one that keeps the groups where it breaks them."""
        return self.layout.configuration(self.layout.taken(configuration))

    def descend(self, configuration: I8) -> I8:
        """The local minimum that passes over all moves lead to."""
        arrays = self._arrays(configuration)
        layout = self.layout
        state = tuple(arrays[name] for name in STATE)
        one_hot_descent()(*layout.tables, state, layout.tolerance, _PASSES)
        return layout.configuration(arrays["taken"][0])

    def gains(self, configuration: I8, most: int | None = None) -> F64:
        """(moves,) change of cost [cost] by every move."""
        out, _ = self._gains(configuration)
        return np.asarray(out[out < FORBIDDEN_COST / 2] * self.layout.scale, np.float64)

    def cost(self, configuration: I8) -> float:
        """The cost of a configuration (n,), constant included."""
        return cost_of(self.layout.problem, configuration)

    def neighbours(self, configuration: I8) -> Iterator[I8]:
        """The configurations after one move, cheapest first."""
        gains, places = self._gains(configuration)
        taken = self.layout.taken(configuration)
        choice, _ = self.layout.structure.owners()
        for m in np.argsort(gains, kind="stable"):
            if gains[m] < FORBIDDEN_COST / 2:
                moved = taken.copy()
                moved[choice[places[m]]] = places[m]
                yield self.layout.configuration(moved)

    def _gains(self, configuration: I8) -> tuple[F64, I64]:
        layout, arrays = self.layout, self._arrays(configuration)
        out, places = np.empty(layout.n_moves), np.empty((layout.n_moves, 2), np.int64)
        state = tuple(arrays[name] for name in STATE)
        one_hot_gains()(*layout.tables, state, out, places)
        return out, places

    def _arrays(self, configuration: I8) -> dict[str, np.ndarray]:
        arrays = place_arrays(self.layout, self.layout.taken(configuration)[None, :])
        one_hot_fill()(*self.layout.tables, tuple(arrays[name] for name in STATE))
        return arrays
