"""Live updates: what a follower is told, and what one that comes back."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest

from qiosk.contract.jobs import JobProgress, SubmitJob, TracePoint
from qiosk.errors import JobNotFound
from qiosk.server.auth.access import Access
from qiosk.server.routes import changes, events
from qiosk.server.routes.changes import Changes
from qiosk.server.routes.events import Follower
from qiosk.server.settings import ServerSettings
from qiosk.service.jobs.attempts import claim_next
from qiosk.service.jobs.job import JobEvent, JobKey
from qiosk.service.jobs.runs import RunUpdate
from servers import WORKSPACE, MemoryParts, serving

KEY = "abc-1/group/mine"
POINTS = [TracePoint(0.5 * place, place, -float(place)) for place in range(5)]


class Running:
    """A job that runs, and is written to by hand."""

    def __init__(self) -> None:
        self.memory = MemoryParts()
        command = SubmitJob(id="j", name="n", provider_id="Microsoft", target="microsoft.tabu.cpu", input_data=b"{}")
        self.memory.jobs(KEY).submit(command)
        self.store, self.clock = self.memory.store, self.memory.clock
        self.claim()

    def claim(self) -> None:
        claim_next(self.store, self.clock, worker="w")

    def lose(self) -> None:
        job = self.job()
        self.store.swap(job.on(JobEvent.LOSE, at=self.clock.now()), expected=job)

    def job(self):
        return self.store.get(JobKey(KEY, "j"))

    def find(self, start: int, points: list[TracePoint]) -> None:
        progress = JobProgress(sweeps=start + len(points), best_cost=points[-1].cost)
        update = RunUpdate(progress=progress, trace=points, trace_start=start)
        assert self.store.record(JobKey(KEY, "j"), self.job().fence, update, lease_expires_at=self.clock.now())

    def end(self) -> None:
        job = self.job()
        self.store.swap(job.on(JobEvent.SUCCEED, at=self.clock.now(), output_blob="rawOutputData"), expected=job)

    def follower(self, known: int = 0) -> Follower:
        return Follower(Access(KEY, self.memory.parts, ServerSettings(), "http://h"), "j", known=known)


@pytest.fixture
def running() -> Running:
    return Running()


def seen(event) -> tuple[int, list[TracePoint]]:
    return event.trace_start, list(event.new_trace)


def test_a_follower_is_told_what_is_new(running: Running) -> None:
    follower = running.follower()
    assert seen(follower.poll()) == (0, [])
    assert follower.poll() is None
    running.find(0, POINTS[:2])
    assert seen(follower.poll()) == (0, POINTS[:2])
    running.find(2, POINTS[2:3])
    assert seen(follower.poll()) == (2, POINTS[2:3])
    assert follower.event_id.partition(".")[0] == "3"


def test_one_who_comes_back_goes_on_where_it_was(running: Running) -> None:
    running.find(0, POINTS)
    assert seen(running.follower(known=3).poll()) == (3, POINTS[3:])
    assert seen(running.follower(known=5).poll()) == (5, [])


def test_a_run_that_begins_anew_begins_its_trace_anew(running: Running) -> None:
    running.find(0, POINTS)
    follower = running.follower()
    follower.poll()
    running.lose()
    running.claim()
    other = TracePoint(9.0, 9, -9.0)
    running.find(1, [other])
    assert seen(follower.poll()) == (0, [POINTS[0], other])
    assert seen(running.follower(known=5).poll()) == (0, [POINTS[0], other])


def test_one_who_comes_back_is_told_of_a_run_that_began_anew(running: Running) -> None:
    running.find(0, POINTS)
    anew = [*POINTS[:2], *(TracePoint(9.0 + place, place, -float(place)) for place in range(2, 6))]

    def come_back(last_event_id: str) -> tuple[str, int, list]:
        with serving(running.memory.parts) as http:
            text = http.get(f"{WORKSPACE}/jobs/j/events", headers={"last-event-id": last_event_id}).text
        _, event_id, data = text.split("\n\n")[1].split("\n")
        document = json.loads(data.removeprefix("data: "))
        return event_id.removeprefix("id: "), document["traceStart"], document["trace"]

    follower = running.follower()
    follower.poll()
    early = running.follower(known=5)  # it came back before the run began anew
    early.poll()
    running.lose()
    running.claim()
    running.find(0, anew)
    running.end()
    assert seen(early.poll()) == (0, anew)
    said, start, trace = come_back(follower.event_id)
    assert (start, len(trace)) == (0, len(anew))
    assert come_back(said) == (said, len(anew), [])
    assert come_back("5")[1] == 5  # without a mark, what is there is what is known


def test_unknown_jobs_are_not_followed(running: Running) -> None:
    with serving(running.memory.parts) as http:
        assert http.get(f"{WORKSPACE}/jobs/other/events").status_code == 404
        refused = http.get(f"{WORKSPACE}/jobs/j/events", headers={"last-event-id": "x"})
    assert refused.json()["error"]["code"] == "InvalidFilter"


def test_the_stream_ends_with_the_job(running: Running) -> None:
    running.find(0, POINTS)
    running.end()
    with serving(running.memory.parts) as http:
        response = http.get(f"{WORKSPACE}/jobs/j/events", headers={"last-event-id": "3"})
    assert response.headers["content-type"].startswith("text/event-stream")
    retry, event, rest = response.text.split("\n\n")
    assert (retry, rest) == ("retry: 1000", "")
    kind, number, data = event.split("\n")
    assert (kind, number.partition(".")[0]) == ("event: update", "id: 5")
    document = json.loads(data.removeprefix("data: "))
    assert document["job"]["status"] == "Succeeded"
    assert (document["traceStart"], document["trace"]) == (3, [[1.5, 3, -3.0], [2.0, 4, -4.0]])


async def collect(running: Running, changes: Changes, meanwhile) -> list[str]:
    """The kinds of what a stream says while ``meanwhile`` runs."""
    follower = running.follower()
    stream = events._events(follower, follower.poll(), changes)
    task = asyncio.create_task(meanwhile())
    said = [piece.decode() async for piece in stream]
    await task
    return said


def test_every_state_is_told_and_nothing_is_missed(running: Running) -> None:
    async def meanwhile() -> None:
        for place, point in enumerate(POINTS):
            running.find(place, [point])
            if place % 2:
                await asyncio.sleep(0.01)
        running.end()

    async def main() -> list[str]:
        return await collect(running, Changes(running.store.version), meanwhile)

    said = asyncio.run(main())
    updates = [json.loads(text.split("data: ")[1]) for text in said if text.startswith("event: update")]
    assert [update["job"]["status"] for update in updates][-1] == "Succeeded"
    known: list[list[float]] = []
    for update in updates:
        known[update["traceStart"] :] = update["trace"]
    assert len(known) == len(POINTS)
    assert len(updates) < 2 + len(POINTS)  # changes that follow each other at once come together


def test_an_end_does_not_wait_for_the_pace_of_updates(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PACE_S", 3600.0)

    async def meanwhile() -> None:
        running.find(0, POINTS[:2])
        await asyncio.sleep(0.05)
        running.end()

    async def main() -> list[str]:
        return await collect(running, Changes(running.store.version), meanwhile)

    last = json.loads(asyncio.run(main())[-1].split("data: ")[1])
    assert last["job"]["status"] == "Succeeded"
    assert len(last["trace"]) + last["traceStart"] == 2


def test_updates_that_come_early_are_told_later(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PACE_S", 0.2)
    told: list[str] = []

    async def main() -> None:
        changes = Changes(running.store.version)
        follower = running.follower()
        first = follower.poll()
        running.find(0, POINTS[:1])  # nothing happens after this
        async for piece in events._events(follower, first, changes):
            told.append(piece.decode())
            if len(told) == 3:
                changes.stop()

    asyncio.run(main())
    assert json.loads(told[2].split("data: ")[1])["trace"] == [[0.0, 0, 0.0]]


def test_a_stream_is_never_silent_for_long(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PING_S", 0.05)
    other = SubmitJob(name="n", provider_id="Microsoft", target="microsoft.tabu.cpu", input_data=b"{}")
    told: list[str] = []

    async def submit_others() -> None:
        while True:
            running.memory.jobs(KEY).submit(other)
            await asyncio.sleep(0.01)

    async def main() -> None:
        changes = Changes(running.store.version)
        task = asyncio.create_task(submit_others())
        follower = running.follower()
        async for piece in events._events(follower, follower.poll(), changes):
            told.append(piece.decode())
            if len(told) == 5:
                changes.stop()
        task.cancel()

    asyncio.run(main())
    assert told[2:] == [": ping\n\n"] * 3


def test_streams_end_when_the_server_does(running: Running) -> None:
    async def main() -> list[str]:
        changes = Changes(running.store.version)

        async def meanwhile() -> None:
            await asyncio.sleep(0.05)
            changes.stop()

        return await collect(running, changes, meanwhile)

    assert asyncio.run(main())[0].startswith("retry")


def test_a_job_that_is_purged_ends_its_stream_with_an_error(running: Running) -> None:
    async def meanwhile() -> None:
        await asyncio.sleep(0.05)
        running.store.delete(JobKey(KEY, "j"))

    async def main() -> list[str]:
        return await collect(running, Changes(running.store.version), meanwhile)

    last = asyncio.run(main())[-1]
    assert last.startswith("event: error")
    assert "JobNotFound" in last


def test_followers_go_on_when_the_store_does_not_answer_once(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qiosk.server.routes.changes.ERROR_PAUSE_S", 0.01)
    troubles = iter([OSError("gone")])

    def version() -> int:
        for trouble in troubles:
            raise trouble
        return running.store.version()

    async def meanwhile() -> None:
        await asyncio.sleep(0.05)
        running.end()

    async def main() -> list[str]:
        return await collect(running, Changes(version), meanwhile)

    assert "Succeeded" in asyncio.run(main())[-1]


def test_a_store_that_answers_slowly_is_read_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now: list[float] = [0.0]
    pauses: list[float] = []
    took = iter([0.0, 0.004, 10.0])
    is_over = asyncio.Event()

    def version() -> int:
        now[0] += next(took)
        return 1

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            is_over.set()
            await asyncio.Event().wait()

    async def main() -> None:
        async with Changes(version).followed():
            await is_over.wait()

    monkeypatch.setattr(changes, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(changes.asyncio, "sleep", sleep)
    asyncio.run(main())
    assert pauses == [changes.POLL_S[0], pytest.approx(changes.PAUSES * 0.004), changes.POLL_S[1]]


def test_a_follower_of_nothing_learns_so() -> None:
    memory = MemoryParts()
    with pytest.raises(JobNotFound):
        Follower(Access(KEY, memory.parts, ServerSettings(), "http://h"), "j", known=0).poll()
