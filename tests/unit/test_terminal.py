"""Keys and output of a terminal, over a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import signal
import termios
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from patience import HANG_S
from qiosk.console.spark_line import spark_line
from qiosk.console.terminal import Output, Terminal, split_keys
from qiosk.contract.jobs import TracePoint


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """The end of the one who types, and the terminal."""
    user, program = pty.openpty()
    yield user, program
    for end in (user, program):
        with suppress(OSError):
            os.close(end)


@pytest.mark.parametrize(
    ("text", "keys", "rest"),
    [
        ("", [], ""),
        ("qé漢", ["q", "é", "漢"], ""),
        ("\x1b[A\x1bOB\x1b[5~\x1b[6~\x1b[H\x1bOF", ["up", "down", "page up", "page down", "home", "end"], ""),
        ("\r\n\x03", ["enter", "enter", "ctrl-c"], ""),
        ("j\x1b", ["j"], "\x1b"),
        ("\x1b[", [], "\x1b["),
        ("\x1b[1;5", [], "\x1b[1;5"),
        ("\x1b[1;5Cj\x1b[15~", ["j"], ""),  # keys without a name
        ("\x1b\x1b[A", ["escape", "up"], ""),
        ("\x1bq", ["escape", "q"], ""),
    ],
)
def test_what_a_terminal_sends_is_split_into_keys(text: str, keys: list[str], rest: str) -> None:
    assert split_keys(text) == (keys, rest)


def test_keys_arrive_one_by_one_and_the_settings_are_put_back(ends: tuple[int, int]) -> None:
    user, program = ends
    before = termios.tcgetattr(program)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with Terminal(program, program) as terminal:
        assert not termios.tcgetattr(program)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
        os.write(user, b"j\x1b[B\x03")
        assert terminal.read(HANG_S) == ["j", "down", "ctrl-c"]
        os.write(user, b"\x1b")
        assert terminal.read(HANG_S) == ["escape"]
        assert terminal.read(0) == []
        assert not terminal.is_leaving
    assert termios.tcgetattr(program) == before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers
    terminal.wake()  # of a thread that is late: nothing happens


def test_the_settings_are_put_back_after_an_exception(ends: tuple[int, int]) -> None:
    before = termios.tcgetattr(ends[1])
    with pytest.raises(ZeroDivisionError), Terminal(ends[1], ends[1]):
        _ = 1 / 0
    assert termios.tcgetattr(ends[1]) == before


def test_what_is_no_terminal_is_refused_and_changes_nothing() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with open(os.devnull) as null, pytest.raises(termios.error), Terminal(null.fileno(), null.fileno()):
        pass
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_wait_for_a_key(ends: tuple[int, int], number: int) -> None:
    with Terminal(ends[1], ends[1]) as terminal:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
        timer.start()
        assert terminal.read(HANG_S) == []
        assert terminal.is_leaving
        timer.join()


def test_another_thread_and_another_size_end_the_wait_for_a_key(ends: tuple[int, int]) -> None:
    program = ends[1]
    with Terminal(program, program) as terminal:
        assert terminal.size == (80, 24)  # it does not know
        termios.tcsetwinsize(program, (10, 40))
        assert terminal.size == (40, 10)
        for do in (terminal.wake, lambda: os.kill(os.getpid(), signal.SIGWINCH)):
            timer = threading.Timer(0.05, do)
            timer.start()
            assert terminal.read(HANG_S) == []
            timer.join()
        assert not terminal.is_leaving


def test_a_closed_terminal_ends_the_program_without_an_error(ends: tuple[int, int]) -> None:
    user, program = ends
    with Terminal(program, program) as terminal:
        os.close(user)
        assert terminal.read(HANG_S) == []
        assert terminal.is_leaving
        assert terminal.output.write("lost") == 4


def test_characters_that_the_terminal_cannot_show_are_replaced(ends: tuple[int, int]) -> None:
    user, program = ends
    output = Output(program)
    output.encoding = "ascii"
    output.write("━─ ▁█ …é")
    assert os.read(user, 100) == b"#- _# .?"
    output.encoding = "utf-8"
    output.write("━\udc80")
    assert os.read(user, 100) == b"#?"
    assert output.isatty()


def points(*pairs: tuple[float, float]) -> list[TracePoint]:
    return [TracePoint(seconds, 1, cost) for seconds, cost in pairs]


def test_a_spark_line_falls_as_the_costs_do() -> None:
    assert spark_line(points((1, 8), (10, 1), (100, 0)), 1000, 4) == "█▂▁▁"
    assert spark_line(points((0, 5)), 10, 6) == "▁▁▁▁▁▁"
    assert spark_line(points((0, 5), (0, 5)), 0, 3) == "▁▁▁"
    assert (
        spark_line([], 10, 6) == spark_line(points((1, float("inf"))), 5, 5) == spark_line(points((1, 1)), 5, 0) == ""
    )


def test_a_spark_line_of_any_costs_has_its_width() -> None:
    hard = points((0, 1.7e308), (0, 3), (2, -1.7e308), (1, float("nan")))
    assert spark_line(hard, 1e9, 12) == "████▁▁▁▁▁▁▁▁"
    assert {len(spark_line(hard, at, width)) - width for at in (0, 1, 1e300) for width in (1, 2, 50)} == {0}
