"""Which supervisors look at the claims of others: at most ``SEATS`` at the same time, however many share a database.

A look reads the claims of all running jobs. If each of a thousand supervisors took one every second, the database would
do little else. So those that look have seats, which are rows of a table, and write to their rows every ``WRITE_S``. All
others read these rows only. One that finds a free seat, or has seen a seat unchanged for ``SEAT_LEASE_S``, takes it.
If a seat is taken from a supervisor that lives, no harm is done: it finds that out when it next looks, and another one
looks in its place. There are several seats so that a claim is watched all the time if some of those die that watch it.
"""

from __future__ import annotations

from typing import final

from qiosk.service.ports import Watchers
from qiosk.supervisor.leases import LeaseJudge

SEATS = 3
WRITE_S = 3.0
"""Seldom, since each write wakes all that wait for changes in the database."""
SEAT_LEASE_S = 10.0
"""A supervisor that does not write to its seat for so long has lost it."""


@final
class Watch:
    """Whether this supervisor, ``worker``, is one of those that look. Without ``watchers`` all are."""

    def __init__(self, watchers: Watchers | None, worker: str) -> None:
        self._watchers = watchers
        self._worker = worker
        self._judge: LeaseJudge[tuple[int, str]] = LeaseJudge(SEAT_LEASE_S)
        self._write_at = float("-inf")

    def has_seat(self, now: float) -> bool:
        """Keep the seat, or take one that is free or whose supervisor is dead; returns whether there is one now.

        To be called about once a second. ``now`` is monotonic.
        """
        if self._watchers is None:
            return True
        taken = self._watchers.all()
        for each in taken:
            if each.worker == self._worker:
                self.forget()
                if now < self._write_at:
                    return True
                self._write_at = now + WRITE_S
                return self._watchers.sit(each.seat, self._worker, each.revision)
        revisions = {(each.seat, each.worker): each.revision for each in taken}
        dead = self._judge.expired(revisions, now)
        if free := set(range(SEATS)) - {each.seat for each in taken}:
            return self._watchers.sit(min(free), self._worker, None)
        return bool(dead) and self._watchers.sit(dead[0][0], self._worker, revisions[dead[0]])

    def forget(self) -> None:
        """Begin again: the store failed, so that the others may have been unable to write to their seats."""
        self._judge.forget()

    def is_undecided(self) -> bool:
        """Whether a seat may be found free soon, and this supervisor has none."""
        return self._judge.is_undecided()

    def leave(self) -> None:
        """Free the seat."""
        if self._watchers is not None:
            self._watchers.leave(self._worker)
