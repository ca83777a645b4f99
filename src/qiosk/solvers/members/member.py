"""A member: one of the runs into which a solve over several nodes is divided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qiosk.errors import InvalidValue
from qiosk.solvers.search.share import Share
from qiosk.solvers.targets.parameters import MOST_NODES

KEY = "qiosk.member"
"""What tells a member in the ``inputParams`` of its run: a list of its index and the number of members."""


@dataclass(frozen=True, slots=True)
class Member:
    """Member number ``index`` of ``nodes`` members.

    >>> Member(0, 4).seed(7), Member(1, 4).seed(7) == Member(1, 2).seed(7)
    (7, True)
    """

    index: int
    nodes: int

    @property
    def share(self) -> Share:
        """Its part of independent restarts."""
        return Share(self.index, self.nodes)

    def seed(self, seed: int) -> int:
        """The seed of a member that makes the whole search, with random numbers of its own.

        The first member has the ``seed`` of the solve: so more members find nothing worse than one alone. The others
        have the first word of ``numpy.random.SeedSequence(seed % 2**64, spawn_key=(index,))``, of 63 bits. How many
        members there are does not matter.
        """
        if self.index == 0:
            return seed
        words = np.random.SeedSequence(seed % 2**64, spawn_key=(self.index,)).generate_state(1, np.uint64)
        return int(words[0] >> np.uint64(1))


def member_of(input_params: Any) -> Member | None:
    """The member that the ``inputParams`` of a run are of; None for a whole job. Raises InvalidValue."""
    found = input_params.get(KEY) if isinstance(input_params, Mapping) else None
    if found is None:
        return None
    if isinstance(found, (list, tuple)) and len(found) == 2 and all(type(number) is int for number in found):
        index, nodes = found
        if 0 <= index < nodes <= MOST_NODES:
            return Member(index, nodes)
    raise InvalidValue(
        f"input parameters: `{KEY}` must be the index of a member and the number of members, at most {MOST_NODES}, "
        f"found {found!r:.60}"
    )
