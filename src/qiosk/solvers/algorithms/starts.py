"""Where restarts of a search begin."""

from __future__ import annotations

import numpy as np

from qiosk.model.cost_function import I8
from qiosk.solvers.search.context import SearchContext


def random_configuration(context: SearchContext, seed: tuple[int, ...]) -> I8:
    """(n,) at random, the same for equal seeds."""
    return context.moves.random(np.random.default_rng([part % 2**64 for part in seed]))


def local_minimum(context: SearchContext, seed: tuple[int, ...]) -> I8:
    """The given initial configuration, or the local minimum that a random one leads to."""
    if context.start is not None:
        return context.moves.nearest(context.start)
    return context.descent(random_configuration(context, seed))
