"""Who may do what."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.errors import Forbidden, InvalidValue, KeyNotFound, ServiceUnavailable, Unauthorized
from qiosk.service.accounts.keys import ANYBODY, CACHE_S, FIRST_KEY_S, Authenticator, KeyService, Principal, digest
from qiosk.testing import ManualClock, MemoryKeyStore


class Door:
    """Keys, and whoever looks at them."""

    def __init__(self, *, admin_key: str | None = None) -> None:
        self.clock = ManualClock()
        self.store = MemoryKeyStore()
        self.keys = KeyService(self.store, self.clock)
        self.authenticator = Authenticator(self.store, self.clock, admin_key=admin_key)

    def opens(self, text: str | None) -> bool:
        try:
            self.authenticator.authenticate(text)
        except Unauthorized:
            return False
        return True


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.mark.parametrize("credential", [None, "", "anything", "qk_1_2"])
def test_everybody_may_do_everything_until_there_is_a_key(door, credential):
    assert door.authenticator.authenticate(credential) is ANYBODY
    key, text = door.keys.create("first")
    door.clock.sleep(FIRST_KEY_S)
    assert not door.opens(credential)
    door.keys.revoke(key.id)
    door.clock.sleep(CACHE_S)
    assert not door.opens(credential)  # nor after the last key is gone
    assert not door.opens(text)


def test_nobody_is_let_in_before_the_store_has_said_that_there_is_no_key(door, monkeypatch):
    door.keys.create("first")
    asked = []

    def is_empty():
        asked.append(len(asked))
        if len(asked) == 1:  # another request arrives while the first look is still under way
            assert not door.opens(None)
        return False

    monkeypatch.setattr(door.store, "is_empty", is_empty)
    assert not door.opens(None)
    assert asked == [0, 1]


def test_nobody_is_let_in_while_the_store_cannot_say_whether_there_is_a_key(door, monkeypatch):
    door.keys.create("first")

    def is_empty():
        raise ServiceUnavailable("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(door.store, "is_empty", is_empty)
        for _ in range(3):
            with pytest.raises(ServiceUnavailable):
                door.authenticator.authenticate(None)
    assert not door.opens(None)


def test_a_key_belongs_to_its_workspace(door):
    key, text = door.keys.create("laptop", workspace="S/G/W", is_read_only=True)
    principal = door.authenticator.authenticate(text)
    assert (principal.name, principal.workspace, principal.is_read_only) == ("laptop", "s/g/w", True)
    assert text.startswith(f"qk_{key.id}_")
    assert key.digest == digest(text)
    assert text not in repr(key)


def test_two_keys_differ_and_one_does_not_open_with_the_others_secret(door):
    (one, first), (two, second) = door.keys.create("a"), door.keys.create("b")
    assert first != second
    assert not door.opens(f"qk_{one.id}_{second.split('_', 2)[2]}")
    assert door.opens(first)
    assert [key.id for key in door.keys.list()] == [key.id for key in sorted((one, two), key=lambda k: k.id)]


@pytest.mark.parametrize(
    "credential", [None, "", "qk", "qk_", "qk__", "qk_x", "qk_x_", "qk_é_y", "\ud800", "x" * 10**6]
)
def test_what_is_no_key_opens_nothing(credential):
    door = Door(admin_key="secret")
    assert not door.opens(credential)


@given(credential=st.text())
def test_no_text_breaks_the_door(credential):
    assert not Door(admin_key="the secret of an administrator").opens(credential)


def test_the_administrators_key_opens_everything():
    principal = Door(admin_key="secret").authenticator.authenticate("secret")
    assert principal.is_administrator
    assert principal.may("any", write=True)


def test_a_revoked_key_is_refused_within_seconds(door):
    key, text = door.keys.create("a")
    assert door.opens(text)
    assert door.keys.revoke(key.id).revoked_at == door.clock.now()
    door.clock.sleep(CACHE_S)
    assert not door.opens(text)
    first = door.keys.revoke(key.id).revoked_at
    assert first == door.clock.now() - timedelta(seconds=CACHE_S)


def test_a_key_expires_to_the_second_also_one_that_was_just_used(door):
    _, text = door.keys.create("a", expires_at=door.clock.now() + timedelta(seconds=2))
    assert door.opens(text)
    door.clock.sleep(1.5)
    assert door.opens(text)
    door.clock.sleep(0.5)
    assert not door.opens(text)


@pytest.mark.parametrize(
    ("principal", "workspace", "write", "allowed"),
    [
        (Principal(name="a", workspace="w"), "w", True, True),
        (Principal(name="a", workspace="w"), "v", False, False),
        (Principal(name="a", workspace="w", is_read_only=True), "w", False, True),
        (Principal(name="a", workspace="w", is_read_only=True), "w", True, False),
        (Principal(name="a", is_read_only=True), "w", True, False),
        (Principal(name="a"), "w", True, True),
    ],
)
def test_a_principal_may_what_its_key_says(principal, workspace, write, allowed):
    assert principal.may(workspace, write=write) is allowed
    if allowed:
        principal.require(workspace, write=write)
    else:
        with pytest.raises(Forbidden, match="this credential is for"):
            principal.require(workspace, write=write)


@pytest.mark.parametrize(
    ("name", "members", "message"),
    [
        ("", {}, "name: must be 1 to 200 printable characters"),
        ("a\nb", {}, "name: must be"),
        ("x" * 201, {}, "name: must be"),
        ("\ud800", {}, "name: must be"),
        ("a", {"workspace": ""}, "workspace: must be"),
        ("a", {"workspace": "x" * 1001}, "workspace: must have at most 1000 bytes, found 1001"),
    ],
)
def test_a_wrong_key_is_not_made(door, name, members, message):
    with pytest.raises(InvalidValue, match=message):
        door.keys.create(name, **members)
    with pytest.raises(InvalidValue, match="expiry: must lie in the future"):
        door.keys.create("a", expires_at=door.clock.now())
    assert not door.keys.list()


def test_keys_are_listed_by_workspace(door):
    for name, workspace in [("a", "one"), ("b", "two"), ("c", None)]:
        door.clock.sleep(1)
        door.keys.create(name, workspace=workspace)
    assert [key.name for key in door.keys.list()] == ["a", "b", "c"]
    assert [key.name for key in door.keys.list("TWO")] == ["b"]
    with pytest.raises(KeyNotFound, match="API key nope was not found"):
        door.keys.revoke("nope")
