"""Members at the same time: lost ones run again, and all stop when one has found enough or the caller cancels."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from qiosk.cluster.versions import Versions, call_if_same, own_versions
from qiosk.contract.jobs import JobProgress
from qiosk.errors import InvalidValue, MissingExtra, ServiceUnavailable
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.members import at_once as module
from qiosk.solvers.members.at_once import MOST_RERUNS, AtOnce, LostMember
from qiosk.solvers.result import Result
from qiosk.solvers.setup import job_setup
from qiosk.solvers.solve import solve
from strategies import cost_function

PAIR = cost_function("ising", [(1.0, [0, 1])])
FINISHED = job_setup("microsoft.tabu.cpu", {"params": {"sweeps": 10, "seed": 1}}, 1).run(PAIR, Hooks())
LOST = LostMember("the node died")


def ended_for(reason: str) -> Result:
    """A result of a run that ended for this reason."""
    return replace(FINISHED, statistics={**FINISHED.statistics, "stop_reason": reason})


@dataclass
class FakeTasks:
    """Tasks that end as the test says, each run of a member by the next of its ``ends``; without one it goes on.

    One that is to stop ends with ``at_stop``, or never.
    """

    ends: dict[int, list[Result | Exception]]
    at_stop: Result | Exception | None = None
    started: list[int] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)

    def start(self, index: int) -> None:
        self.started.append(index)

    def ended(self, running: Iterable[int], seconds: float) -> Sequence[int]:
        assert seconds > 0
        return [index for index in running if self.ends.get(index)][:1]

    def result(self, index: int) -> Result:
        end = self.ends[index].pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    def stop(self, index: int) -> None:
        self.stopped.append(index)
        if self.at_stop is not None:
            self.ends[index] = [self.at_stop]

    def kill(self, index: int) -> None:
        self.killed.append(index)


def run(tasks: FakeTasks, nodes: int, hooks: Hooks | None = None) -> AtOnce:
    members = AtOnce(nodes, tasks, hooks or Hooks())
    members.run()
    return members


def test_all_members_run():
    told: list[JobProgress] = []
    tasks = FakeTasks({0: [FINISHED], 1: [FINISHED], 2: [FINISHED]})
    members = run(tasks, 3, Hooks(on_progress=told.append))
    assert sorted(members.found) == tasks.started == [0, 1, 2]
    assert (tasks.stopped, tasks.killed, members.was_cancelled) == ([], [], False)
    assert [each.fraction for each in told] == pytest.approx([1 / 3, 2 / 3, 1])
    assert told[-1].best_cost == FINISHED.cost


def test_a_lost_member_runs_again():
    tasks = FakeTasks({0: [FINISHED], 1: [LOST, LOST, FINISHED]})
    assert sorted(run(tasks, 2).found) == [0, 1]
    assert tasks.started == [0, 1, 1, 1]


def test_a_member_that_is_always_lost_ends_the_solve():
    tasks = FakeTasks({0: [LOST] * (MOST_RERUNS + 1)})
    with pytest.raises(ServiceUnavailable, match="member 0: was lost 5 times, at last: the node died"):
        run(tasks, 2)
    assert tasks.started == [0, 1, 0, 0, 0, 0]
    assert tasks.killed == [1]


def test_what_a_solver_raises_ends_the_solve():
    tasks = FakeTasks({1: [InvalidValue("parameter `sweeps`: must be positive, found 0")]})
    with pytest.raises(InvalidValue, match="sweeps"):
        run(tasks, 3)
    assert sorted(tasks.killed) == [0, 2]


@pytest.mark.parametrize("reason", ["optimal", "gap", "target"])
def test_a_member_that_finds_enough_stops_the_others(reason):
    tasks = FakeTasks({1: [ended_for(reason)]}, at_stop=ended_for("cancelled"))
    members = run(tasks, 3)
    assert sorted(tasks.stopped) == [0, 2]
    assert {index: result.stop_reason for index, result in members.found.items()} == {
        0: "cancelled",
        1: reason,
        2: "cancelled",
    }
    assert (tasks.killed, members.was_cancelled) == ([], False)


def test_a_caller_who_cancels_gets_what_the_members_have():
    tasks = FakeTasks({0: [FINISHED]}, at_stop=ended_for("cancelled"))
    members = run(tasks, 3, Hooks(is_cancelled=lambda: bool(tasks.started)))
    assert members.was_cancelled
    assert sorted(members.found) == [0, 1, 2]


def test_members_that_are_lost_while_they_stop_do_not_run_again():
    tasks = FakeTasks({0: [ended_for("target")]}, at_stop=LOST)
    assert sorted(run(tasks, 3).found) == [0]
    assert tasks.started == [0, 1, 2]


def test_members_that_do_not_stop_are_killed(monkeypatch):
    monkeypatch.setattr(module, "GRACE_S", 0.0)
    tasks = FakeTasks({0: [ended_for("target")]})
    assert sorted(run(tasks, 2).found) == [0]
    assert tasks.killed == [1]


def test_an_interrupt_kills_all():
    def interrupt(progress: JobProgress) -> None:
        raise KeyboardInterrupt

    tasks = FakeTasks({0: [FINISHED]})
    with pytest.raises(KeyboardInterrupt):
        run(tasks, 3, Hooks(on_progress=interrupt))
    assert sorted(tasks.killed) == [1, 2]


def test_without_ray_an_address_is_refused(monkeypatch):
    monkeypatch.delitem(sys.modules, "qiosk.solvers.members.on_ray", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'qiosk\[ray\]'"):
        solve(PAIR, ray_address="auto")


def test_a_function_is_called_only_where_versions_are_the_same():
    assert call_if_same(own_versions(), "math:sqrt", 4.0) == ("", 2.0)
    refusal, result = call_if_same(Versions("0.0.1", "3.11"), "math:sqrt", 4.0)
    assert refusal.endswith(f"has {own_versions()}")
    assert result is None
