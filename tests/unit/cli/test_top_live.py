"""The loop of the live table, on a pseudo-terminal of this process."""

from __future__ import annotations

import os
import pty
import select
import termios
import threading
from collections.abc import Callable

import pytest

from fake_jobs import START, FakeJobs
from patience import HANG_S
from qiosk.cli.top import live
from qiosk.cli.top.feed import Feed
from qiosk.contract.jobs import JobStatus, JobView, SubmitJob
from qiosk.errors import ServiceUnavailable


class User:
    """Reads what the terminal shows, and presses keys when it shows something."""

    def __init__(self) -> None:
        self.end, self.program = pty.openpty()
        termios.tcsetwinsize(self.program, (10, 80))
        self.shown = ""
        self._has_left = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._plan: list[tuple[str, Callable[[], object] | str]] = []

    def when(self, text: str, do: Callable[[], object] | str) -> None:
        """Do this, or press these keys, when a text appears after what was awaited before it."""
        self._plan.append((text, do))

    def run(self, api: FakeJobs) -> list[str]:
        """Show the table until the plan ends it."""
        feed = Feed(api)
        self._thread.start()
        try:
            return live.run(feed, feed.read(), "here", interval_s=0.25, keys=self.program, screen=self.program)
        finally:
            self.close()

    def close(self) -> None:
        self._has_left.set()
        if self._thread.is_alive():
            self._thread.join(HANG_S)
        os.close(self.end)
        os.close(self.program)

    def _read(self) -> None:
        seen = ""
        while not self._has_left.is_set():
            if not select.select([self.end], [], [], 0.05)[0]:
                continue
            text = os.read(self.end, 65536).decode("utf-8", "replace")
            self.shown += text
            seen += text
            while self._plan and self._plan[0][0] in seen:
                awaited, do = self._plan.pop(0)
                seen = seen.partition(awaited)[2]
                if isinstance(do, str):
                    os.write(self.end, do.encode())
                else:
                    do()


@pytest.fixture
def user() -> User:
    return User()


@pytest.fixture
def api() -> FakeJobs:
    return FakeJobs()


def running(api: FakeJobs, job_id: str = "a") -> JobView:
    target = "microsoft.paralleltempering.cpu"
    api.submit(SubmitJob(name=job_id, provider_id="Microsoft", target=target, input_data=b"{}", id=job_id))
    api.change(job_id, status=JobStatus.EXECUTING, begin_execution_time=START)
    return api.get(job_id)


def test_a_job_that_is_cancelled_by_the_last_keys_is_cancelled(api: FakeJobs, user: User) -> None:
    running(api)
    user.when("Executing", "cyq")
    assert user.run(api) == []
    assert api.get("a").status == "Cancelled"


def test_a_cancellation_that_does_not_arrive_is_told_at_the_end(
    api: FakeJobs, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(api)
    monkeypatch.setattr(live, "LEAVE_S", 0.01)
    answered = threading.Event()
    monkeypatch.setattr(api, "cancel", lambda job_id: answered.wait(HANG_S))
    user.when("Executing", "cyq")
    assert user.run(api) == ["not cancelled: there was no answer"]
    answered.set()


def test_a_cancellation_that_fails_is_told_in_the_footer(
    api: FakeJobs, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(api)

    def refuse(job_id: str) -> JobView:
        raise ServiceUnavailable("server x did not respond")

    monkeypatch.setattr(api, "cancel", refuse)
    user.when("Executing", "cy")
    user.when("not cancelled: server x did not respond", "q")
    assert user.run(api) == []


def test_a_server_that_is_away_is_told_and_the_table_goes_on_when_it_is_back(
    api: FakeJobs, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(api)
    page = api.page

    def away(*given: object, **members: object) -> None:
        raise ServiceUnavailable("server x did not respond")

    user.when("Executing", lambda: monkeypatch.setattr(api, "page", away))
    user.when("server x did not respond", lambda: monkeypatch.setattr(api, "page", page))
    user.when("here, by state", "q")
    assert user.run(api) == []


def test_a_server_that_does_not_answer_is_told_before_it_fails(
    api: FakeJobs, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(api)
    page, answered = api.page, threading.Event()

    def slow(*given: object, **members: object) -> object:
        answered.wait(HANG_S)
        return page(*given, **members)

    monkeypatch.setattr(live, "SILENCE_S", 0.1)
    user.when("Executing", lambda: monkeypatch.setattr(api, "page", slow))
    user.when("waiting for it", answered.set)
    user.when("here, by state", "q")
    assert user.run(api) == []


def test_an_error_of_the_program_ends_the_loop(api: FakeJobs, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    running(api)
    settings = termios.tcgetattr(user.program)
    after: list[object] = []
    close = user.close
    monkeypatch.setattr(user, "close", lambda: (after.append(termios.tcgetattr(user.program)), close()))
    user.when("Executing", lambda: monkeypatch.setattr(api, "page", lambda *given, **members: 1 / 0))
    with pytest.raises(ZeroDivisionError):
        user.run(api)
    assert after == [settings]


def test_what_is_drawn_is_what_has_changed(api: FakeJobs, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = running(api)
    api.finish(job.id, JobStatus.SUCCEEDED)
    feed = Feed(api, has_recent=True)
    reads = []
    read = Feed.read

    def counted(self: Feed, *given: object) -> object:
        reads.append(given)
        if len(reads) == 4:
            os.write(user.end, b"q")
        return read(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Feed, "read", counted)
    user._thread.start()
    first = feed.read()
    live.run(feed, first, "here", interval_s=0.25, keys=user.program, screen=user.program)
    user.close()
    assert len(reads) >= 4
    assert user.shown.count("qiosk top") <= 2  # at the start, and perhaps with the key
