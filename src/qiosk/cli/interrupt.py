"""Ctrl-C as a request to stop, so that the best solution so far is not lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """While active, the first Ctrl-C only sets ``asked`` and calls ``do`` in its own thread; the second one raises
    KeyboardInterrupt.

    A context manager for the main thread. An exception for the first one could be raised in code that must ignore it,
    such as a finalizer.
    """

    def __init__(self, do: Callable[[], object] = lambda: None) -> None:
        self.asked = False
        self._do = do
        self._before: Any = None

    def __enter__(self) -> Interrupt:
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        threading.Thread(target=self._do, name="interrupt", daemon=True).start()
