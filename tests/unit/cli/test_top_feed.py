"""What the live table reads, and how little of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from fake_jobs import START, FakeJobs
from qiosk.cli.top import feed as module
from qiosk.cli.top.feed import MOST_POINTS, Feed
from qiosk.cli.top.rows import Snapshot
from qiosk.contract.jobs import JobProgress, JobStatus, SubmitJob, TracePoint
from qiosk.contract.logs import LogLine
from qiosk.errors import ServiceUnavailable


class CountedJobs(FakeJobs):
    """Jobs in memory that count what is asked of them, and fail if they are told to."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []
        self.failure: Exception | None = None

    def page(self, *given: Any, **members: Any) -> Any:
        if self.failure is not None:
            raise self.failure
        return super().page(*given, **members)

    def trace(self, job_id: str, after: int = 0) -> Sequence[TracePoint]:
        self.calls.append(("trace", job_id, after))
        return super().trace(job_id, after)


@pytest.fixture
def api() -> CountedJobs:
    return CountedJobs()


def queue(api: FakeJobs, job_id: str) -> str:
    target = "microsoft.paralleltempering.cpu"
    return api.submit(SubmitJob(name=job_id, provider_id="Microsoft", target=target, input_data=b"{}", id=job_id)).id


def start(api: FakeJobs, job_id: str, *costs: float) -> None:
    api.traces[job_id] = [TracePoint(float(k), k, cost) for k, cost in enumerate(costs)]
    progress = JobProgress(best_cost=costs[-1] if costs else None)
    api.change(job_id, status=JobStatus.EXECUTING, begin_execution_time=START, progress=progress)


def states(found: Snapshot) -> dict[str, str]:
    return {view.id: str(view.status) for view in found.views}


def test_jobs_appear_run_and_stay_when_they_have_ended(api: CountedJobs) -> None:
    api.finish(queue(api, "old"), JobStatus.SUCCEEDED)
    feed = Feed(api)
    assert states(feed.read()) == {}
    queue(api, "a")
    assert states(feed.read()) == {"a": "Waiting"}
    start(api, "a")
    assert states(feed.read()) == {"a": "Executing"}
    api.finish("a", JobStatus.FAILED)
    assert states(feed.read()) == states(feed.read()) == {"a": "Failed"}
    queue(api, "b")
    api.delete("a")
    assert states(feed.read()) == {"a": "Failed", "b": "Waiting"}
    api.delete("b")
    assert states(feed.read()) == {"a": "Failed"}


def test_a_job_that_ended_between_two_readings_is_shown(api: CountedJobs) -> None:
    feed = Feed(api)
    assert states(feed.read()) == {}
    api.finish(queue(api, "quick"), JobStatus.SUCCEEDED)
    assert states(feed.read()) == {"quick": "Succeeded"}
    api.finish(queue(api, "quick too"), JobStatus.SUCCEEDED)
    assert states(feed.read()) == states(feed.read()) == {"quick": "Succeeded", "quick too": "Succeeded"}


def test_jobs_that_had_ended_before_are_shown_only_if_they_are_wanted(api: CountedJobs) -> None:
    for k in range(3):
        api.finish(queue(api, f"old {k}"), JobStatus.SUCCEEDED)
    queue(api, "a")
    assert states(Feed(api).read()) == {"a": "Waiting"}
    assert sorted(states(Feed(api, has_recent=True).read())) == ["a", "old 0", "old 1", "old 2"]


def test_a_job_that_waits_again_is_no_job_that_ended(api: CountedJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(api)
    start(api, queue(api, "a"))
    feed.read()
    monkeypatch.setattr(api, "page", lambda query, **_: FakeJobs().page(query))  # it moves while it is looked for
    api.change("a", status=JobStatus.WAITING)
    assert states(feed.read()) == {"a": "Waiting"}


def test_traces_are_read_only_of_shown_jobs_whose_cost_has_changed_and_from_where_they_were_read_to(
    api: CountedJobs,
) -> None:
    feed = Feed(api)
    for job_id in ("a", "b"):
        start(api, queue(api, job_id), 3.0, 2.0)
    assert feed.read().traces == {}
    found = feed.read(["a", "no such job"])
    assert [point.cost for point in found.traces["a"]] == [3.0, 2.0]
    feed.read(["a"])
    start(api, "a", 3.0, 2.0, 1.0)
    assert [point.cost for point in feed.read(["a"]).traces["a"]] == [3.0, 2.0, 1.0]
    assert api.calls == [("trace", "a", 0), ("trace", "a", 2)]
    api.change("a", attempts=2)
    api.traces["a"] = api.traces["a"][:1]
    assert [point.cost for point in feed.read(["a"]).traces["a"]] == [3.0]
    assert [point.cost for point in feed.read([], "b").traces["b"]] == [3.0, 2.0]


def test_of_a_long_trace_the_first_and_the_last_points_are_kept(api: CountedJobs) -> None:
    costs = [-float(k) for k in range(10 * MOST_POINTS)]
    start(api, queue(api, "a"), *costs)
    feed = Feed(api)
    feed.read()
    points = feed.read(["a"]).traces["a"]
    assert len(points) <= MOST_POINTS
    assert (points[0].cost, points[-1].cost) == (costs[0], costs[-1])
    start(api, "a", *costs, -1e9)
    assert feed.read(["a"]).traces["a"][-1].cost == -1e9
    assert api.calls[-1] == ("trace", "a", len(costs))


def test_the_log_is_read_of_the_opened_job_and_from_where_it_was_read_to(api: CountedJobs) -> None:
    queue(api, "a")
    feed = Feed(api)
    api.logs = [LogLine(time=START, level="INFO", text=f"{k}", position=k) for k in range(1, 300)]
    assert feed.read().log == ()
    found = feed.read([], "a")
    assert (found.log_of, found.log[-1].text, len(found.log)) == ("a", "299", module.MOST_LINES)
    api.logs.append(LogLine(time=START, level="INFO", text="new", position=300))
    assert [line.text for line in feed.read([], "a").log[-2:]] == ["299", "new"]
    api.delete("a")
    feed.read([], "a")
    assert feed.read().log == ()


def test_a_server_that_is_away_loses_nothing(api: CountedJobs) -> None:
    start(api, queue(api, "a"))
    feed = Feed(api)
    api.failure = ServiceUnavailable("server x did not respond")
    with pytest.raises(ServiceUnavailable):
        feed.read()
    api.failure = None
    feed.read()
    api.failure = ServiceUnavailable("server x did not respond")
    with pytest.raises(ServiceUnavailable):
        feed.read()
    api.failure = None
    api.finish("a", JobStatus.SUCCEEDED)
    api.finish(queue(api, "meanwhile"), JobStatus.SUCCEEDED)
    assert states(feed.read()) == {"a": "Succeeded", "meanwhile": "Succeeded"}


def test_of_many_jobs_the_oldest_are_read_and_of_those_that_ended_the_latest_are_kept(
    api: CountedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ACTIVE", 4)
    monkeypatch.setattr(module, "MOST_ENDED", 2)
    monkeypatch.setattr(module, "MOST_ASKED", 3)
    feed = Feed(api)
    for k in range(4):
        queue(api, f"{k}")
    assert not feed.read().is_cut
    queue(api, "4")
    assert feed.read().is_cut
    for k in range(5):
        api.finish(f"{k}", JobStatus.SUCCEEDED, end_execution_time=START + timedelta(minutes=k))
    for _ in range(3):
        found = feed.read()
    assert states(found) == {"3": "Succeeded", "4": "Succeeded"}


def test_a_job_is_cancelled(api: CountedJobs) -> None:
    feed = Feed(api)
    queue(api, "a")
    assert feed.cancel("a").status == "Cancelled"
