"""The runs of one node, in the process of its agent: a thread that starts them and collects what they send."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import final

from qiosk.service.jobs.runs import JobSpec
from qiosk.supervisor.cluster.events import Began, Order, Over, RunEvent, Sent
from qiosk.supervisor.executor import Ended, Executor, Fate, Run

TURN_S = 0.5
"""Longest time until the relay notices that a holder has died."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Kept:
    """A run, the process that holds its resources, and whether the relay has told that it began."""

    run: Run
    holder: int
    has_begun: bool = False
    is_killed: bool = False


@final
class Relay:
    """Runs jobs with an executor of this machine. ``tell`` gets their events, and is called by the relay's thread.

    A run whose holder dies is killed: Ray has taken back what it may use. ``is_deserted`` is asked every ``TURN_S``:
    whether the events are not heard any more; the relay then kills all runs, calls ``leave`` and ends. It also leaves
    when it fails itself.
    """

    def __init__(
        self,
        executor: Executor,
        tell: Callable[[RunEvent], None],
        *,
        is_deserted: Callable[[], bool],
        leave: Callable[[], None],
    ) -> None:
        self._executor = executor
        self._tell = tell
        self._is_deserted = is_deserted
        self._leave = leave
        self._runs: dict[str, _Kept] = {}
        self._waiting: deque[tuple[str, JobSpec, int]] = deque()
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wakeup, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        self._thread = threading.Thread(target=self._work, name="relay", daemon=True)
        self._thread.start()

    def start(self, run: str, spec: JobSpec, holder: int) -> None:
        """Start a run, for which the process ``holder`` holds resources. Callable by any thread."""
        self._call(lambda: self._waiting.append((run, spec, holder)))

    def order(self, run: str, order: Order) -> None:
        """Order something of a run, which may have ended. Callable by any thread."""
        self._call(lambda: self._obey(run, order))

    def _call(self, function: Callable[[], None]) -> None:
        self._calls.put(function)
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes as well
            os.write(self._waker, b"\0")

    def _work(self) -> None:
        try:
            self._turn_until_deserted()
            self._executor.close()
        except Exception:
            log.exception("the relay failed")
        finally:
            self._leave()

    def _turn_until_deserted(self) -> None:
        looked_at = time.monotonic()
        while True:
            sources: list[Connection | int] = [source for kept in self._runs.values() for source in kept.run.wait_on()]
            if self._wakeup in wait([*sources, self._wakeup], TURN_S):
                os.read(self._wakeup, 4096)
            with contextlib.suppress(queue.Empty):
                while True:
                    self._calls.get_nowait()()
            for name, kept in list(self._runs.items()):
                self._look(name, kept)
            self._start_next()
            if time.monotonic() - looked_at >= TURN_S:
                looked_at = time.monotonic()
                self._check_holders()
                if self._is_deserted():
                    return

    def _start_next(self) -> None:
        """One run is started at a time, as by a supervisor."""
        if not self._waiting or any(kept.run.is_starting for kept in self._runs.values()):
            return
        name, spec, holder = self._waiting.popleft()
        if not is_alive(holder):
            self._tell(Over(name, Ended("its holder has died", Fate.LOST)))
            return
        try:
            self._runs[name] = _Kept(self._executor.start(spec), holder)
        except (OSError, MemoryError) as error:
            self._tell(Over(name, Ended(f"{type(error).__name__}: {error}", Fate.NOT_STARTED)))

    def _obey(self, name: str, order: Order) -> None:
        kept = self._runs.get(name)
        if kept is None:
            if any(name == waiting[0] for waiting in self._waiting):
                self._waiting = deque(waiting for waiting in self._waiting if waiting[0] != name)
                self._tell(Over(name, Ended("withdrawn", Fate.LOST)))
            return
        match order:
            case Order.CANCEL:
                kept.run.cancel()
            case Order.SUSPEND:
                kept.run.suspend()
            case Order.KILL:
                kept.is_killed = True
                kept.run.kill()

    def _look(self, name: str, kept: _Kept) -> None:
        run = kept.run
        if run.is_starting and not kept.is_killed:
            return
        if run.start_error is not None:
            error = run.start_error
            self._end(name, Ended(f"{type(error).__name__}: {error}", Fate.NOT_STARTED))
            return
        if not kept.has_begun and not run.is_starting:
            kept.has_begun = True
            self._tell(Began(name, run.place))
        has_ended = run.has_ended()
        for message in run.messages():
            self._tell(Sent(name, message))
        end = run.end() if has_ended else None
        if end is not None:
            self._end(name, end)

    def _end(self, name: str, end: Ended) -> None:
        self._runs.pop(name).run.close()
        self._tell(Over(name, end))

    def _check_holders(self) -> None:
        for kept in self._runs.values():
            kept.run.observe()
            if not kept.is_killed and not is_alive(kept.holder):
                kept.is_killed = True
                kept.run.kill()


def is_alive(pid: int) -> bool:
    """Whether there is a process of this number on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
