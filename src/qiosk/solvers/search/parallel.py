"""Threads for independent pieces of work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Parallel:
    """Runs independent pieces of work in ``threads`` threads, one of them the caller's; kernels release the GIL.

    ``check`` is called before each piece; what it raises ends the work early.
    """

    def __init__(self, threads: int, check: Callable[[], None] = lambda: None) -> None:
        self.threads = threads
        self._check = check
        self._helpers = ThreadPoolExecutor(threads - 1, "qiosk-sweeps") if threads > 1 else None

    def each(self, work: Callable[[T], None], items: Iterable[T]) -> None:
        """Call ``work`` on every item, begun in their order; returns when all are done, raises what one has raised."""
        waiting = deque(items)

        def take() -> None:
            while waiting:
                try:
                    item = waiting.popleft()
                except IndexError:  # another thread has taken the last one
                    return
                self._check()
                work(item)

        if self._helpers is None:
            take()
            return
        # Waking a thread takes as long as a small piece of work, so the caller does not wait for its helpers to begin.
        helpers = [self._helpers.submit(take) for _ in range(min(self.threads, len(waiting)) - 1)]
        try:
            take()
        finally:
            wait(helpers)
        for helper in helpers:
            helper.result()

    def map(self, work: Callable[[T], U], items: Sequence[T]) -> list[U]:
        """What ``work`` returns for every item, in their order."""
        found: dict[int, U] = {}

        def take(k: int) -> None:
            found[k] = work(items[k])

        self.each(take, range(len(items)))
        return [found[k] for k in range(len(items))]

    def close(self) -> None:
        """End the threads."""
        if self._helpers is not None:
            self._helpers.shutdown()
