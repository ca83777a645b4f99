"""Progress bars between other output."""

from __future__ import annotations

import io
import os
import re
import sys
from types import ModuleType, SimpleNamespace

import click
import pytest

from qiosk.console.progress_bar import SHOWN_FROM_BYTES, ProgressBar, TransferBar
from qiosk.console.status_line import StatusLine, is_terminal
from qiosk.contract.jobs import JobProgress


class Screen(io.StringIO):
    """A terminal that does what the control characters say."""

    encoding = "utf-8"
    errors = "strict"

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        lines, at = [""], 0
        for part in re.findall(r"\x1b\[2K|.|\n", self.getvalue()):
            if part == "\x1b[2K":
                lines[-1] = ""
            elif part == "\r":
                at = 0
            elif part == "\n":
                lines.append("")
                at = 0
            else:
                lines[-1] = lines[-1][:at].ljust(at) + part + lines[-1][at + 1 :]
                at += 1
        return lines


def shown_on(monkeypatch: pytest.MonkeyPatch) -> Screen:
    both = Screen()
    monkeypatch.setattr(sys, "stdout", both)
    monkeypatch.setattr(sys, "stderr", both)
    return both


def test_what_is_printed_stands_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = shown_on(monkeypatch)
    with ProgressBar() as bar:
        for k in range(3):
            bar.update("Executing", JobProgress(fraction=k / 4, sweeps=k, best_cost=-k))
            print("printed", k)
            click.echo(f"echoed {k}")
            print("in", "pieces", end=" ")
            bar.update("Waiting", JobProgress())
            print(k, file=sys.stderr)
        bar.update("Succeeded", JobProgress(best_cost=-7.0))
    print("after")
    *above, last, after, end = screen.lines()
    assert above == [line for k in range(3) for line in (f"printed {k}", f"echoed {k}", f"in pieces {k}")]
    assert last.startswith("Succeeded  ━━━━")
    assert "best -7 " in last
    assert (after, end) == ("after", "")
    assert sys.stdout is sys.stderr is screen


def test_printing_to_a_file_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = shown_on(monkeypatch)
    file = io.StringIO()
    monkeypatch.setattr(sys, "stdout", file)
    with ProgressBar():
        print("a long line " * 30)
    assert file.getvalue() == "a long line " * 30 + "\n"
    assert "a long line" not in screen.getvalue()


def test_a_second_line_at_the_same_time_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = shown_on(monkeypatch)
    one, other = StatusLine(lambda width: "one"), StatusLine(lambda width: "other")
    one.start()
    other.start()
    other.draw()
    other.stop()
    assert screen.lines() == ["one"]
    one.stop()
    other.start()
    other.stop()
    assert screen.lines() == ["one", "other", ""]


def test_a_terminal_without_unicode_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = shown_on(monkeypatch)
    screen.encoding = "ascii"
    with ProgressBar() as bar:
        bar.update("Succeeded", JobProgress())
    assert screen.getvalue().isascii()
    assert "####" in screen.getvalue()


@pytest.mark.parametrize("stream", [None, object(), io.StringIO()])
def test_strange_streams_are_no_terminals(stream: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_terminal(stream)
    monkeypatch.setattr(sys, "stderr", stream)
    with ProgressBar() as bar:
        bar.update("Executing", JobProgress())


def test_a_notebook_shows_one_cell_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    display = ModuleType("IPython.display")
    display.HTML = str  # type: ignore[attr-defined]
    display.display = lambda html, display_id: SimpleNamespace(update=shown.append)  # type: ignore[attr-defined]
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    with ProgressBar() as bar:
        bar.update("Executing", JobProgress(best_cost=-3.0))
    assert "best -3" in shown[-1]
    seen = len(shown)
    with ProgressBar(enabled=False) as bar:
        bar.update("Executing", JobProgress())
    shell.kernel = None
    with ProgressBar() as bar:
        bar.update("Executing", JobProgress())
    assert len(shown) == seen


def test_what_is_printed_during_a_transfer_stands_above_its_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = shown_on(monkeypatch)
    transfer = TransferBar()
    transfer("upload x", SHOWN_FROM_BYTES, 3 * SHOWN_FROM_BYTES)
    click.echo("a note")
    transfer("upload x", 3 * SHOWN_FROM_BYTES, 3 * SHOWN_FROM_BYTES)
    print("after")
    note, last, after, _ = screen.lines()
    assert (note, after) == ("a note", "after")
    assert "25.2/25.2 MB" in last


def test_a_forked_child_prints_without_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = shown_on(monkeypatch)
    line = StatusLine(lambda width: "line")
    line.start()
    drawn = screen.getvalue()
    here = os.getpid()
    monkeypatch.setattr("qiosk.console.status_line.os.getpid", lambda: here + 1)
    print("from the child")
    line.stop()
    assert screen.getvalue() == drawn + "from the child\n"
    monkeypatch.setattr("qiosk.console.status_line.os.getpid", lambda: here)
    line.stop()


def test_a_run_that_has_done_nothing_yet_is_preparing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = shown_on(monkeypatch)
    with ProgressBar() as bar:
        bar.update("Executing", JobProgress())
        assert screen.lines()[0].startswith("Preparing ")
        bar.update("Succeeded", JobProgress())
    assert screen.lines()[0].startswith("Succeeded ")
    with ProgressBar(state="Executing"):
        assert screen.lines()[1].startswith("Preparing ")


def test_a_run_that_compiles_shows_that_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = shown_on(monkeypatch)
    with ProgressBar() as bar:
        bar.update("Executing", JobProgress(fraction=0.5))
        bar.update("Executing", JobProgress(fraction=0.5, activity="compiling kernels (once)…"))
        assert screen.lines()[0].startswith("compiling kernels (once)…  0:00:0")
        bar.update("Executing", JobProgress(fraction=0.6))
        assert " 60%" in screen.lines()[0]
