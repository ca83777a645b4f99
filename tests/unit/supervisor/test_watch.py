"""Which supervisors look at the claims of others: few of them at a time, and always some."""

from __future__ import annotations

import pytest

from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.sharing import SqlWatchers
from qiosk.service.ports import Watcher
from qiosk.supervisor.watch import SEAT_LEASE_S, SEATS, WRITE_S, Watch

MANY = 8


@pytest.fixture
def seats(database: Database) -> SqlWatchers:
    return SqlWatchers(database)


def made(seats: SqlWatchers, count: int) -> list[Watch]:
    return [Watch(seats, f"home{number}/w") for number in range(count)]


def look(watches: list[Watch], now: float) -> list[int]:
    """Which of them have seats, after each has looked."""
    return [number for number, watch in enumerate(watches) if watch.has_seat(now)]


def test_a_seat_is_given_to_one_of_several_and_kept_by_it_alone(seats):
    assert seats.sit(1, "a", None)
    assert not seats.sit(1, "b", None)
    assert seats.all() == [Watcher(1, "a", 0)]
    assert seats.sit(1, "a", 0)
    assert not seats.sit(1, "b", 0), "it has written since"
    assert not seats.sit(0, "b", 5), "there is no such seat"
    assert seats.sit(1, "b", 1)
    assert seats.all() == [Watcher(1, "b", 2)]
    seats.leave("a")
    assert seats.all() == [Watcher(1, "b", 2)]
    seats.leave("b")
    assert not seats.all()


def test_without_seats_every_supervisor_looks():
    watch = Watch(None, "home/w")
    assert watch.has_seat(0.0)
    assert not watch.is_undecided()
    watch.leave()


@pytest.mark.parametrize("count", range(1, SEATS + 1))
def test_few_supervisors_all_look(seats, count):
    watches = made(seats, count)
    for second in range(100):
        assert look(watches, float(second)) == list(range(count))


def test_of_many_supervisors_some_look_and_remain_the_same(seats):
    watches = made(seats, MANY)
    for second in range(100):
        assert look(watches, float(second)) == list(range(SEATS))
    assert not any(watch.is_undecided() for watch in watches)


def test_a_seat_is_written_to_now_and_then_only(seats):
    watches = made(seats, SEATS)
    for second in range(100):
        look(watches, float(second))
    assert [each.revision for each in seats.all()] == [pytest.approx(99 / WRITE_S, abs=2)] * SEATS


def test_a_seat_that_is_left_is_taken_at_the_next_look(seats):
    watches = made(seats, MANY)
    look(watches, 0.0)
    watches[0].leave()
    assert look(watches[1:], 1.0) == [0, 1, 2]


def test_seats_of_dead_supervisors_are_taken_after_a_while(seats):
    watches = made(seats, MANY)
    for second in range(int(WRITE_S) + 2):
        look(watches, float(second))
    living, last = watches[SEATS:], 1.0 + WRITE_S  # they took their seats at 0.0, and wrote to them one later
    for second in range(1, int(SEAT_LEASE_S)):
        assert look(living, last + second) == []
    assert all(watch.is_undecided() for watch in living), "none must go before another one looks"
    assert len(look(living, last + SEAT_LEASE_S)) >= 1
    assert len(look(living, last + SEAT_LEASE_S + 1)) == SEATS


def test_a_supervisor_that_was_paused_finds_its_seat_taken(seats):
    watches = made(seats, MANY)
    look(watches, 0.0)
    for second in range(1, int(SEAT_LEASE_S) + 3):
        look(watches[1:], float(second))
    assert 0 not in look(watches, SEAT_LEASE_S + 3)
    assert len(seats.all()) == SEATS


def test_a_supervisor_that_did_not_look_does_not_count_that_time(seats):
    watches = made(seats, SEATS + 1)
    look(watches, 0.0)
    assert not watches[-1].has_seat(3600.0)
    watches[-1].forget()
    assert not watches[-1].has_seat(3601.0)


def test_a_supervisor_without_a_seat_knows_when_it_may_leave(seats):
    watches = made(seats, SEATS + 1)
    look(watches, 0.0)
    assert watches[-1].is_undecided(), "it has seen no sign of life yet"
    look(watches, 1.0)
    assert not watches[-1].is_undecided()
