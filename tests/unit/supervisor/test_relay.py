"""The relay of a node: what becomes of runs whose holders die, of orders, and of a node that is not asked any more."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from job_specs import a_spec
from patience import HANG_S, eventually
from qiosk.service.jobs.runs import Begun, JobSpec
from qiosk.supervisor.cluster.events import Began, Order, Over, RunEvent, Sent
from qiosk.supervisor.cluster.relay import Relay
from qiosk.supervisor.executor import Ended, Fate

SPEC = a_spec(threads=1)
KILLED = Ended("signal SIGKILL", Fate.LOST)


class FakeRun:
    """A run that lives at once, and ends when it is told to, or killed."""

    is_waiting = False
    activity = ""
    place = "as process 1 on alpha"

    def __init__(self) -> None:
        self.is_starting = False
        self.start_error: Exception | None = None
        self.asked: list[str] = []
        self.sent: list = []
        self.ended: Ended | None = None

    def wait_on(self):
        return ()

    def messages(self):
        while self.sent:
            yield self.sent.pop(0)

    def has_ended(self):
        return self.ended is not None

    def end(self):
        return self.ended

    def observe(self) -> None:
        self.asked.append("observe")

    def cancel(self) -> None:
        self.asked.append("cancel")

    def suspend(self) -> None:
        self.asked.append("suspend")

    def kill(self) -> None:
        self.asked.append("kill")
        self.ended = KILLED

    def close(self) -> None:
        self.asked.append("close")


class FakeExecutor:
    starts_at_once = 1
    shares_machine = True

    def __init__(self) -> None:
        self.runs: list[FakeRun] = []
        self.error: Exception | None = None
        self.is_slow = False
        self.is_closed = False

    def start(self, spec: JobSpec) -> FakeRun:
        if self.error is not None:
            raise self.error
        run = FakeRun()
        run.is_starting = self.is_slow
        self.runs.append(run)
        return run

    def close(self) -> None:
        self.is_closed = True


class World:
    def __init__(self) -> None:
        self.executor = FakeExecutor()
        self.events: list[RunEvent] = []
        self.is_deserted = False
        self.left = threading.Event()
        self.relay = Relay(self.executor, self.events.append, is_deserted=lambda: self.is_deserted, leave=self.left.set)

    def start(self, name: str, holder: int | None = None) -> None:
        self.relay.start(name, SPEC, os.getpid() if holder is None else holder)

    def running(self, name: str) -> FakeRun:
        count = len(self.executor.runs)
        self.start(name)
        assert eventually(lambda: any(isinstance(event, Began) and event.run == name for event in self.events))
        return self.executor.runs[count]

    def over(self, name: str) -> Ended:
        def found() -> list[Ended]:
            return [event.end for event in self.events if isinstance(event, Over) and event.run == name]

        assert eventually(lambda: bool(found()))
        assert len(found()) == 1
        return found()[0]


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.is_deserted = True
    assert world.left.wait(HANG_S)


def test_what_a_run_sends_is_told_in_order(world) -> None:
    run = world.running("a")
    run.sent.append(Begun())
    run.ended = Ended("exit status 0", Fate.LOST)
    world.relay.order("a", Order.CANCEL)
    world.over("a")
    assert world.events == [Began("a", run.place), Sent("a", Begun()), Over("a", run.ended)]
    assert run.asked.count("close") == 1


def test_a_run_ends_with_the_process_that_holds_its_resources(world) -> None:
    holder = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    world.start("a", holder.pid)
    assert eventually(lambda: bool(world.executor.runs))
    holder.kill()
    holder.wait()
    assert holder.stdin is not None
    holder.stdin.close()
    assert world.over("a") == KILLED
    assert world.executor.runs[0].asked.count("kill") == 1


def test_a_run_whose_holder_has_died_is_not_started(world) -> None:
    holder = subprocess.Popen([sys.executable, "-c", ""])
    holder.wait()
    world.start("a", holder.pid)
    assert world.over("a").verdict is Fate.LOST
    assert world.executor.runs == []


def test_orders_reach_their_runs_and_no_others(world) -> None:
    one, two = world.running("one"), world.running("two")
    for order in (Order.CANCEL, Order.SUSPEND):
        world.relay.order("one", order)
    world.relay.order("unknown", Order.KILL)
    world.relay.order("one", Order.KILL)
    assert world.over("one") == KILLED
    assert [asked for asked in one.asked if asked not in ("observe", "close")] == ["cancel", "suspend", "kill"]
    world.relay.order("one", Order.KILL)
    world.relay.order("two", Order.CANCEL)
    assert eventually(lambda: "cancel" in two.asked)
    assert "kill" not in two.asked


def test_what_cannot_be_started_is_told_and_others_go_on(world) -> None:
    world.executor.error = BlockingIOError("no more processes")
    world.start("a")
    end = world.over("a")
    assert (end.verdict, "no more processes" in end.reason) == (Fate.NOT_STARTED, True)
    world.executor.error = None
    world.running("b")


def test_one_run_is_started_at_a_time_and_one_that_waits_is_withdrawn(world) -> None:
    world.executor.is_slow = True
    for name in ("a", "b", "c"):
        world.start(name)
    world.relay.order("b", Order.KILL)
    assert world.over("b").verdict is Fate.LOST
    assert len(world.executor.runs) == 1
    world.executor.is_slow = False
    world.executor.runs[0].start_error = OSError("it did not")
    world.executor.runs[0].is_starting = False
    assert world.over("a").verdict is Fate.NOT_STARTED
    assert eventually(lambda: any(isinstance(event, Began) and event.run == "c" for event in world.events))
    assert len(world.executor.runs) == 2


def test_all_ends_when_it_is_deserted(world) -> None:
    world.running("a")
    world.is_deserted = True
    assert world.left.wait(HANG_S)
    assert world.executor.is_closed


def test_it_leaves_when_it_fails_itself(world) -> None:
    world.executor.error = ZeroDivisionError("a bug")
    world.start("a")
    assert world.left.wait(HANG_S)
