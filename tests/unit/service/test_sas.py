"""Signatures open what they were made for, while they last, and nothing else."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qiosk.errors import Forbidden
from qiosk.service.blobs.sas import PERMISSIONS, Grant, sign, verify

SECRET = b"s" * 32
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
GRANT = Grant(
    workspace="sub/group/name", container="job-1", blob=None, permissions="racwl", until=NOW + timedelta(hours=1)
)
BLOB = replace(GRANT, blob="a/ü b.json", permissions="r")


def in_order(letters):
    return "".join(sorted(letters, key=PERMISSIONS.index))


names = st.text(min_size=1, max_size=30)
grants = st.builds(
    Grant,
    workspace=names,
    container=names,
    blob=st.none() | names,
    permissions=st.sets(st.sampled_from(PERMISSIONS), min_size=1).map(
        lambda s: "".join(sorted(s, key=PERMISSIONS.index))
    ),
    until=st.just(GRANT.until),
    since=st.none() | st.just(NOW - timedelta(days=1)),
)


def opened(query, grant, *, now=NOW, container=None, blob=None, secret=SECRET):
    pairs = parse_qsl(query, keep_blank_values=True) if isinstance(query, str) else query
    return verify(secret, pairs, container=container or grant.container, blob=blob or grant.blob, now=now)


@given(grant=grants, more=st.lists(st.tuples(st.sampled_from(["comp", "restype", "timeout"]), names)), data=st.data())
def test_a_signature_gives_what_was_granted(grant, more, data):
    pairs = data.draw(st.permutations(parse_qsl(sign(SECRET, grant), keep_blank_values=True) + more))
    assert opened(parse_qsl(urlencode(pairs), keep_blank_values=True), grant) == grant


def test_a_containers_signature_opens_all_its_blobs():
    query = sign(SECRET, GRANT)
    assert opened(query, GRANT, blob="any").permissions == "racwl"
    with pytest.raises(Forbidden):
        opened(query, GRANT, container="job-2")


def test_a_blobs_signature_opens_that_blob_alone():
    query = sign(SECRET, BLOB)
    assert opened(query, BLOB).allows("r")
    assert not opened(query, BLOB).allows("cw")
    for place in ({"blob": "a/ü b.jso"}, {"container": "job-2"}):
        with pytest.raises(Forbidden, match="does not match"):
            opened(query, BLOB, **place)
    with pytest.raises(Forbidden, match="does not match"):
        verify(SECRET, parse_qsl(query), container=BLOB.container, blob=None, now=NOW)


def test_text_does_not_run_from_one_member_into_the_next():
    query = sign(SECRET, replace(BLOB, container="a", blob="b/c"))
    with pytest.raises(Forbidden):
        opened(query, BLOB, container="a/b", blob="c")


def test_time():
    grant = replace(GRANT, since=NOW)
    query = sign(SECRET, grant)
    assert opened(query, grant, now=NOW)
    assert opened(query, grant, now=grant.until)
    with pytest.raises(Forbidden, match="has expired at 2026-03-04T06:06:07Z"):
        opened(query, grant, now=grant.until + timedelta(seconds=1))
    with pytest.raises(Forbidden, match="is not valid before"):
        opened(query, grant, now=NOW - timedelta(seconds=1))


def test_another_secret_makes_another_signature():
    with pytest.raises(Forbidden):
        opened(sign(b"t" * 32, GRANT), GRANT)


@pytest.mark.parametrize("missing", ["sv", "se", "sr", "sp", "si", "sig"])
def test_every_member_is_needed(missing):
    pairs = [(name, value) for name, value in parse_qsl(sign(SECRET, GRANT)) if name != missing]
    with pytest.raises(Forbidden, match=f"'{missing}' is missing"):
        opened(pairs, GRANT)


@pytest.mark.parametrize("twice", ["se", "sp", "sig"])
def test_no_member_may_be_given_twice(twice):
    pairs = parse_qsl(sign(SECRET, GRANT))
    with pytest.raises(Forbidden, match="given twice"):
        opened([*pairs, (twice, dict(pairs)[twice])], GRANT)


@given(member=st.sampled_from(["sv", "st", "se", "sr", "sp", "si", "sig"]), value=st.text(max_size=40))
def test_no_member_can_be_changed(member, value):
    pairs = dict(parse_qsl(sign(SECRET, GRANT)))
    assume(pairs.get(member) != value)
    with pytest.raises(Forbidden):
        opened({**pairs, member: value}.items(), GRANT)


def test_another_workspace_cannot_be_named():
    other = base64.urlsafe_b64encode(b"sub/group/other").decode().rstrip("=")
    with pytest.raises(Forbidden, match="does not match"):
        opened({**dict(parse_qsl(sign(SECRET, GRANT))), "si": other}.items(), GRANT)


def test_messages_do_not_tell_the_right_signature():
    right = dict(parse_qsl(sign(SECRET, GRANT)))["sig"]
    with pytest.raises(Forbidden) as caught:
        opened({**dict(parse_qsl(sign(SECRET, GRANT))), "sig": "wrong"}.items(), GRANT)
    assert right not in str(caught.value)
