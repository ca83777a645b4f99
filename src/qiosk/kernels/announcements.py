"""Listeners that are told when a kernel is compiled, and how long that took. This module imports no compiler."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

COMPILING = "compiling kernels (once)…"
"""What listeners are told: machine code is kept on disk, so that later runs only load it."""

_spent: list[float] = []  # seconds
_loaded: list[float] = []  # seconds
_listeners: list[Callable[[str], object]] = []


@contextmanager
def announced_to(listener: Callable[[str], object]) -> Iterator[None]:
    """Within this context ``listener`` is called before each kernel that this process compiles, by whatever thread.

    >>> from qiosk.kernels.announcements import announce, announced_to
    >>> heard = []
    >>> with announced_to(heard.append):
    ...     announce()
    >>> announce()
    >>> heard
    ['compiling kernels (once)…']
    """
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def announce() -> None:
    """Tell all listeners that a kernel is going to be compiled."""
    for listener in tuple(_listeners):
        listener(COMPILING)


def record(seconds: float) -> None:
    """Count the time that compiling a kernel took [s]."""
    _spent.append(seconds)


def compiling_seconds() -> float:
    """How long this process has compiled kernels so far [s]; loading them from the disk does not count."""
    return sum(_spent)


def record_loading(seconds: float) -> None:
    """Count the time that loading the compiler, or a kernel from the disk, took [s]."""
    _loaded.append(seconds)


def setup_seconds() -> float:
    """How long this process has loaded the compiler, compiled kernels, and loaded them from the disk, so far [s]."""
    return sum(_spent) + sum(_loaded)


@dataclass(frozen=True, slots=True)
class Start:
    """When something began, on the monotonic clock [s], and what ``setup_seconds`` were then."""

    at: float = field(default_factory=time.monotonic)
    setup_seconds: float = field(default_factory=setup_seconds)

    @property
    def working_seconds(self) -> float:
        """Seconds since then, without those of compiling kernels, which other threads may do, too."""
        return max(0.0, time.monotonic() - self.at - (setup_seconds() - self.setup_seconds))
