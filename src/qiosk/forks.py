"""What a process must not share with a child that is forked from it: connections, locks, threads.

A forked child has copies of all objects, but none of the other threads, and its sockets and files are those of its
parent. :class:`PerProcess` therefore gives a child a new object. The parent's is left behind: the child neither uses
nor closes it, since closing could end a session, or a transaction, of the parent.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar, final

from qiosk.errors import Conflict

T = TypeVar("T")


@final
class PerProcess(Generic[T]):
    """An object that is made when it is first needed, and again in every forked child. Threads may share it."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: T | None = None
        _cells.add(self)

    def get(self) -> T:
        """This process's object."""
        if self._made is None:
            with self._lock:
                if self._made is None:
                    self._made = self._make()
        return self._made

    @property
    def made(self) -> T | None:
        """This process's object, if it was needed already."""
        return self._made

    def leave_behind(self) -> None:
        """Drop what was made, but let it live for ever, so that nothing is closed."""
        made, self._made, self._lock = self._made, None, threading.Lock()
        if made is not None:
            leak(made)


def check_process(begun_by: int) -> None:
    """Raise Conflict unless this is the process with that id: only that one can go on with an upload."""
    if os.getpid() != begun_by:
        raise Conflict("upload: was begun before this process was forked; only the process that began it can go on")


def leak(value: Any) -> None:
    """Let an object live for ever, also while the interpreter exits: its finalizers never run."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


def _leave_all_behind() -> None:
    # No other thread runs in a child yet.
    for cell in list(_cells):
        cell.leave_behind()


_cells: weakref.WeakSet[PerProcess[Any]] = weakref.WeakSet()
os.register_at_fork(after_in_child=_leave_all_behind)
