"""Closes SQLite's connections before this process forks.

SQLite keeps books, once per process, on which locks its connections hold. The kernel gives a forked child none of these
locks, but the books are copied. A child that opened the same file would take locks for held that it does not have, and
the parent, when it closes its last connection, could remove the log into which the child writes. So a fork waits until
no thread uses SQLite, closes all connections, and keeps threads out until it is done. Parent and child then open new
ones.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, final

from qiosk.errors import ServiceUnavailable

FORK_WAIT_S = 10.0
"""How long a fork waits for threads that use SQLite. After that the child cannot use it."""


class HasConnections(Protocol):
    """A database in the books of SQLite."""

    def close(self) -> None:
        """Close its connections."""
        ...


@final
class ForkGate:
    """Threads are inside while they use SQLite, any number of times each."""

    def __init__(self) -> None:
        self._databases: weakref.WeakSet[HasConnections] = weakref.WeakSet()
        self._changed = threading.Condition()
        self._inside: Counter[int] = Counter()
        self._forking: int | None = None
        self._is_quiet = True
        self._is_usable = True

    def add(self, database: HasConnections) -> None:
        """Close this database's connections before every fork."""
        self._databases.add(database)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Use SQLite. Raises ServiceUnavailable in a child that was forked while its parent did."""
        if not self._is_usable:
            raise ServiceUnavailable(
                "database: this process was forked while another thread used the database; start processes with the"
                " method 'spawn' or 'forkserver'"
            )
        me = threading.get_ident()
        changed = self._changed  # a child has another one
        with changed:
            while self._forking not in (None, me) and not self._inside[me]:
                changed.wait()
            self._inside[me] += 1
        try:
            yield
        finally:
            with changed:
                self._inside[me] -= 1
                if not self._inside[me]:
                    del self._inside[me]
                    changed.notify_all()

    def shut(self) -> None:
        """Wait until no thread is inside, keep further ones out, and close all connections."""
        deadline = time.monotonic() + FORK_WAIT_S
        me = threading.get_ident()
        with self._changed:
            while self._forking is not None:  # threads may fork at the same time
                self._changed.wait()
            self._forking = me
            while set(self._inside) - {me} and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            self._is_quiet = not self._inside
        if self._is_quiet:
            for database in list(self._databases):
                database.close()

    def open(self) -> None:
        """Let threads in again."""
        with self._changed:
            self._forking = None
            self._changed.notify_all()

    def begin_child(self) -> None:
        """Begin again in a forked child, which has no other thread."""
        self._changed = threading.Condition()
        self._inside.clear()
        self._forking = None
        self._is_usable = self._is_usable and self._is_quiet


gate = ForkGate()
"""That of this process."""
os.register_at_fork(before=gate.shut, after_in_parent=gate.open, after_in_child=gate.begin_child)
