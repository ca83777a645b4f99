"""The runs of a supervisor on a cluster: where they are placed, what is told of them, and how they end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest

pytest.importorskip("ray")

import ray.exceptions

from job_specs import a_spec
from patience import HANG_S
from qiosk.service.jobs.runs import Begun, Shortage
from qiosk.supervisor.cluster import runs as module
from qiosk.supervisor.cluster.events import (
    Alive,
    Began,
    Cluster,
    Event,
    GatewayOptions,
    Order,
    Ordered,
    Over,
    Sent,
    Start,
)
from qiosk.supervisor.cluster.runs import ClusterRuns
from qiosk.supervisor.executor import Ended, Fate
from qiosk.supervisor.processes.job_process import ProcessOptions

OPTIONS = GatewayOptions(
    address="127.0.0.1:1", options=ProcessOptions(storage="file:///", runner="r", memory_limit=0), environ={}
)
SPEC = a_spec(threads=1)
EXITED = Ended("exit status 0", Fate.LOST)
TURNS = 20
"""Turns of the loop after which all is done that can be."""


@dataclass
class FakeNode:
    """A node that keeps the orders that it gets."""

    described: dict
    agents: str
    hear: Callable
    lose: Callable
    is_usable: bool = True
    trouble: str = ""
    orders: list = field(default_factory=list)
    dropped: str = ""

    @property
    def id(self) -> str:
        return self.described["NodeID"]

    @property
    def host(self) -> str:
        return self.described["NodeManagerHostname"]

    @property
    def cpus(self) -> int:
        return self.described["Resources"]["CPU"]

    def order(self, run, order) -> None:
        self.orders.append((run, order))

    def drop(self, reason) -> None:
        self.dropped = reason
        self.lose(self, reason)


@dataclass
class Held:
    """A holder that Ray was asked for, and what for; it ends when ``ends`` is set."""

    options: dict
    arguments: tuple
    ends: asyncio.Future
    is_cancelled: bool = False

    def __await__(self):
        return self.ends.__await__()


class FakeRay:
    """What ``ClusterRuns`` uses of Ray."""

    exceptions = ray.exceptions

    def __init__(self) -> None:
        self.described: list[dict] = []
        self.held: list[Held] = []
        self.answers = threading.Event()
        self.answers.set()

    def nodes(self) -> list[dict]:
        self.answers.wait()
        return self.described

    def cancel(self, held: Held, *, force: bool) -> None:
        assert force
        held.is_cancelled = True

    def remote(self, **_: int) -> Callable:
        def options(**wanted):
            def start(*arguments):
                held = Held(wanted, arguments, asyncio.get_running_loop().create_future())
                self.held.append(held)
                return held

            return SimpleNamespace(remote=start)

        return lambda _: SimpleNamespace(options=options)


class World:
    """A ``ClusterRuns`` of a cluster that the test makes."""

    def __init__(self) -> None:
        self.ray = FakeRay()
        self.told: list[Event] = []
        self.nodes: dict[str, FakeNode] = {}
        self.watching: asyncio.Task | None = None

    def open(self) -> None:
        self.runs = ClusterRuns(OPTIONS, self.told.append)

    def make_node(self, described, agents, options, environ, hear, lose) -> FakeNode:
        node = self.nodes[described["NodeID"]] = FakeNode(described, agents, hear, lose)
        return node

    async def describe(self, *names: str, cpus: int = 4) -> None:
        """Let the cluster consist of such nodes, and the runs be told."""
        self.ray.described = [
            {"NodeID": name, "NodeManagerHostname": f"host-{name}", "Alive": True, "Resources": {"CPU": cpus}}
            for name in names
        ]
        seen = len(self.clusters())
        self.watching = self.watching or asyncio.create_task(self.runs.watch(0.001))
        while len(self.clusters()) < seen + 2:  # the first look may have begun before
            await asyncio.sleep(0.001)

    async def start(self, name: str = "run", **members) -> Held:
        self.runs.obey(Start(name, SPEC, 2, **members))
        await turn()
        return self.ray.held[-1]

    def hears(self, node: str, event) -> None:
        self.nodes[node].hear(self.nodes[node], event)

    def of_runs(self) -> list[Event]:
        return [event for event in self.told if not isinstance(event, Cluster)]

    def clusters(self) -> list[Cluster]:
        return [event for event in self.told if isinstance(event, Cluster)]


@pytest.fixture
def world(monkeypatch) -> World:
    made = World()
    monkeypatch.setattr(module, "ray", made.ray)
    monkeypatch.setattr(module, "Node", made.make_node)
    monkeypatch.setattr(module, "KILL_S", 0.0)
    monkeypatch.setattr(module, "HOLDER_GRACE_S", 0.0)
    monkeypatch.setattr(module, "HEAD_PATIENCE_S", HANG_S)
    return made


async def turn() -> None:
    """Let everything happen that can."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


def play(world: World, scene: Callable) -> None:
    async def in_loop() -> None:
        world.open()
        try:
            await scene()
        finally:
            world.ray.answers.set()  # else the loop would wait for a thread that waits for this

    asyncio.run(in_loop())


def name_of(held: Held) -> str:
    return held.arguments[1]


def test_a_run_asks_for_what_its_job_needs(world):
    async def scene() -> None:
        held = await world.start(memory_bytes=2**30, resources={"GPU": 1, "tpu": 2})
        assert held.options == {
            "num_cpus": 2,
            "memory": 2**30,
            "num_gpus": 1,
            "resources": {"tpu": 2},
            "label_selector": None,
            "name": "qiosk-j",
        }
        plain = await world.start("other")
        assert (plain.options["memory"], plain.options["num_gpus"], plain.options["resources"]) == (None, None, {})

    play(world, scene)


def test_what_an_agent_tells_is_passed_on_by_the_name_that_the_supervisor_knows(world):
    async def scene() -> None:
        await world.describe("a")
        held = await world.start()
        name = name_of(held)
        assert name != "run"
        for event in (Began(name, "as process 7"), Sent(name, Begun()), Over(name, EXITED)):
            world.hears("a", event)
        held.ends.set_result(None)
        await turn()
        assert world.of_runs() == [Began("run", "as process 7"), Sent("run", Begun()), Over("run", EXITED)]

    play(world, scene)


@pytest.mark.parametrize(
    ("has_begun", "error", "verdict"),
    [
        (False, ray.exceptions.WorkerCrashedError(), Fate.NOT_STARTED),
        (True, ray.exceptions.WorkerCrashedError(), Fate.LOST),
        (True, ray.exceptions.OutOfMemoryError("x"), Shortage),
    ],
)
def test_a_holder_that_fails_ends_its_run(world, has_begun, error, verdict):
    async def scene() -> None:
        await world.describe("a")
        held = await world.start()
        if has_begun:
            world.hears("a", Began(name_of(held), ""))
        held.ends.set_exception(error)
        await turn()
        over = world.of_runs()[-1]
        assert isinstance(over, Over)
        assert over.run == "run"
        assert over.end.verdict is verdict or (isinstance(over.end.verdict, Shortage) and over.end.verdict.is_of_memory)

    play(world, scene)


def test_an_agent_that_tells_no_end_has_lost_the_run(world):
    async def scene() -> None:
        await world.describe("a")
        held = await world.start()
        world.hears("a", Began(name_of(held), ""))
        held.ends.set_result(None)
        await turn()
        assert world.of_runs()[-1] == Over("run", Ended("its agent told no end", Fate.LOST))

    play(world, scene)


def test_orders_reach_the_node_of_the_run(world):
    async def scene() -> None:
        await world.describe("a", "b")
        held = await world.start()
        world.hears("b", Began(name_of(held), ""))
        for order in (Order.CANCEL, Order.SUSPEND):
            world.runs.obey(Ordered("run", order))
        world.runs.obey(Ordered("another", Order.CANCEL))
        world.runs.obey(Alive())
        assert world.nodes["b"].orders == [(name_of(held), Order.CANCEL), (name_of(held), Order.SUSPEND)]
        assert not world.nodes["a"].orders

    play(world, scene)


@pytest.mark.parametrize("has_begun", [True, False])
def test_a_killed_run_ends_though_its_node_says_nothing(world, has_begun):
    async def scene() -> None:
        await world.describe("a")
        held = await world.start()
        if has_begun:
            world.hears("a", Began(name_of(held), ""))
        for _ in range(2):
            world.runs.obey(Ordered("run", Order.KILL))
        await turn()
        assert world.nodes["a"].orders == [(name_of(held), Order.KILL)] * 2 * has_begun
        assert held.is_cancelled
        assert world.of_runs()[-1] == Over("run", Ended("it was killed", Fate.LOST))
        held.ends.set_exception(ray.exceptions.TaskCancelledError())
        await turn()
        assert [type(event) for event in world.of_runs()].count(Over) == 1

    play(world, scene)


def test_a_killed_run_that_has_ended_frees_its_worker_for_others(world):
    async def scene() -> None:
        await world.describe("a")
        held = await world.start()
        world.hears("a", Began(name_of(held), ""))
        world.runs.obey(Ordered("run", Order.KILL))
        world.hears("a", Over(name_of(held), EXITED))
        await turn()
        assert not held.is_cancelled

    play(world, scene)


def test_a_run_that_was_given_up_is_killed_where_it_runs(world):
    async def scene() -> None:
        await world.describe("a")
        for event in (Began("gone", ""), Sent("gone", Begun()), Over("gone", EXITED)):
            world.hears("a", event)
        assert world.nodes["a"].orders == [("gone", Order.KILL)] * 2
        assert not world.of_runs()

    play(world, scene)


def test_runs_of_a_dead_node_are_lost_and_others_are_not(world):
    async def scene() -> None:
        await world.describe("a", "b")
        held = {node: await world.start(f"on {node}") for node in "ab"}
        for node in "ab":
            world.hears(node, Began(name_of(held[node]), ""))
        await world.describe("b")
        assert world.nodes["a"].dropped == "node host-a (a) is dead"
        assert held["a"].is_cancelled
        assert not held["b"].is_cancelled
        assert world.of_runs()[2:] == [Over("on a", Ended("node host-a (a) is dead", Fate.LOST))]

    play(world, scene)


def test_runs_that_end_while_no_head_answers_are_excused(world, monkeypatch):
    monkeypatch.setattr(module, "HEAD_PATIENCE_S", 1.0)

    async def scene() -> None:
        await world.describe("a")
        held = await world.start()
        world.hears("a", Began(name_of(held), ""))
        world.ray.answers.clear()
        while not world.clusters()[-1].trouble:
            await asyncio.sleep(0.001)
        assert world.clusters()[-1].trouble == "the head of the Ray cluster at 127.0.0.1:1 does not answer"
        world.nodes["a"].drop("it does not answer")
        assert world.of_runs()[-1] == Over("run", Ended("it does not answer", Fate.EXCUSED))
        world.ray.answers.set()
        while world.clusters()[-1].trouble:
            await asyncio.sleep(0.001)

    play(world, scene)


def test_a_run_that_waits_is_placed_again_when_other_nodes_can_be_used(world):
    async def scene() -> None:
        await world.describe("a", "b")
        world.nodes["a"].is_usable = False
        first = await world.start()
        assert first.options["label_selector"] == {"ray.io/node-id": "!in(a)"}
        world.nodes["a"].is_usable = True
        await world.describe("a", "b")
        second = world.ray.held[-1]
        assert second.options["label_selector"] is None
        assert first.is_cancelled
        assert name_of(second) != name_of(first)
        first.ends.set_exception(ray.exceptions.TaskCancelledError())
        world.hears("a", Began(name_of(first), ""))  # it had begun meanwhile
        assert world.nodes["a"].orders == [(name_of(first), Order.KILL)]
        world.hears("a", Began(name_of(second), "there"))
        await world.describe("a")
        await turn()
        assert world.of_runs() == [Began("run", "there")]
        assert world.ray.held == [first, second]

    play(world, scene)


def test_the_supervisor_is_told_what_can_be_used_and_else_why_not(world):
    async def scene() -> None:
        await world.describe("a", "b", cpus=3)
        assert world.clusters()[-1] == Cluster(6, 3, 2)
        world.nodes["a"].is_usable, world.nodes["a"].trouble = False, "no memory"
        await world.describe("a", "b", cpus=3)
        assert world.clusters()[-1] == Cluster(3, 3, 1)
        world.nodes["b"].is_usable = False
        await world.describe("a", "b", cpus=3)
        assert world.clusters()[-1] == Cluster(0, 0, 0, "no memory")

    play(world, scene)


def test_nodes_without_processors_get_no_agents(world):
    async def scene() -> None:
        await world.describe("a", cpus=0)
        assert not world.nodes
        assert world.clusters()[-1] == Cluster(0, 0, 0)

    play(world, scene)


def test_each_start_of_a_run_is_told_apart(world):
    async def scene() -> None:
        held = [await world.start(f"run-{number}") for number in range(3)]
        assert len({name_of(each) for each in held}) == 3
        spec = replace(SPEC, id="other")
        world.runs.obey(Start("run-3", spec, 1))
        assert world.ray.held[-1].options["name"] == "qiosk-other"

    play(world, scene)
