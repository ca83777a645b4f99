"""Runs functions in forked children, for tests of what a child must not share with its parent."""

from __future__ import annotations

import os
import pickle
import select
import signal
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from patience import HANG_S


class Child:
    """A forked child that runs ``function``. It ends without finalizers, as those of multiprocessing."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._reader, writer = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later: threads are running
            self.pid = os.fork()
        if self.pid == 0:
            try:
                answer = (True, function())
            except BaseException:  # noqa: BLE001 - raised again in the parent
                answer = (False, traceback.format_exc())
            with os.fdopen(writer, "wb") as file:
                pickle.dump(answer, file)
            os._exit(0)
        os.close(writer)

    def result(self) -> Any:
        """What the function returned. Fails if it raised or hangs."""
        with os.fdopen(self._reader, "rb") as file:
            if not select.select([file], [], [], HANG_S)[0]:
                os.kill(self.pid, signal.SIGKILL)
            try:
                succeeded, value = pickle.load(file)  # not to its end: a child of the child has it open, too
            except EOFError:
                succeeded, value = False, "the child hangs, or was killed"
        os.waitpid(self.pid, 0)
        assert succeeded, value
        return value


def in_child(function: Callable[[], Any]) -> Any:
    """Call a function in a forked child, and return what it returns."""
    return Child(function).result()
