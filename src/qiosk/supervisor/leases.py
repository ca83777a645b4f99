"""Judges which claims of other supervisors are dead, without a look at their clocks.

Clocks of hosts differ, so a time that another host wrote means nothing here. A supervisor that lives writes to the rows
of its jobs several times in each ``LEASE_S``, and every write increases the row's revision. So a lease has run out when
this process has seen the same revision for ``LEASE_S`` of its own monotonic time.

Only time in which it has looked counts: after a pause, because this process was stopped, the machine slept or the store
could not be reached, the others may have been paused as well.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, final

from qiosk.service.jobs.attempts import LEASE_S

Name = TypeVar("Name", bound=Hashable)

LONGEST_STEP_S = 2.0
"""Between two looks at most so much time counts."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A revision of a claimed row, for how long it has been the same, and whether it was another one before."""

    revision: int
    unchanged_s: float
    has_changed: bool


@final
class LeaseJudge(Generic[Name]):
    """Looks at the revisions of others' rows again and again. Times are monotonic."""

    def __init__(self, lease_s: float = LEASE_S) -> None:
        self._lease_s = lease_s
        self._seen: dict[Name, _Seen] = {}
        self._looked_at = float("-inf")

    def expired(self, revisions: Mapping[Name, int], now: float) -> list[Name]:
        """Look at the revisions of all rows that others hold; returns those whose leases have run out."""
        passed_s = min(now - self._looked_at, LONGEST_STEP_S)
        self._looked_at = now
        self._seen = {name: self._look(name, revision, passed_s) for name, revision in revisions.items()}
        return [name for name, seen in self._seen.items() if seen.unchanged_s >= self._lease_s]

    def forget(self) -> None:
        """Begin again: the store failed, so that the others may have been unable to renew their leases."""
        self._seen = {}

    def is_undecided(self) -> bool:
        """Whether there is a row that may be found dead soon: a supervisor that exits now would not find that out."""
        return any(not seen.has_changed or seen.unchanged_s > self._lease_s / 2 for seen in self._seen.values())

    def _look(self, name: Name, revision: int, passed_s: float) -> _Seen:
        before = self._seen.get(name)
        if before is None or before.revision != revision:
            return _Seen(revision, 0.0, has_changed=before is not None)
        return _Seen(revision, before.unchanged_s + passed_s, before.has_changed)
