"""What every executor does with a run: processes of this machine, and a Ray cluster."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from job_specs import a_spec
from patience import HANG_S, eventually
from qiosk.adapters.blobs.local import LocalStorage
from qiosk.contract.jobs import ErrorData
from qiosk.service.jobs.job import BlobRef
from qiosk.service.jobs.runs import Begun, JobSpec, RunOutcome, RunUpdate, Shortage, Suspended
from qiosk.settings import Settings
from qiosk.supervisor.executor import Ended, Executor, Fate, Message, Run
from qiosk.supervisor.executors import open_executor
from ray_clusters import ray_cluster

TESTS = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the fake runners look into /proc"),
    pytest.mark.slow,
]

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


@dataclass
class Watched:
    """A run, and all that it has sent."""

    run: Run
    sent: list[Message] = field(default_factory=list)
    end: Ended | None = None

    def look(self) -> None:
        if self.end is None:
            has_ended = self.run.has_ended()
            self.sent.extend(self.run.messages())
            self.end = self.run.end() if has_ended else None


class World:
    """An executor, and the storage of its runs."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.storage = LocalStorage(folder)
        self.executor: Executor = open_executor(settings, folder.as_uri(), "fake_runners:run")
        self.runs: list[Watched] = []
        self._number = 0

    def spec(self, order: dict, **members) -> JobSpec:
        self._number += 1
        container = f"job-{self._number}"
        ref = BlobRef(container, "inputData")
        self.storage.blobs("w").put(ref, json.dumps(order).encode())
        given = {"workspace": "w", "id": f"j{self._number}", "container": container, "input": ref, "threads": 1}
        return a_spec(**{**given, **members})

    def start(self, order: dict, **members) -> Watched:
        """Start a run, as soon as the executor can."""
        assert self.until(lambda: not self.executor.trouble()), self.executor.trouble()
        assert self.until(self._may_start)
        watched = Watched(self.executor.start(self.spec(order, **members)))
        self.runs.append(watched)
        return watched

    def _may_start(self) -> bool:
        return sum(watched.run.is_starting for watched in self.runs) < self.executor.starts_at_once

    def until(self, is_so: Callable[[], bool]) -> bool:
        """Whether something becomes true while the runs are looked after."""

        def step() -> bool:
            for watched in self.runs:
                watched.look()
            if is_so():
                return True
            sources = [*self.executor.wait_on(), *(source for watched in self.runs for source in watched.run.wait_on())]
            wait(list(dict.fromkeys(sources)), timeout=0.05) if sources else time.sleep(0.01)
            return False

        return eventually(step)

    def ended(self, watched: Watched) -> Ended:
        assert self.until(lambda: watched.end is not None)
        assert watched.end is not None
        assert watched.end.verdict is not Fate.NOT_STARTED, watched.end.reason
        return watched.end

    def result(self, watched: Watched) -> dict:
        outcome = watched.sent[-1]
        assert isinstance(outcome, RunOutcome), watched.sent[-1]
        return json.loads(
            self.storage.blobs("w").get(BlobRef(f"job-{self.runs.index(watched) + 1}", outcome.output_blob))
        )

    def close(self) -> None:
        for watched in self.runs:
            watched.run.close()
        self.executor.close()


@pytest.fixture(scope="module")
def ray_address(tmp_path_factory) -> Iterator[str]:
    with ray_cluster(tmp_path_factory.mktemp("ray"), 2, 2) as cluster:
        yield cluster.address


@pytest.fixture(scope="module", params=["local", pytest.param("ray", marks=needs_ray)])
def world(request, tmp_path_factory) -> Iterator[World]:
    settings = Settings(home=Path("/h"), executor=request.param, memory_limit=800_000_000)
    folder = tmp_path_factory.mktemp("storage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        if request.param == "ray":
            address = request.getfixturevalue("ray_address")
            settings = Settings(home=Path("/h"), executor="ray", ray_address=address, memory_limit=800_000_000)
        world = World(folder, settings)
        yield world
        world.close()


def test_a_run_sends_its_updates_in_order_and_ends_with_results(world: World) -> None:
    watched = world.start({"chunks": 30})
    end = world.ended(watched)
    assert watched.sent[0] == RunUpdate(), "it lives"
    assert Begun() in watched.sent
    costs = [m.progress.best_cost for m in watched.sent if isinstance(m, RunUpdate) and m.progress is not None]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == -30
    result = world.result(watched)
    assert (result["cost"], result["threads"]) == (-30, 1)
    assert str(result["pid"]) in watched.run.place
    assert result["pid"] != os.getpid()
    assert end.reason == "exit status 0"
    assert list(watched.run.messages()) == []


def test_a_cancelled_run_keeps_its_best(world: World) -> None:
    watched = world.start({"chunks": 100_000})
    assert world.until(lambda: any(isinstance(m, RunUpdate) and m.progress for m in watched.sent))
    watched.run.cancel()
    world.ended(watched)
    outcome = watched.sent[-1]
    assert isinstance(outcome, RunOutcome)
    assert outcome.stop_reason == "cancelled"
    assert world.result(watched)["cost"] < 0


def test_a_suspended_run_leaves_a_checkpoint_from_which_another_goes_on(world: World) -> None:
    watched = world.start({"chunks": 300})
    assert world.until(lambda: any(isinstance(m, RunUpdate) and m.progress for m in watched.sent))
    watched.run.suspend()
    world.ended(watched)
    assert watched.sent[-1] == Suspended()
    blob = next(m.checkpoint_blob for m in reversed(watched.sent) if isinstance(m, RunUpdate) and m.checkpoint_blob)
    container = f"job-{world.runs.index(watched) + 1}"
    data = world.storage.blobs("w").get(BlobRef(container, blob))
    later = world.start({"chunks": 300})
    number = world.runs.index(later) + 1
    later.run.kill()
    world.ended(later)
    world.storage.blobs("w").put(BlobRef(f"job-{number + 1}", "checkpoint-x"), data)
    resumed = world.start({"chunks": 300}, checkpoint_blob="checkpoint-x")
    world.ended(resumed)
    assert world.result(resumed)["resumed"] == int(data) > 0


def test_a_killed_run_ends_without_an_outcome(world: World) -> None:
    watched = world.start({"do": "hang"})
    assert world.until(lambda: Begun() in watched.sent)
    watched.run.kill()
    assert world.ended(watched).verdict is Fate.LOST
    assert not any(isinstance(m, RunOutcome | ErrorData | Suspended) for m in watched.sent)


def test_a_run_that_is_killed_while_it_starts_never_begins(world: World) -> None:
    watched = world.start({"do": "hang"})
    watched.run.kill()
    world.ended(watched)
    assert not any(isinstance(m, RunOutcome) for m in watched.sent)


def test_a_crash_is_the_fault_of_the_job(world: World) -> None:
    watched = world.start({"do": "segfault"})
    end = world.ended(watched)
    assert isinstance(end.verdict, ErrorData)
    assert "SIGSEGV" in end.reason


def test_a_process_that_others_kill_was_lost(world: World) -> None:
    watched = world.start({"do": "killed_always"})
    end = world.ended(watched)
    assert (end.verdict, end.reason) == (Fate.LOST, "signal SIGKILL")


def test_errors_of_a_solver_and_shortages_are_messages(world: World, tmp_path: Path) -> None:
    refused, short = world.start({"do": "refuse"}), world.start({"do": "short_once", "marker": str(tmp_path / "m")})
    world.ended(refused)
    world.ended(short)
    assert isinstance(refused.sent[-1], ErrorData)
    assert isinstance(short.sent[-1], Shortage)


def test_memory_is_limited(world: World) -> None:
    watched = world.start({"do": "allocate", "bytes": 2_000_000_000})
    world.ended(watched)
    error = watched.sent[-1]
    assert isinstance(error, ErrorData)
    assert error.code == "InsufficientResources"


def test_many_runs_each_get_their_own_messages(world: World) -> None:
    many = [world.start({"chunks": n}) for n in range(1, 13)]
    for watched in many:
        world.ended(watched)
    assert [world.result(watched)["cost"] for watched in many] == [-n for n in range(1, 13)]


def test_there_are_slots_and_every_run_gets_its_share_of_the_threads(world: World) -> None:
    assert world.until(lambda: world.executor.slots() >= 1)
    assert world.executor.threads(1) >= world.executor.threads(1000) == 1


def test_a_closed_executor_leaves_no_process(world: World, tmp_path: Path) -> None:
    other = World(tmp_path, Settings(home=Path("/h"), executor="local", memory_limit=800_000_000))
    watched = other.start({"do": "hang"})
    assert other.until(lambda: Begun() in watched.sent)
    pid = int(watched.run.place.split()[2])
    other.close()
    assert eventually(lambda: not Path(f"/proc/{pid}").exists()), f"the process lives after {HANG_S} s"
