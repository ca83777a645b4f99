"""A supervisor's second thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from patience import eventually
from qiosk.contract.sessions import OpenSession, SessionStatus
from qiosk.errors import ServiceUnavailable
from qiosk.machine import SystemClock
from qiosk.service.sessions.session import TIMEOUT
from qiosk.service.sessions.session_service import define_session
from qiosk.supervisor.housekeeping import Housekeeping
from qiosk.testing import MemoryBlobStore, MemoryJobStore, MemorySessionStore


class Place:
    """Stores with a session that nobody looks at."""

    def __init__(self) -> None:
        self.jobs = MemoryJobStore()
        self.sessions = MemorySessionStore(self.jobs)
        self.blobs_of_all = MemoryBlobStore()
        self.looks = 0
        self.checkpoints = 0
        command = OpenSession(name="a", provider_id="m", target="t")
        at = SystemClock().now() - TIMEOUT
        self.sessions.add(define_session("s", command, workspace="w", at=at))

    def workspaces(self) -> Sequence[str]:
        self.looks += 1
        return ("w",)

    def checkpoint(self) -> None:
        self.checkpoints += 1

    def blobs(self, workspace: str) -> MemoryBlobStore:
        return self.blobs_of_all

    def keep(self, retention: timedelta | None = None, sessions: object = None) -> Housekeeping:
        return Housekeeping(
            jobs=self.jobs,
            sessions=sessions or self.sessions,
            storage=self,
            checkpoint=self.checkpoint,
            clock=SystemClock(),
            retention=retention,
            sweep_s=0.001,
            first_prune_s=0.0,
        )


def status(place: Place) -> SessionStatus:
    return place.sessions.get(("w", "s")).status


def test_sessions_time_out_though_nobody_looks():
    place = Place()
    with place.keep():
        assert eventually(lambda: status(place) is SessionStatus.TIMED_OUT)
    assert place.looks == 0


def test_what_is_old_goes_if_there_is_a_policy():
    place = Place()
    ended = replace(place.sessions.get(("w", "s")), status=SessionStatus.SUCCEEDED, ended_at=SystemClock().now())
    assert place.sessions.swap(ended, expected=place.sessions.get(("w", "s")))
    with place.keep(timedelta(0)):
        assert eventually(lambda: not place.sessions._sessions)
    assert place.looks == 1


class Flaky:
    """A session store that cannot be reached at first."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.failures = 3

    def due(self, *arguments: object, **more: object) -> object:
        if self.failures:
            self.failures -= 1
            raise ServiceUnavailable("database: it is away")
        return self.place.sessions.due(*arguments, **more)

    def __getattr__(self, name: str) -> object:
        return getattr(self.place.sessions, name)


def test_a_store_that_is_away_is_asked_again_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture):
    place = Place()
    with place.keep(sessions=Flaky(place)):
        assert eventually(lambda: status(place) is SessionStatus.TIMED_OUT)
    assert [record.getMessage() for record in caplog.records] == ["housekeeping: database: it is away"]


def test_the_database_is_brought_to_rest_again_and_again() -> None:
    place = Place()
    with place.keep():
        assert eventually(lambda: place.checkpoints >= 2)
