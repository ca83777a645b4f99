"""Readouts of restarts that know nothing of each other.

Each restart keeps its best configurations by itself, so that these do not depend on which other restarts there are. The
best of all are the best of each: runs that divide the restarts find the same as one run that makes all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.parallel import Parallel

Offer = Callable[[int, Incumbents], None]
"""Offers what a restart, by its place in the wave, has found."""


def offer_apart(own: Sequence[Incumbents], offer: Offer, found: Incumbents, sweep: int, parallel: Parallel) -> None:
    """Let every restart of a wave offer to its own incumbents, and take the best of them over into ``found``.

    What was offered before an interruption is taken over, too.
    """
    try:
        parallel.each(lambda k: offer(k, own[k]), range(len(own)))
    finally:
        found.merge(own, sweep)
