"""Hosts that share a PostgreSQL server go by its clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from qiosk.adapters.sql.databases.clock import MEASURE_S, DatabaseClock
from qiosk.errors import ServiceUnavailable
from qiosk.testing import ManualClock

DAY = timedelta(days=1)


@pytest.fixture
def host():
    """The clock of a host that is a day ahead."""
    return ManualClock(datetime.now(UTC) + DAY)


def server_time(database) -> datetime:
    with database.read() as connection:
        return connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()


def test_a_host_whose_clock_is_wrong_goes_by_the_servers(postgres, host):
    before = server_time(postgres)
    clock = DatabaseClock(postgres, host)
    assert before <= clock.now() <= server_time(postgres)
    assert clock.now().tzinfo is UTC
    first = clock.now()
    clock.sleep(MEASURE_S / 2)
    assert clock.now() == first + timedelta(seconds=MEASURE_S / 2), "it counts on by itself"
    clock.sleep(MEASURE_S / 2)
    assert first <= clock.now() <= server_time(postgres), "it has asked again"


def test_a_server_that_does_not_answer_changes_nothing(postgres, host, monkeypatch):
    clock = DatabaseClock(postgres, host)
    first = clock.now()

    def unreachable(_):
        raise ServiceUnavailable("database: no answer")

    monkeypatch.setattr(type(postgres), "read", unreachable)
    clock.sleep(MEASURE_S)
    assert clock.now() == first + timedelta(seconds=MEASURE_S)
    assert DatabaseClock(postgres, host).now() == host.now(), "there is no other time yet"
