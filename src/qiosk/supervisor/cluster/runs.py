"""The runs of a supervisor on the cluster, in its gateway: their holders, the nodes that they are on, their ends."""

from __future__ import annotations

import asyncio
import logging
import pickle
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

import ray
import ray.exceptions

from qiosk.cluster.connection import one_line
from qiosk.contract.jobs import ErrorData
from qiosk.errors import NotEnoughMemory
from qiosk.service.jobs.runs import Shortage
from qiosk.supervisor.cluster.events import (
    Began,
    Cluster,
    Command,
    Event,
    GatewayOptions,
    Order,
    Ordered,
    Over,
    RunEvent,
    Sent,
    Start,
)
from qiosk.supervisor.cluster.holder import hold
from qiosk.supervisor.cluster.nodes import Node
from qiosk.supervisor.executor import Ended, Fate

KILL_S = 1.0
"""How long the end of a killed run is waited for; its node may be unable to tell it."""
HEAD_PATIENCE_S = 10.0
"""How long the head may take to describe the nodes."""
HOLDER_GRACE_S = 2.0
"""How long an agent may take to tell the end of a run whose holder has ended."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Placed:
    """A run: its command, its holder, and the node where it is known to run. ``name`` is new whenever it is placed.

    ``avoided`` are the nodes where Ray may not place it.
    """

    start: Start
    name: str
    holder: Any
    avoided: frozenset[str]
    node: Node | None = None
    is_killed: bool = False


@final
class ClusterRuns:
    """Places runs, and tells the supervisor what becomes of them. Used in the gateway's event loop."""

    def __init__(self, options: GatewayOptions, tell: Callable[[Event], None]) -> None:
        self._options = options
        self._tell = tell
        self._agents = f"qiosk-{uuid.uuid4().hex[:12]}-"
        self._hold = ray.remote(max_retries=0)(hold)
        self._runs: dict[str, _Placed] = {}
        self._by_name: dict[str, _Placed] = {}
        self._nodes: dict[str, Node] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_headless = False

    async def watch(self, interval_s: float) -> None:
        """Look at the nodes again and again, and tell the supervisor what there is."""
        while True:
            looking = asyncio.create_task(asyncio.to_thread(ray.nodes))
            await asyncio.wait([looking], timeout=HEAD_PATIENCE_S)
            self._is_headless = not looking.done()
            while not looking.done():
                self._report(f"the head of the Ray cluster at {self._options.address} does not answer")
                await asyncio.wait([looking], timeout=interval_s)
            self._compare(looking.result())
            self._place_better()
            usable = any(node.is_usable for node in self._nodes.values())
            self._report("" if usable else next((node.trouble for node in self._nodes.values() if node.trouble), ""))
            await asyncio.sleep(interval_s)

    def _report(self, trouble: str) -> None:
        cpus = [node.cpus for node in self._nodes.values() if node.is_usable]
        self._tell(Cluster(sum(cpus), max(cpus, default=0), len(cpus), trouble))

    def obey(self, command: Command) -> None:
        """Do what the supervisor wants."""
        match command:
            case Start():
                self._place(command)
            case Ordered(name, order) if name in self._runs:
                self._order(self._runs[name], order)
            case _:
                """An order to a run that has ended, or nothing but a sign of life."""

    def _compare(self, described: list[dict[str, Any]]) -> None:
        alive = {each["NodeID"]: each for each in described if each["Alive"]}
        for node_id in [node_id for node_id in self._nodes if node_id not in alive]:
            node = self._nodes.pop(node_id)
            node.drop(f"node {node.host} ({node_id[:8]}) is dead")
        options = self._options
        for node_id in alive.keys() - self._nodes.keys():
            if alive[node_id]["Resources"].get("CPU", 0) >= 1:
                self._nodes[node_id] = Node(
                    alive[node_id], self._agents, options.options, options.environ, self._hear, self._lose
                )

    def _place(self, start: Start) -> None:
        name = uuid.uuid4().hex
        avoided = self._avoided()
        selector = {"ray.io/node-id": f"!in({','.join(sorted(avoided))})"} if avoided else None
        holder = self._hold.options(
            num_cpus=start.cpus,
            memory=start.memory_bytes or None,
            num_gpus=start.resources.get("GPU"),
            resources={key: amount for key, amount in start.resources.items() if key != "GPU"},
            label_selector=selector,
            name=f"qiosk-{start.spec.id}",
        ).remote(self._agents, name, pickle.dumps(start.spec))
        run = _Placed(start, name, holder, avoided)
        self._runs[start.run] = self._by_name[name] = run
        self._keep(self._await_holder(run))

    async def _await_holder(self, run: _Placed) -> None:
        end = Ended("its agent told no end", Fate.LOST)
        has_failed = False
        try:
            await run.holder
        except ray.exceptions.RayError as error:
            end, has_failed = _end_of_holder(error), True
        if run.node is not None or not has_failed:
            await asyncio.sleep(HOLDER_GRACE_S)  # the agent tells more, perhaps later than Ray
        if run.node is None and not run.is_killed:
            end = Ended(end.reason, Fate.NOT_STARTED)
        self._end(run, end)

    def _order(self, run: _Placed, order: Order) -> None:
        if run.node is not None:
            run.node.order(run.name, order)
        if order is Order.KILL and not run.is_killed:
            run.is_killed = True
            self._keep(self._await_kill(run))

    async def _await_kill(self, run: _Placed) -> None:
        if run.node is not None:
            await asyncio.sleep(KILL_S)
        if self._by_name.get(run.name) is run:  # else its holder has ended, and its worker may hold another run
            self._cancel(run)
            self._end(run, Ended("it was killed", Fate.LOST))

    def _cancel(self, run: _Placed) -> None:
        ray.cancel(run.holder, force=True)

    def _hear(self, node: Node, event: RunEvent) -> None:
        run = self._by_name.get(event.run)
        if run is None:  # it was ended here, or placed on another node, when this one was silent
            if not isinstance(event, Over):
                node.order(event.run, Order.KILL)
            return
        run.node = node
        match event:
            case Began() | Sent():
                self._tell(replace(event, run=run.start.run))
            case Over(_, end):
                self._end(run, end)

    def _lose(self, node: Node, reason: str) -> None:
        """A node is dead, or silent: its runs have ended. Without a head all nodes end some time, of whatever job."""
        verdict = Fate.EXCUSED if self._is_headless else Fate.LOST
        for run in list(self._runs.values()):
            if run.node is node:
                self._cancel(run)
                self._end(run, Ended(reason, verdict))

    def _avoided(self) -> frozenset[str]:
        """The nodes that cannot be used, or not yet."""
        return frozenset(node.id for node in self._nodes.values() if not node.is_usable)

    def _place_better(self) -> None:
        """Place those runs again that are nowhere yet, if other nodes can be used now than when they were placed."""
        avoided = self._avoided()
        for run in list(self._runs.values()):
            if run.node is None and not run.is_killed and run.avoided != avoided:
                self._forget(run)
                self._cancel(run)
                self._place(run.start)

    def _end(self, run: _Placed, end: Ended) -> None:
        if self._by_name.get(run.name) is run:
            self._forget(run)
            self._tell(Over(run.start.run, end))

    def _forget(self, run: _Placed) -> None:
        del self._by_name[run.name]
        del self._runs[run.start.run]

    def _keep(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _end_of_holder(error: ray.exceptions.RayError) -> Ended:
    reason = one_line(error)
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        found = NotEnoughMemory("the node of the job ran out of memory, and Ray ended the job")
        return Ended(reason, Shortage(ErrorData(**found.error_data()), is_of_memory=True))
    return Ended(f"its node lost it: {reason}", Fate.LOST)
