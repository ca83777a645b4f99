"""Conditions written as text are understood, or refused with a reason."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qiosk.contract.items import ItemQuery, ItemType
from qiosk.contract.jobs import JobQuery, JobStatus
from qiosk.contract.paging import ItemOrder
from qiosk.errors import InvalidFilter
from qiosk.service.filters import MAX_CHOICES, MAX_FILTER, check_query, item_query, job_query, to_job_query


@pytest.mark.parametrize("text", [None, "", "   "])
def test_no_filter_finds_everything_newest_first(text):
    assert item_query(text, text) == ItemQuery()
    assert job_query(text, text) == JobQuery()


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("startswith(Name, 'abc')", {"name_prefix": "abc"}),
        ("startswith(Name, '')", {"name_prefix": ""}),
        ("STARTSWITH( name ,'a b' )", {"name_prefix": "a b"}),
        ("startswith(Name, 'it's')", {"name_prefix": "it's"}),
        ("startswith(Name, 'it''s')", {"name_prefix": "it's"}),
        ("startswith(Name, 'f('x') and g')", {"name_prefix": "f('x') and g"}),
        ("startswith(Name, '(JobType eq ')", {"name_prefix": "(JobType eq "}),
        ("startswith(Name, 'a') and b')", {"name_prefix": "a') and b"}),
        (
            "startswith(Name, 'it's (a)') and (State eq 'Failed')",
            {"name_prefix": "it's (a)", "statuses": ("Failed",)},
        ),
        ("startswith(Id, '7a1f')", {"id_prefix": "7a1f"}),
        (
            "startswith(Name, 'it's') and startswith(ID, '7a1f') and Tag eq 'a''b' and (tag eq 'C')",
            {"name_prefix": "it's", "id_prefix": "7a1f", "tags": ("a'b", "C")},
        ),
        ("startswith(Name, 'a') and Tag eq 'b'", {"name_prefix": "a", "tags": ("b",)}),
        ("(JobType eq 'A' or JobType eq 'B')", {"job_types": ("A", "B")}),
        ("(ItemType eq 'job')", {"item_types": (ItemType.JOB,)}),
        ("(ProviderId eq 'x' OR providerid EQ 'y''z')", {"provider_ids": ("x", "y'z")}),
        (
            "Target eq 't' and (State eq 'timedout' or State eq 'Failure(s)')",
            {"targets": ("t",), "statuses": ("TimedOut", "Failure(s)")},
        ),
        ("CreationTime ge 2023-06-01", {"created_after": datetime(2023, 6, 1, tzinfo=UTC)}),
        (
            "CreationTime le 2023-06-30",
            {"created_before": datetime(2023, 7, 1, tzinfo=UTC) - timedelta(microseconds=1)},
        ),
        (
            "CreationTime ge 2023-06-01CreationTime le 2023-06-30",  # as azure-quantum 3.13 writes it
            {
                "created_after": datetime(2023, 6, 1, tzinfo=UTC),
                "created_before": datetime(2023, 6, 30, 23, 59, 59, 999999, tzinfo=UTC),
            },
        ),
        ("(CreationTime ge '2023-06-01T02:00:00+02:00')", {"created_after": datetime(2023, 6, 1, tzinfo=UTC)}),
        ("CreationTime le 2023-06-01T10:00:00Z", {"created_before": datetime(2023, 6, 1, 10, tzinfo=UTC)}),
        ("CreationTime le 9999-12-31", {"created_before": datetime.max.replace(tzinfo=UTC)}),
    ],
)
def test_a_filter_says_which_items(text, members):
    assert item_query(text) == ItemQuery(**members)


def test_the_whole_filter_of_a_client_is_understood():
    text = (
        "startswith(Name, 'my') and (ItemType eq 'Job') and (JobType eq 'Optimization')"
        " and (ProviderId eq 'Microsoft' or ProviderId eq '1qbit') and (Target eq 'microsoft.tabu.cpu')"
        " and (State eq 'Succeeded' or State eq 'Completed')"
        " and CreationTime ge 2023-06-01 and CreationTime le 2023-06-30"
    )
    assert job_query(text, "Name desc", session_id="s") == JobQuery(
        name_prefix="my",
        statuses=(JobStatus.SUCCEEDED,),
        job_types=("Optimization",),
        provider_ids=("Microsoft", "1qbit"),
        targets=("microsoft.tabu.cpu",),
        created_after=datetime(2023, 6, 1, tzinfo=UTC),
        created_before=datetime(2023, 7, 1, tzinfo=UTC) - timedelta(microseconds=1),
        session_id="s",
        order_by=ItemOrder.NAME,
    )


@pytest.mark.parametrize(
    ("text", "order", "descending"),
    [
        ("CreationTime asc", ItemOrder.CREATION_TIME, False),
        ("name", ItemOrder.NAME, False),
        (" STATE  DESC ", ItemOrder.STATE, True),
        ("ItemType desc", ItemOrder.ITEM_TYPE, True),
    ],
)
def test_an_order_is_a_property_and_a_direction(text, order, descending):
    query = item_query(None, text)
    assert (query.order_by, query.descending) == (order, descending)


def test_a_query_for_sessions_alone_finds_no_job():
    assert to_job_query(ItemQuery(item_types=(ItemType.SESSION,))).statuses == ()
    assert to_job_query(ItemQuery(statuses=("TimedOut",))).statuses == ()
    assert to_job_query(ItemQuery(), is_top_level=True) == JobQuery(is_top_level=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "must have a condition such as State eq 'Failed' at character 0, found 'nonsense'"),
        ("startswith(Name, 'abc", "must have a prefix of Name that ends with ')"),
        ("(State eq 'Failed'", r"must have ')' or 'or' at character 18, found ''"),
        ("(State eq 'Failed' or Target eq 't')", "'or' must join values of one property, found State and Target"),
        ("State eq 'Failed' or State eq 'Waiting'", "must have 'and' and another condition at character 17"),
        ("State eq 'Failed' and ", "must have a condition"),
        ("State eq 'Odd'", "State must be one of Waiting, Executing, "),
        ("ItemType eq 'Odd'", "ItemType must be one of Job, Session, found 'Odd'"),
        ("Priority eq 'High'", "Priority cannot be compared by eq"),
        ("Name eq 'x'", "Name cannot be compared by eq"),
        ("State eq 'Failed' and State eq 'Waiting'", "at most one condition on State is allowed"),
        ("CreationTime ge 2023-13-01", "CreationTime must be an ISO 8601 date or time, found '2023-13-01'"),
        ("CreationTime ge 0001-01-01T00:00:00+14:00", "CreationTime must be"),
        ("(Tag eq 'a' or Tag eq 'b')", "'or' must not join tags"),
        ("(Tag eq 'a' or State eq 'Failed')", "'or' must join values of one property"),
        ("startswith(Id, 'a') and startswith(Id, 'b')", "at most one condition on Id is allowed"),
        ("startswith(Target, 'a')", "must have a condition"),
        ("SessionId eq 's'", "SessionId can be compared in lists of jobs only"),
        ("ParentId eq 'j'", "ParentId can be compared in lists of jobs only"),
        ("CreationTime gt 2023-01-01", "must have a condition"),
        ("startswith(Name, 'a\x00')", "must be valid Unicode without NUL"),
        ("startswith(Name, '\ud800')", "must be valid Unicode without NUL"),
        ("(" * 50 + "State eq 'Failed'" + ")" * 50, "must have a condition"),
        ("x" * (MAX_FILTER + 1), f"at most {MAX_FILTER} characters are allowed, found {MAX_FILTER + 1}"),
        (
            "(" + " or ".join(["Target eq ''"] * (MAX_CHOICES + 1)) + ")",
            f"at most {MAX_CHOICES} values, found {MAX_CHOICES + 1}",
        ),
    ],
    ids=lambda text: text[:30].encode("ascii", "replace").decode(),
)
def test_what_cannot_be_understood_is_refused(text, message):
    with pytest.raises(InvalidFilter) as caught:
        item_query(text)
    assert message in caught.value.message


@pytest.mark.parametrize("text", ["Odd", "Name down", "Name asc, State desc", "Name asc desc", "N" * 10_000])
def test_an_unknown_order_is_refused(text):
    with pytest.raises(InvalidFilter, match="orderby: "):
        item_query(None, text)


def test_a_list_of_jobs_is_of_one_session():
    assert job_query("SessionId eq 'S1'") == JobQuery(session_id="S1")
    assert job_query("SessionId eq 's' and Tag eq 't'", session_id="s") == JobQuery(session_id="s", tags=("t",))
    for text in ("SessionId eq 'other'", "(SessionId eq 's' or SessionId eq 't')"):
        with pytest.raises(InvalidFilter, match="SessionId may be compared with one value only"):
            job_query(text, session_id="s")


def test_a_list_of_jobs_has_one_parent():
    text = "startswith(Name, 'a') and ParentId eq 'J1' and SessionId eq 's'"
    assert job_query(text) == JobQuery(name_prefix="a", parent_id="J1", session_id="s")
    with pytest.raises(InvalidFilter, match="ParentId may be compared with one value only"):
        job_query("(parentid eq 'a' or ParentId eq 'b')")


@pytest.mark.parametrize("prefix", ["", "-a", "é", "a" * 101, "a\x7f"])
def test_no_store_is_asked_for_ids_that_cannot_be(prefix):
    with pytest.raises(InvalidFilter, match="id prefix: must be 1 to 100 letters, digits"):
        check_query(JobQuery(id_prefix=prefix))


PIECES = st.sampled_from(
    re.split(
        r"\|",
        "startswith(|Name|,|'|')|(|)|''|State|'Failed'|Target|CreationTime|2023-06-01|T10:00:00|+14:00|ItemType|'Job'|é"
        "| | and | or | eq | ge | le |\x00",
    )
)


@given(text=st.text() | st.lists(PIECES, max_size=30).map("".join), orderby=st.none() | st.text(max_size=30))
@example(text="startswith(Name, '" + "') and (State eq 'x" * 400, orderby=None)
@example(text="State eq '" + "''" * 4000, orderby=None)
def test_any_text_is_understood_or_refused(text, orderby):
    try:
        query = item_query(text, orderby)
    except InvalidFilter:
        return
    assert isinstance(to_job_query(query), JobQuery)


@given(
    name=st.text(st.characters(blacklist_characters="\x00", blacklist_categories=["Cs"]), max_size=40),
    states=st.lists(st.sampled_from(JobStatus), max_size=3, unique=True),
    after=st.none() | st.dates(),
)
def test_what_a_client_writes_is_read_back(name, states, after):
    clauses = [f"startswith(Name, '{name}')"]
    if states:
        clauses.append("(" + " or ".join(f"State eq '{state}'" for state in states) + ")")
    if after is not None:
        clauses.append(f"CreationTime ge {after.isoformat()}")
    query = job_query(" and ".join(clauses))
    if "')" not in name:  # else it may look as if it ended there
        assert query.name_prefix == name.replace("''", "'")
        assert list(query.statuses or ()) == states
        assert query.created_after == (after and datetime(after.year, after.month, after.day, tzinfo=UTC))
