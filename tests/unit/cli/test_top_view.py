"""How the live table looks."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from rich.cells import cell_len
from rich.console import Console, Group

from fake_jobs import START
from qiosk.cli.top.details import details_screen
from qiosk.cli.top.rows import Order, Snapshot, rows_of
from qiosk.cli.top.screen import Screen
from qiosk.cli.top.view import AROUND, Around, table_screen
from qiosk.contract.jobs import ErrorData, JobProgress, JobStatus, JobView, TracePoint
from qiosk.contract.logs import LogLine
from top_jobs import NOW, named

AROUND_OF_TESTS = Around("workspace default of this machine")
TRACE = [TracePoint(0.1, 1, 8.0), TracePoint(1.0, 10, 2.0), TracePoint(10.0, 100, 1.0)]
LONG = JobProgress(fraction=0.42, sweeps=1234, best_cost=-1234.5, bound=-1300.0, seconds=20.0)
SIZES = [(80, 24), (120, 40), (200, 5), (40, 10), (10, 3), (1, 1), (3, 100)]


def drawn(
    views: list[JobView], width: int, height: int, *keys: str, around: Around = AROUND_OF_TESTS, colours: bool = False
) -> list[str]:
    """The lines of the screen after some keys."""
    trace = {view.id: TRACE for view in views if view.progress.best_cost is not None}
    log = [LogLine(time=START, level="INFO", text=f"line {k}\n[b]more[/b]") for k in range(50)]
    snapshot = Snapshot(views, trace, log=log, log_of=views[0].id if views else None)
    screen = Screen()
    for key in (None, *keys):
        if key is not None:
            screen.press(key)
        screen.show(rows_of(snapshot, Order.STATE, NOW), height - AROUND)
    if screen.opened is not None and screen.selected is not None:
        lines = details_screen(screen, screen.selected, snapshot, around, width, height)
    else:
        lines = table_screen(screen, around, width, height)
    assert len(lines) == height
    console = Console(
        file=io.StringIO(),
        width=width,
        height=height,
        force_terminal=colours,
        color_system="standard" if colours else None,
        highlight=True,
    )
    with console.capture() as captured:
        console.print(Group(*lines))
    found = captured.get().splitlines()
    if not colours:
        assert len(found) == height
        assert max(map(cell_len, found)) <= width
    return found


def many(count: int) -> list[JobView]:
    began = [START + timedelta(seconds=k) for k in range(count)]
    return [named(f"job {k}", begin_execution_time=at, progress=LONG) for k, at in enumerate(began)]


def test_eighty_columns_have_all_but_the_target() -> None:
    views = [named("ship loading", progress=LONG), named("waits", JobStatus.WAITING)]
    found = drawn(views, 80, 24)
    assert found[0] == "qiosk top  1 Executing  1 Waiting"
    assert found[1] == "workspace default of this machine, by state"
    assert found[2].split() == ["NAME", "ID", "STATUS", "PROGRESS", "BEST", "GAP", "ELAPSED", "TREND"]
    assert found[3].startswith("› ship loading ")
    for part in (" Executing ", " 42%", " -1234.5 ", " 5.31 % ", " 1:59:00 ", "█"):
        assert part in found[3]
    assert found[4].startswith("  waits ")
    assert "%" not in found[4]
    assert found[-1] == "↑↓ select  Enter details  c cancel  s sort  q quit"


def test_a_wider_terminal_has_the_target_too() -> None:
    found = drawn([named("ship loading", progress=LONG)], 120, 40)
    assert "  TARGET  " in found[2]
    assert "  paralleltempering  " in found[3]
    assert "━━━━──────  42%" in found[3]
    assert found[3].rstrip().endswith("▁")


@pytest.mark.parametrize("keys", [(), ("enter",), ("c",), ("end",), ("end", "enter", "c")])
@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("count", [0, 1, 300])
def test_any_number_of_jobs_fits_any_terminal(width: int, height: int, count: int, keys: tuple[str, ...]) -> None:
    drawn(many(count), width, height, *keys)
    drawn(many(count), width, height, *keys, around=Around("here", "server https://x did not respond", is_cut=True))


def test_hundreds_of_jobs_scroll() -> None:
    views = many(300)
    found = drawn(views, 80, 24)
    assert found[-2].startswith("  job 19 ")
    found = drawn(views, 80, 24, "end")
    assert found[-2].startswith("› job 299 ")
    assert found[3].startswith("  job 280 ")


def test_names_are_text_whatever_they_contain() -> None:
    names = [
        "[red]x[/red]",
        ":smile:",
        "a\x1b[2Jb\nc\r\td\x9b31m",
        "漢字漢字漢字漢字漢字漢字漢字",
        "\u202eevil",
        "e\u0301\u200b",
    ]
    views = [named(name, begin_execution_time=START + timedelta(seconds=k)) for k, name in enumerate(names)]
    for width in (80, 120, 31):
        for keys in ((), ("c",), ("enter",), ("down", "down", "enter")):
            found = drawn(views, width, 24, *keys)
            assert not [c for line in found for c in line if not c.isprintable()]
    rows = drawn(views, 120, 24)[3:9]
    assert rows[0].startswith("› [red]x[/red] ")
    assert rows[1].startswith("  :smile: ")
    assert rows[2].startswith("  a [2Jb c  d 31m ")
    assert {line.index("Executing") - len(line) + cell_len(line) for line in rows[:3]} == {
        cell_len(rows[3][: rows[3].index("Executing")])
    }
    assert not [line for line in drawn(views, 120, 24, colours=True) if "\x1b[2J" in line or "\x9b" in line]


def test_an_empty_table_says_that_there_are_no_jobs() -> None:
    assert drawn([], 80, 24)[0] == "qiosk top  no jobs run or wait"


def test_the_header_tells_what_is_wrong_and_what_is_missing() -> None:
    around = Around("here", "server http://x did not respond", is_cut=True)
    found = drawn(many(2), 80, 24, around=around)
    assert found[0] == "qiosk top  2 Executing  and more"
    assert found[1] == "server http://x did not respond"


def test_the_footer_asks_before_it_cancels() -> None:
    views = [named("a job " + "x" * 200)]
    found = drawn(views, 80, 24, "c")[-1]
    assert found.startswith(f"{views[0].id[:8]} a job xx")
    assert found.endswith("… Cancel it? y/n")
    assert drawn([named("over", JobStatus.FAILED)], 80, 24, "c")[-1] == "this job has ended"


def test_a_job_says_what_it_does_instead_of_searching() -> None:
    busy = JobProgress(activity="compiling kernels (once)…")
    assert "compiling kern…" in drawn([named("a", progress=busy)], 120, 24)[3]


def test_details_are_facts_and_the_end_of_the_log() -> None:
    failure = ErrorData(code="InvalidInputData", message="AZQ107: [b]wrong[/b]")
    views = [named("ship", JobStatus.FAILED, progress=LONG, error_data=failure, tags=("a", "b"), attempts=2)]
    found = drawn(views, 80, 24, "enter")
    facts = {line[:11].strip(): line[12:] for line in found[2:19]}
    assert facts["name"] == "ship"
    assert facts["status"] == "Failed"
    assert facts["target"] == "microsoft.paralleltempering.cpu"
    assert facts["gap"] == "5.31 %"
    assert facts["trend"].startswith("█")
    assert len(facts["trend"]) == 60
    assert facts["error"] == "InvalidInputData: AZQ107: [b]wrong[/b]"
    assert facts["tags"] == "a, b"
    at = f"{START.astimezone():%H:%M:%S}"
    assert found[-3:] == [f"{at} INFO line 49", f"{at} INFO [b]more[/b]", "↑↓ next job  Esc back  c cancel  q quit"]


def test_states_have_colours_and_the_selected_row_is_reversed() -> None:
    found = drawn([named("ship"), named("waits", JobStatus.WAITING)], 80, 24, colours=True)
    assert "\x1b[36m1 Executing" in found[0]
    assert found[3].startswith("\x1b[7m› ship")
    assert "\x1b[33mWaiting\x1b[0m" in found[4]
