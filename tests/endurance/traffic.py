"""The clients of a run: threads that submit, cancel and follow jobs through all servers, however often it takes."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from endurance.workload import Planned
from endurance.world import World
from patience import HANG_S
from qiosk.contract.api import JobsApi
from qiosk.contract.jobs import JobStatus, JobView
from qiosk.errors import RequestTimeout, ServiceUnavailable, StorageFull, SupervisorUnavailable

SUBMITTERS = 3
FOLLOWERS = 3
FOLLOWED = 25
"""One of so many jobs is followed by its live events."""
PAUSE_S = 0.3

Answer = TypeVar("Answer")
NOT_NOW = (ServiceUnavailable, SupervisorUnavailable, StorageFull, RequestTimeout, ConnectionError)
"""What a client tries again after; anything else is a fault of the server, or of the client."""


class Traffic:
    """All clients. They begin with ``start``; ``submit`` lets them submit so many more of the ``planned`` jobs."""

    def __init__(self, world: World, planned: Iterator[Planned]) -> None:
        self.accepted: dict[str, Planned] = {}
        self.cancelled_as: dict[str, JobStatus] = {}
        self.followed: dict[str, JobView] = {}
        self.faults: list[str] = []
        self.refusals = 0
        self._apis = [world.api(host) for host in world.hosts]
        self._planned = planned
        self._wanted = self._to_be_cancelled = self._to_be_followed = 0
        self._is_over = threading.Event()
        self._to_submit: queue.Queue[Planned] = queue.Queue()
        self._to_cancel: queue.PriorityQueue[tuple[float, str]] = queue.PriorityQueue()
        self._to_follow: queue.Queue[str] = queue.Queue()
        works = [(self._submit, SUBMITTERS), (self._cancel, 1), (self._follow, FOLLOWERS)]
        self._threads = [
            threading.Thread(target=self._run, args=(work, number), daemon=True)
            for work, count in works
            for number in range(count)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def submit(self, count: int) -> None:
        """Let so many more jobs be submitted. Called by one thread."""
        for job in islice(self._planned, count):
            is_followed = job.cancel_after_s is None and self._wanted % FOLLOWED == 0
            self._wanted += 1
            self._to_be_cancelled += job.cancel_after_s is not None
            self._to_be_followed += is_followed
            self._to_submit.put(replace(job, is_followed=is_followed))

    def in_flight(self, unfinished: int) -> int:
        """Jobs that have not ended, of which ``unfinished`` are stored."""
        return unfinished + self._wanted - len(self.accepted)

    def is_done(self) -> bool:
        """Whether every job was accepted, every cancellation answered, and what is followed has ended."""
        done = (len(self.accepted), len(self.cancelled_as), len(self.followed))
        return done == (self._wanted, self._to_be_cancelled, self._to_be_followed)

    def stop(self) -> None:
        """End all threads."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(HANG_S)

    def close(self) -> None:
        """Close all connections."""
        for api in self._apis:
            api.close()

    def insist(self, first: int, ask: Callable[[JobsApi], Answer]) -> Answer:
        """The answer of some server, however often it takes; ``first`` is asked first."""
        number = first
        while True:
            try:
                return ask(self._apis[number % len(self._apis)])
            except NOT_NOW:
                if self._is_over.is_set():
                    raise
                self.refusals += 1
                number += 1
                time.sleep(PAUSE_S)

    def _run(self, work: Callable[[int], bool], number: int) -> None:
        while not self._is_over.is_set():
            try:
                if not work(number):
                    time.sleep(PAUSE_S)
            except Exception:  # noqa: BLE001 - it is reported
                self.faults.append(f"{work.__name__}: {traceback.format_exc()}")

    def _submit(self, number: int) -> bool:
        try:
            job = self._to_submit.get(timeout=PAUSE_S)
        except queue.Empty:
            return False
        self.insist(number, lambda api: api.submit(job.command))
        self.accepted[job.id] = job
        if job.cancel_after_s is not None:
            self._to_cancel.put((time.monotonic() + job.cancel_after_s, job.id))
        if job.is_followed:
            self._to_follow.put(job.id)
        return True

    def _cancel(self, number: int) -> bool:
        try:
            due, job_id = self._to_cancel.get(timeout=PAUSE_S)
        except queue.Empty:
            return False
        if (early_s := due - time.monotonic()) > 0:
            self._to_cancel.put((due, job_id))
            time.sleep(min(early_s, PAUSE_S))
            return True
        self.cancelled_as[job_id] = self.insist(len(self.cancelled_as), lambda api: api.cancel(job_id)).status
        return True

    def _follow(self, number: int) -> bool:
        try:
            job_id = self._to_follow.get(timeout=PAUSE_S)
        except queue.Empty:
            return False
        self.followed[job_id] = self.insist(number, lambda api: _last_of(api, job_id))
        return True


def _last_of(api: JobsApi, job_id: str) -> JobView:
    """The view of a job with which its live events end."""
    *_, last = api.updates(job_id)
    return last.view
