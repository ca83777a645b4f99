"""A node of the cluster, seen from the gateway: its agent, and whether it can be used.

A node that does not answer for ``SILENCE_S`` is silent: it is frozen or cut off, which Ray itself notices only after
minutes. Its runs are lost, and no other ones are placed there until it answers again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, final

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from qiosk.cluster.connection import one_line, refusal
from qiosk.supervisor.cluster.agent import NodeAgent
from qiosk.supervisor.cluster.events import Order, RunEvent
from qiosk.supervisor.cluster.holder import warm_up
from qiosk.supervisor.pauses import GrowingPause
from qiosk.supervisor.processes.job_process import ProcessOptions

SILENCE_S = 10.0
WARM_WORKERS = 4
"""So many workers of a new node are started before the first holder needs one, which takes a second or more."""
AGENT_START_S = 120.0
"""How long the agent of a node may take to answer for the first time."""
RETRY_PAUSES_S = (2.0, 30.0)
"""First and longest pause before a node is tried again that failed."""

log = logging.getLogger(__name__)


@final
class Node:
    """Follows a node until it is dead. ``hear`` gets its events, ``lose`` the reason why all its runs are lost.

    ``agents`` and the node's id are the name of its agent.
    """

    def __init__(
        self,
        described: dict[str, Any],
        agents: str,
        options: ProcessOptions,
        environ: dict[str, str],
        hear: Callable[[Node, RunEvent], None],
        lose: Callable[[Node, str], None],
    ) -> None:
        self.id: str = described["NodeID"]
        self.host: str = described["NodeManagerHostname"]
        self.cpus = int(described["Resources"].get("CPU", 0))
        self.is_usable = False
        self.trouble = ""
        """Why it cannot be used, once that is known."""
        self._name = agents + self.id
        self._options = options
        self._environ = environ
        self._hear = hear
        self._lose = lose
        self._agent: Any = None
        self._pause = GrowingPause(*RETRY_PAUSES_S)
        self._task = asyncio.create_task(self._follow())

    def order(self, run: str, order: Order) -> None:
        """Order something of a run there."""
        if self._agent is not None:
            self._agent.order.remote(run, order)

    def drop(self, reason: str) -> None:
        """The node is dead."""
        self._task.cancel()
        self._fail(reason)

    async def _follow(self) -> None:
        while True:
            try:
                if refused := await refusal(self.id, self.host):
                    self.trouble = refused
                    log.error("%s", self.trouble)
                    return
                await self._use()
            except Exception as error:  # noqa: BLE001 - Ray raises many kinds, and the node may become better
                self._fail(f"node {self.host} ({self.id[:8]}): {self._reason(error)}")
            await asyncio.sleep(self._pause.note_failure(time.monotonic()))

    async def _use(self) -> None:
        """Start the agent and take its events until it fails. Raises TimeoutError, RayError."""
        strategy = NodeAffinitySchedulingStrategy(self.id, soft=False)
        make: Any = ray.remote(num_cpus=0, max_restarts=0)(NodeAgent).options(
            name=self._name, scheduling_strategy=strategy, max_concurrency=1000
        )
        agent: Any = make.remote(self._options, self._environ)
        try:
            position, _ = await asyncio.wait_for(agent.events.remote(0), AGENT_START_S)
            self._agent, self.is_usable = agent, True
            self.trouble = ""
            self._pause.note_success()
            warm = ray.remote(num_cpus=0, max_retries=0)(warm_up).options(scheduling_strategy=strategy)
            _ = [warm.remote() for _ in range(min(self.cpus, WARM_WORKERS))]
            while True:
                position, events = await asyncio.wait_for(agent.events.remote(position), SILENCE_S)
                for event in events:
                    self._hear(self, event)
        finally:
            self._agent = None
            ray.kill(agent)

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return "it does not answer"
        if self.is_usable and isinstance(error, ray.exceptions.RayActorError):
            return "its agent has ended, or cannot be reached"
        if isinstance(error, ray.exceptions.RayTaskError):
            error = error.cause
        return f"{type(error).__name__}: {one_line(error)}"

    def _fail(self, reason: str) -> None:
        if reason != self.trouble:
            log.warning("%s", reason)
        self.is_usable, self.trouble = False, reason
        self._lose(self, reason)
