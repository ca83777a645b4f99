"""Runs the live table: reads the jobs in a thread, keys in the main one, and draws what has changed."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from qiosk.cli.table import status_word
from qiosk.cli.top.details import details_screen
from qiosk.cli.top.feed import Feed
from qiosk.cli.top.rows import Snapshot, rows_of
from qiosk.cli.top.screen import Screen
from qiosk.cli.top.view import AROUND, Around, table_screen
from qiosk.console.terminal import Terminal
from qiosk.contract.jobs import JobView
from qiosk.errors import QioskError

if TYPE_CHECKING:
    from rich.live import Live

SHARE: Final = 0.2
"""Most of the time that is spent reading: after a reading that took long, the pause is longer."""
SILENCE_S: Final = 3.0
"""After this time without an answer the table says so."""


LEAVE_S: Final = 10.0
"""Longest time that the end waits for cancellations to arrive."""


def run(feed: Feed, first: Snapshot, where: str, *, interval_s: float, keys: int, screen: int) -> list[str]:
    """Show the jobs on a terminal, until a key or a signal ends it, or the terminal is closed.

    ``first`` was read already; ``keys`` and ``screen`` are file descriptors of the terminal. Returns messages about
    jobs that were to be cancelled at the end and were not.
    """
    from rich.console import Console
    from rich.live import Live

    with Terminal(keys, screen) as terminal:
        console = Console(
            file=terminal.output,  # type: ignore[arg-type]
            force_terminal=True,
            force_interactive=True,
            no_color=bool(os.environ.get("NO_COLOR")),
            legacy_windows=False,
        )
        console.size = terminal.size
        with Live(console=console, screen=True, auto_refresh=False) as live:
            return _Top(feed, first, where, interval_s, terminal, live).run()


class _Top:
    """The loop."""

    def __init__(
        self, feed: Feed, first: Snapshot, where: str, interval_s: float, terminal: Terminal, live: Live
    ) -> None:
        self._feed, self._snapshot, self._where = feed, first, where
        self._interval_s, self._terminal, self._live = interval_s, terminal, live
        self._screen = Screen()
        self._worker = _Worker(terminal.wake)
        self._reading: Future[Snapshot] | None = None
        self._orders: list[Future[JobView]] = []
        self._trouble = ""
        self._asked_at = self._answered_at = self._next_at = time.monotonic()
        self._drawn: object = None

    def run(self) -> list[str]:
        while not (self._screen.is_done or self._terminal.is_leaving):
            self._take_answers()
            self._draw()
            self._ask()
            now = time.monotonic()
            until_read = 1.0 if self._reading else self._next_at - now
            for key in self._terminal.read(min(until_read, 1.0 - now % 1.0)):
                self._press(key)
        wait(self._orders, timeout=LEAVE_S)
        return [message for order in self._orders if (message := _failure(order))]

    def _press(self, key: str) -> None:
        opened = self._screen.opened
        job_id = self._screen.press(key)
        if job_id is not None:
            self._screen.note = "cancelling…"
            self._orders.append(self._worker.submit(partial(self._feed.cancel, job_id)))
        if job_id is not None or self._screen.opened != opened:
            self._next_at = time.monotonic()
        self._drawn = None

    def _ask(self) -> None:
        if self._reading is None and time.monotonic() >= self._next_at:
            shown = [row.view.id for row in self._screen.visible]
            self._asked_at = time.monotonic()
            self._reading = self._worker.submit(partial(self._feed.read, shown, self._screen.opened))

    def _take_answers(self) -> None:
        for order in [each for each in self._orders if each.done()]:
            self._orders.remove(order)
            self._screen.note = _failure(order) or f"{order.result().name}: {status_word(order.result())}"
            self._next_at = time.monotonic()
        if self._reading is None or not self._reading.done():
            return
        reading, self._reading = self._reading, None
        now = time.monotonic()
        self._next_at = now + max(self._interval_s, (now - self._asked_at) * (1 / SHARE - 1))
        try:
            self._snapshot = reading.result()
            self._trouble, self._answered_at = "", now
        except (QioskError, OSError) as error:
            self._trouble = str(error)

    def _draw(self) -> None:
        """Draw the screen, if it differs from what was drawn: times in it do every second."""
        silent_s = time.monotonic() - self._answered_at
        trouble = self._trouble
        if self._reading is not None and silent_s > max(SILENCE_S, 3 * self._interval_s):
            trouble = f"no answer for {silent_s:.0f} s; {trouble or 'waiting for it'}"
        size = self._terminal.size
        is_timed = any(not view.status.is_final for view in self._snapshot.views)
        state = (size, is_timed and int(time.monotonic()), self._screen.note, trouble)
        if self._drawn is not None and self._drawn == (state, self._snapshot):
            return
        self._drawn = state, self._snapshot
        width, height = size
        screen = self._screen
        screen.show(rows_of(self._snapshot, screen.order, datetime.now(UTC)), height - AROUND)
        around = Around(self._where, trouble, self._snapshot.is_cut)
        if screen.opened is not None and screen.selected is not None:
            lines = details_screen(screen, screen.selected, self._snapshot, around, width, height)
        else:
            lines = table_screen(screen, around, width, height)
        from rich.console import Group

        self._live.console.size = size
        self._live.update(Group(*lines), refresh=True)


def _failure(order: Future[JobView]) -> str:
    """Why a job was not cancelled; empty if it was."""
    try:
        order.result(timeout=0)
    except (QioskError, OSError) as error:  # that there is no answer yet is a TimeoutError, too
        return f"not cancelled: {str(error) or 'there was no answer'}"
    return ""


class _Worker:
    """A thread that does one thing after the other. It does not keep the process from ending, as that of an executor
    does: a request to a server that is away may take long.
    """

    def __init__(self, when_done: Callable[[], None]) -> None:
        self._tasks: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._when_done = when_done
        threading.Thread(target=self._work, name="jobs", daemon=True).start()

    def submit(self, do: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self._tasks.put((future, do))
        return future

    def _work(self) -> None:
        while True:
            future, do = self._tasks.get()
            try:
                future.set_result(do())
            except BaseException as error:  # noqa: BLE001 - raised where the result is taken
                future.set_exception(error)
            self._when_done()
