"""Servers of one database notice that their secrets differ."""

from __future__ import annotations

import pytest

from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.sharing import SqlLinkSecrets
from qiosk.errors import Conflict, ServiceUnavailable
from qiosk.service.blobs.link_secret import ANNOUNCE_S, LAPSE, LinkSecret, fingerprint
from qiosk.testing import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def server(database: Database, clock: ManualClock):
    """Makes what a server knows of its secret."""
    return lambda secret: LinkSecret(secret, SqlLinkSecrets(database), clock)


def test_servers_with_one_secret_are_content(server, clock):
    servers = [server(b"one secret") for _ in range(3)]
    for _ in range(10):
        for each in servers:
            each.check()
        clock.sleep(ANNOUNCE_S)


def test_a_server_that_comes_with_another_secret_is_told_so(server, clock):
    first, second, other = server(b"a secret"), server(b"a secret"), server(b"another one")
    first.check()
    clock.sleep(1.0)
    for _ in range(10):
        first.check()
        with pytest.raises(Conflict, match="QIOSK_SECRET_KEY to the same value"):
            other.check()
        second.check()
        clock.sleep(ANNOUNCE_S)


def test_a_secret_that_no_server_uses_any_more_is_forgotten(server, clock):
    server(b"old").check()
    new = server(b"new")
    with pytest.raises(Conflict):
        new.check()
    for _ in range(int(LAPSE.total_seconds() / ANNOUNCE_S)):
        clock.sleep(ANNOUNCE_S)
        with pytest.raises(Conflict):
            new.check()
    clock.sleep(ANNOUNCE_S)
    new.check()
    with pytest.raises(Conflict):
        server(b"old").check()


def test_the_last_answer_counts_while_the_database_does_not_respond(clock):
    class Gone:
        is_gone = False

        def announce(self, *_: object) -> bool:
            if self.is_gone:
                raise ServiceUnavailable("database: gone")
            return True

    notes = Gone()
    server = LinkSecret(b"secret", notes, clock)
    for _ in range(2):
        with pytest.raises(Conflict):
            server.check()
        clock.sleep(ANNOUNCE_S)
        notes.is_gone = True


def test_fingerprints_tell_secrets_apart():
    assert fingerprint(b"a") != fingerprint(b"b")
    assert len(fingerprint(b"a")) == 16
