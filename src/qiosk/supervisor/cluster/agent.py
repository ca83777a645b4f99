"""The agent of a node: a Ray actor that runs the jobs of one supervisor there.

It belongs to the gateway that made it, and ends with it. The gateway asks it for events again and again, and an agent
that is not asked for ``SILENCE_S`` ends itself and all runs: by then the leases of their claims have run out, since the
supervisor is gone, stopped, or cannot be reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import final

import ray
import ray.exceptions

from qiosk.service.jobs.attempts import LEASE_S
from qiosk.supervisor.cluster.events import Order, Over, RunEvent
from qiosk.supervisor.cluster.relay import Relay, is_alive
from qiosk.supervisor.processes.job_process import ProcessOptions, warm_context
from qiosk.supervisor.processes.local import LocalExecutor

SILENCE_S = LEASE_S
ANSWER_S = 1.0
"""After so many seconds a question for events is answered although there are none: that is a node's sign of life."""

RAYLET_SILENCE_S = 10.0
"""How long the node's own part of Ray, which starts tasks, may take to answer."""
RAYLET_ASKED_S = 2.0
"""Pause between two questions to it."""

_CACHE = "qiosk-node-"
_SHARED_BYTES = 200_000  # an object of so many goes into the memory that a raylet gives out


@final
class NodeAgent:
    """Starts runs, takes orders and answers questions for events. ``environ`` is how runs reach their storage."""

    def __init__(self, options: ProcessOptions, environ: Mapping[str, str]) -> None:
        os.environ.update(environ)
        self._cache = _make_cache()
        context = warm_context(options.runner)
        executor = LocalExecutor(context, replace(options, input_cache=os.fspath(self._cache)), concurrent_jobs=None)
        self._asked_at = time.monotonic()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asking: asyncio.Task[None] | None = None
        self._events: list[RunEvent] = []
        self._first = 0  # the position of the first kept event
        self._is_new = asyncio.Event()
        self._ends: dict[str, asyncio.Event] = {}
        self._relay = Relay(executor, self._tell, is_deserted=self._is_deserted, leave=self._leave)

    async def run(self, name: str, spec: bytes, holder: int) -> None:
        """Run a job, for which the process ``holder`` of this node holds resources; returns when it has ended.

        ``spec`` is a pickled ``JobSpec``, which the holder need not read.
        """
        self._loop = asyncio.get_running_loop()
        self._ends[name] = asyncio.Event()
        self._relay.start(name, pickle.loads(spec), holder)
        await self._ends[name].wait()
        del self._ends[name]

    async def order(self, name: str, order: Order) -> None:
        """Order something of a run, which may have ended."""
        self._relay.order(name, order)

    async def events(self, after: int) -> tuple[int, list[RunEvent]]:
        """Events from position ``after`` on, and the position that follows; earlier ones are forgotten.

        Answers at once if there are some, and else when there are, but after ``ANSWER_S`` at the latest. Raises
        TimeoutError if the node cannot start tasks any more.
        """
        self._loop = asyncio.get_running_loop()
        self._asked_at = time.monotonic()
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_raylet())
        if self._asking.done():
            self._asking.result()
        self._events = self._events[max(0, after - self._first) :]
        self._first = max(self._first, after)
        if not self._events:
            self._is_new.clear()
            try:
                await asyncio.wait_for(self._is_new.wait(), ANSWER_S)
            except TimeoutError:
                return after, []
        return self._first + len(self._events), list(self._events)

    async def _ask_raylet(self) -> None:
        """Raises TimeoutError when the raylet, without which the node is of no use, gives out no memory."""
        while True:
            await asyncio.wait_for(asyncio.to_thread(_ask_for_memory), RAYLET_SILENCE_S)
            await asyncio.sleep(RAYLET_ASKED_S)

    def _tell(self, event: RunEvent) -> None:
        assert self._loop is not None, "runs are started in the loop"
        self._loop.call_soon_threadsafe(self._add, event)

    def _add(self, event: RunEvent) -> None:
        self._events.append(event)
        self._is_new.set()
        if isinstance(event, Over) and event.run in self._ends:
            self._ends[event.run].set()

    def _is_deserted(self) -> bool:
        return time.monotonic() - self._asked_at >= SILENCE_S

    def _leave(self) -> None:
        shutil.rmtree(self._cache, ignore_errors=True)
        os._exit(0)


def _ask_for_memory() -> None:
    with contextlib.suppress(ray.exceptions.ObjectStoreFullError, ray.exceptions.OutOfDiskError):  # it answers
        ray.put(bytes(_SHARED_BYTES))


def _make_cache() -> Path:
    """A new folder for problems; those of agents that were killed are removed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_CACHE}*-*"):
        owner = folder.name.removeprefix(_CACHE).partition("-")[0]
        if owner.isdigit() and not is_alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_CACHE}{os.getpid()}-"))
