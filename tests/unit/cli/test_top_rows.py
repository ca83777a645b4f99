"""Rows of the live table, their order, and what keys do to them."""

from __future__ import annotations

from datetime import timedelta

from fake_jobs import START
from qiosk.cli.top.rows import Order, Row, Snapshot, counts, rows_of
from qiosk.cli.top.screen import Mode, Screen
from qiosk.contract.jobs import JobProgress, JobStatus, TracePoint
from top_jobs import NOW, job


def names(rows: list[Row]) -> list[str]:
    return [row.view.name for row in rows]


def test_running_jobs_are_first_then_waiting_ones_then_those_that_ended_last() -> None:
    later = START + timedelta(minutes=4)
    views = [
        job("ended", JobStatus.FAILED),
        job("ended later", JobStatus.SUCCEEDED, end_execution_time=later),
        job("waits", JobStatus.WAITING),
        job("waits longer", JobStatus.WAITING, creation_time=START - timedelta(minutes=1)),
        job("runs"),
        job("began later", begin_execution_time=later),
    ]
    rows = rows_of(Snapshot(views), Order.STATE, NOW)
    assert names(rows) == ["runs", "began later", "waits longer", "waits", "ended later", "ended"]
    assert counts(rows) == {"Executing": 2, "Waiting": 2, "Succeeded": 1, "Failed": 1}
    assert names(rows_of(Snapshot(views[::-1]), Order.STATE, NOW)) == names(rows)


def test_the_order_goes_round() -> None:
    views = [
        job("b", progress=JobProgress(fraction=0.2), creation_time=START + timedelta(minutes=9)),
        job("A", progress=JobProgress(fraction=0.7), begin_execution_time=START + timedelta(minutes=50)),
        job("c", JobStatus.WAITING),
    ]
    seen, order = {}, Order.STATE
    while order not in seen:
        seen[order] = "".join(names(rows_of(Snapshot(views), order, NOW)))
        order = order.following
    assert seen == {"state": "bAc", "newest": "bAc", "name": "Abc", "elapsed": "cbA", "progress": "Abc"}
    assert order is Order.STATE


def test_times_are_of_the_run_or_the_wait_and_never_negative() -> None:
    ahead = NOW + timedelta(minutes=5)
    ended = JobStatus.CANCELLED
    unbegun = {"begin_execution_time": None, "end_execution_time": None}
    views = [
        job("a"),
        job("b", JobStatus.WAITING),
        job("c", JobStatus.SUCCEEDED),
        job("d", begin_execution_time=ahead),
        job("e", ended, **unbegun, cancellation_time=START + timedelta(seconds=7)),
    ]
    found = {row.view.name: row.elapsed_s for row in rows_of(Snapshot(views), Order.NAME, NOW)}
    assert found == {"a": 119 * 60, "b": 120 * 60, "c": 120, "d": 0, "e": 7}


def test_a_row_has_the_trend_of_its_job_and_a_fraction_in_its_range() -> None:
    trend = [TracePoint(1, 1, 1.0)]
    views = [job("a", is_cancelling=True, progress=JobProgress(fraction=1.5)), job("b", JobStatus.SUCCEEDED)]
    first, second = rows_of(Snapshot(views, {"a": trend}), Order.NAME, NOW)
    assert (first.trend, first.status, first.fraction) == (trend, "Cancelling", 1.0)
    assert (second.trend, second.status, second.fraction) == ((), "Succeeded", 1.0)


def screen(count: int, height: int = 3) -> Screen:
    found = Screen()
    found.show(rows_of(Snapshot([job(f"j{k}") for k in range(count)]), Order.NAME, NOW), height)
    return found


def press(found: Screen, *keys: str) -> str:
    for key in keys:
        found.press(key)
    assert found.selected is not None
    return found.selected.view.name


def test_the_selection_moves_and_the_rows_scroll_with_it() -> None:
    found = screen(8)
    assert press(found) == "j0"
    assert press(found, "up", "down", "j", "j") == "j3"
    assert names(list(found.visible)) == ["j1", "j2", "j3"]
    assert press(found, "k", "up") == "j1"
    assert found.first == 1
    assert press(found, "page down", "page down") == "j7"
    assert names(list(found.visible)) == ["j5", "j6", "j7"]
    assert press(found, "home") == press(found, "G", "g") == "j0"
    assert press(found, "end", "page up") == "j4"
    assert press(found, "x", "漢", "right") == "j4"


def test_the_same_job_stays_selected_wherever_it_goes() -> None:
    found = screen(8)
    press(found, "down", "down")
    found.show(found.rows[::-1], 3)
    assert press(found) == "j2"
    assert "j2" in names(list(found.visible))
    found.show([row for row in found.rows if row.view.name != "j2"], 3)
    assert press(found) == "j1"  # the one that is in its place
    found.show(found.rows[:1], 20)
    assert (press(found), found.first) == ("j7", 0)
    found.show([], 20)
    assert (found.selected, found.visible) == (None, [])
    for key in ("down", "end", "page down", "c", "enter", "s"):
        assert found.press(key) is None
    assert found.opened is None


def test_a_job_is_cancelled_only_after_a_yes() -> None:
    found = screen(3)
    for answer in ("n", "x", "enter", "escape"):
        assert found.press("c") is None
        assert found.asked is found.selected
        assert found.press(answer) is None
        assert (found.asked, found.mode) == (None, Mode.TABLE)
    found.press("c")
    assert found.press("y") == "j0"
    assert found.press("y") is None


def test_the_question_is_about_the_job_that_was_selected_then() -> None:
    found = screen(3)
    found.press("c")
    found.show([row for row in found.rows if row.view.name != "j0"], 3)
    assert found.press("y") == "j0"


def test_a_job_that_has_ended_is_not_asked_about() -> None:
    found = Screen()
    found.show(rows_of(Snapshot([job("a", JobStatus.SUCCEEDED)]), Order.NAME, NOW), 3)
    assert found.press("c") is None
    assert (found.asked, found.note) == (None, "this job has ended")
    found.press("down")
    assert found.note == ""


def test_details_open_and_close_and_q_ends_anywhere() -> None:
    found = screen(3)
    assert found.opened is None
    found.press("o")
    assert found.opened == "j0"
    found.press("j")
    assert found.opened == "j1"
    found.press("escape")
    assert found.opened is None
    for prepared in ([], ["enter"], ["c"]):
        for key in ("q", "ctrl-c"):
            found = screen(3)
            press(found, *prepared, key)
            assert found.is_done
