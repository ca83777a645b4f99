"""The pages of administrators."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from pages import HTML, Page, send, sign_in, visit
from qiosk.contract.quotas import Dimension
from qiosk.service.accounts.keys import KeyService
from servers import MemoryParts

ADMIN = "/ui/admin"


def key_of(memory: MemoryParts, **members: Any) -> str:
    return KeyService(memory.keys, memory.clock).create("tester", **{"workspace": None, **members})[1]


def a_key(**members: str) -> dict[str, str]:
    return {"name": "new", "scope": "write", "workspace": "a/b/c", "expires": "", **members}


def test_the_administrator_makes_a_key_that_is_shown_once(http: httpx.Client, memory: MemoryParts) -> None:
    sign_in(http, key_of(memory))
    answer = send(http, f"{ADMIN}/keys", visit(http, ADMIN), **a_key(expires="90d"))
    text = re.search(r"qk_\w+_[\w-]+", answer.text)
    assert text is not None
    assert answer.headers["cache-control"] == "no-store"
    principal = memory.parts.authenticator.authenticate(text[0])
    assert (principal.workspace, principal.is_read_only) == ("a/b/c", False)
    assert principal.expires_at is not None
    page = visit(http, ADMIN)
    assert "new" in page.text
    assert text[0] not in page.source


@pytest.mark.parametrize(
    ("scope", "workspace", "is_read_only"),
    [("read", "a/b/c", True), ("admin", None, False), ("admin-read", None, True), ("write", "a/b/c", False)],
)
def test_a_key_may_what_was_chosen(
    http: httpx.Client, memory: MemoryParts, scope: str, workspace: str | None, is_read_only: bool
) -> None:
    sign_in(http, key_of(memory))
    send(http, f"{ADMIN}/keys", visit(http, ADMIN), **a_key(scope=scope))
    made = next(key for key in memory.parts.keys.list() if key.name == "new")
    assert (made.workspace, made.is_read_only) == (workspace, is_read_only)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"name": ""}, "name"),
        ({"expires": "soon"}, "expiry"),
        ({"workspace": "only-one"}, "workspace"),
        ({"scope": "all"}, "scope"),
    ],
)
def test_what_is_wrong_about_a_key_is_said_and_what_was_given_is_kept(
    http: httpx.Client, memory: MemoryParts, wrong: dict[str, str], word: str
) -> None:
    sign_in(http, key_of(memory))
    answer = send(http, f"{ADMIN}/keys", visit(http, ADMIN), **a_key(**wrong))
    assert answer.status_code == 400
    assert word in Page(answer.text).text
    assert len(memory.parts.keys.list()) == 1
    kept = Page(answer.text).fields
    assert kept["name"][0] == a_key(**wrong)["name"]


def test_the_administrator_revokes_a_key(http: httpx.Client, memory: MemoryParts) -> None:
    sign_in(http, key_of(memory))
    other, _ = memory.parts.keys.create("other")
    send(http, f"{ADMIN}/keys/{other.id}/revoke", visit(http, ADMIN))
    assert memory.keys.get(other.id).revoked_at is not None
    assert send(http, f"{ADMIN}/keys/unknown/revoke", visit(http, ADMIN)).status_code == 404


def test_the_administrator_sets_limits(http: httpx.Client, memory: MemoryParts) -> None:
    sign_in(http, key_of(memory))
    page = visit(http, ADMIN)
    given = {"workspace": "a/b/c", "dimension": "queued_jobs"}
    send(http, f"{ADMIN}/limits", page, limit="7", **given)
    assert memory.limits.all() == {"a/b/c": {Dimension.QUEUED_JOBS: 7}}
    assert "Waiting jobs: 7" in visit(http, ADMIN).text
    send(http, f"{ADMIN}/limits", page, limit="unlimited", **given)
    assert memory.limits.all() == {"a/b/c": {Dimension.QUEUED_JOBS: None}}
    answer = send(http, f"{ADMIN}/limits", page, limit="many", **given)
    assert answer.status_code == 400
    assert "must be a number" in answer.text
    send(http, f"{ADMIN}/limits", page, limit="default", **given)
    assert not memory.limits.all().get("a/b/c")


@pytest.mark.parametrize("members", [{"workspace": "a/b/c"}, {"is_read_only": True}])
def test_others_see_and_change_nothing(http: httpx.Client, memory: MemoryParts, members: dict[str, Any]) -> None:
    sign_in(http, key_of(memory, **members))
    page = visit(http, "/ui/w/a/b/c/jobs")
    assert ADMIN not in page.links
    visit(http, ADMIN, status=403)
    assert send(http, f"{ADMIN}/keys", page, **a_key(scope="admin")).status_code == 403
    assert len(memory.parts.keys.list()) == 1


def test_a_server_without_keys_makes_none_for_anybody(http: httpx.Client, memory: MemoryParts) -> None:
    page = visit(http, "/ui/w/default/jobs")
    assert ADMIN not in page.links
    assert "qiosk keys create" in visit(http, ADMIN, status=403).text
    assert send(http, f"{ADMIN}/keys", page, **a_key()).status_code == 403
    assert not memory.parts.keys.list()
    assert http.get(ADMIN, headers={**HTML, "authorization": "Bearer anything"}).status_code == 403
