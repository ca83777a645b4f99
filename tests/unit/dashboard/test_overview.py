"""The overview, the sessions and the quotas of a workspace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from pages import send, sign_in, visit
from qiosk.contract.quotas import UNLIMITED, Dimension, QuotaView
from qiosk.contract.sessions import OpenSession
from qiosk.dashboard.bars import HEIGHT, hourly_bars
from qiosk.dashboard.pages.quotas import quota_row
from qiosk.service.accounts.keys import KeyService
from qiosk.service.jobs.job import JobState
from qiosk.service.jobs.statistics import EndedJobs
from servers import MemoryParts

NOW = datetime(2026, 5, 1, 12, 40, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def memory() -> MemoryParts:
    return MemoryParts(**{Dimension.JOB_HOURS: 2.0})


def ended(hours_ago: float, state: JobState, jobs: int) -> EndedJobs:
    hour = (NOW - timedelta(hours=hours_ago)).replace(minute=0)
    return EndedJobs(hour, "t", state, jobs, jobs, 1.0, 1.0, 0)


def test_every_hour_has_a_bar_whose_pieces_make_up_its_jobs() -> None:
    rows = [ended(0, JobState.SUCCEEDED, 3), ended(0, JobState.FAILED, 1), ended(23, JobState.CANCELLED, 2)]
    bars = hourly_bars(rows, NOW, DAY)
    assert [bar.total for bar in bars.bars] == [2, *[0] * 22, 4]
    assert (bars.most, bars.total) == (4, 6)
    assert bars.bars[-1].hour == NOW.replace(minute=0)
    for bar in bars.bars:
        heights = sum(piece.height for piece in bar.pieces)
        assert heights == pytest.approx(HEIGHT * bar.total / bars.most)
        assert all(0 <= piece.y <= HEIGHT - piece.height + 1e-9 for piece in bar.pieces)


def test_without_jobs_the_bars_are_empty() -> None:
    bars = hourly_bars([], NOW, DAY)
    assert (len(bars.bars), bars.most, bars.total) == (24, 0, 0)


def test_the_overview_of_nothing_says_so(http: httpx.Client) -> None:
    text = visit(http, "/ui/w/default/overview").text
    assert "No job runs" in text
    assert "No job ended" in text


def test_the_overview_counts_its_own_workspace(http: httpx.Client, memory: MemoryParts) -> None:
    memory.submit("done")
    memory.submit("broken", {"do": "raise"})
    memory.run("default")
    memory.submit("waits")
    memory.submit("of others", workspace="a/b/c")
    page = visit(http, "/ui/w/default/overview")
    assert "broken" in page.text
    assert "of others" not in page.text
    assert "Waiting 1" in page.text
    assert "Failed 1" in page.text


def test_sessions_are_listed_filtered_and_closed(http: httpx.Client, memory: MemoryParts) -> None:
    sessions = memory.jobs("default").sessions
    opened = [
        sessions.open(OpenSession(name=name, provider_id="qiosk", target="qiosk.auto")) for name in ("night", "day")
    ]
    page = visit(http, "/ui/w/default/sessions")
    assert "night" in page.text
    assert "day" not in visit(http, "/ui/w/default/sessions?q=ni").text
    send(http, f"/ui/w/default/sessions/{opened[0].id}/close", page)
    assert sessions.get(opened[0].id).status == "Succeeded"
    assert "night" in visit(http, "/ui/w/default/sessions?status=succeeded").text
    visit(http, "/ui/w/default/sessions?status=nothing", status=400)
    assert send(http, "/ui/w/default/sessions/unknown/close", page).status_code == 404


def test_a_key_for_reading_closes_no_session(http: httpx.Client, memory: MemoryParts) -> None:
    opened = memory.jobs("default").sessions.open(OpenSession(name="a", provider_id="qiosk", target="qiosk.auto"))
    sign_in(http, KeyService(memory.keys, memory.clock).create("reader", is_read_only=True)[1])
    page = visit(http, "/ui/w/default/sessions")
    assert "Close" not in page.text
    assert send(http, f"/ui/w/default/sessions/{opened.id}/close", page).status_code == 403


def test_quotas_have_names_and_units(http: httpx.Client) -> None:
    text = visit(http, "/ui/w/default/quotas").text
    assert "Running time of the jobs that ended this month 0 s 2 h 0 min 0 %" in text
    assert "Waiting jobs 0 unlimited" in text


@pytest.mark.parametrize("dimension", list(Dimension))
def test_every_quota_has_a_name(dimension: Dimension) -> None:
    members = {"scope": "Workspace", "provider_id": "Microsoft", "holds": 1.0, "period": "None"}
    for limit in (0.0, 4.0, UNLIMITED):
        row = quota_row(QuotaView(dimension=dimension, utilization=2.0, limit=limit, **members))
        assert row.name != dimension
        assert row.fraction in (None, 0.75)
        assert (row.limit == "unlimited") == (limit == UNLIMITED)
