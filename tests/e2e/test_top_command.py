"""``qiosk top`` on a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from homes import close_home, open_home, submit, wait_until
from patience import HANG_S
from qiosk.contract.jobs import JobStatus, JobView
from qiosk.service.jobs.job_service import JobService
from served import served

MODE = 3  # the place of the local modes in the settings of a terminal
CONTROL = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])")


class Shown:
    """``qiosk top`` on a terminal of its own, 80×24, and what that shows."""

    def __init__(self, *words: str, **environ: str) -> None:
        self.user, self.program = pty.openpty()
        termios.tcsetwinsize(self.program, (24, 80))
        self.settings = termios.tcgetattr(self.program)
        self.written = ""
        command = [sys.executable, "-m", "qiosk", "top", "--interval", "0.25", *words]
        everything = {**os.environ, "TERM": "xterm-256color", **environ}
        self.process = subprocess.Popen(
            command,
            env=everything,
            stdin=self.program,
            stdout=self.program,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def until(self, is_there: Callable[[str], object]) -> str:
        """The screen, as soon as it has what is awaited."""
        deadline = time.monotonic() + HANG_S
        while not is_there(self.screen()):
            assert time.monotonic() < deadline, f"not shown: {self.screen()}"
            self.receive()
        return self.screen()

    def receive(self) -> None:
        ready, _, _ = select.select([self.user], [], [], 0.1)
        if ready:
            self.written += os.read(self.user, 65536).decode("utf-8", "replace")

    def screen(self) -> str:
        """The text since the last time that the cursor went home: each drawing begins there."""
        return CONTROL.sub("", self.written.rpartition("\x1b[H")[2])

    def press(self, keys: str) -> None:
        os.write(self.user, keys.encode())

    def end(self) -> int:
        """The exit status, and the terminal is as before."""
        deadline = time.monotonic() + HANG_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "it does not end"
            self.receive()
        self.receive()
        assert self.process.stderr is not None
        assert self.process.stderr.read() == b""
        assert termios.tcgetattr(self.program) == self.settings
        assert self.written.count("\x1b[?1049h") == self.written.count("\x1b[?1049l") == 1
        assert self.written.rindex("\x1b[?25h") > self.written.rindex("\x1b[?25l")
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()
        for end in (self.user, self.program):
            with suppress(OSError):
                os.close(end)


@contextmanager
def shown(*words: str, **environ: str) -> Iterator[Shown]:
    found = Shown(*words, **environ)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # for supervisors to find the fake runner
    path = tmp_path / "home"
    yield path
    if path.exists():
        close_home(path)


def running(service: JobService, tmp_path: Path, name: str = "a long job") -> JobView:
    order = {"chunks": 3, "gate": str(tmp_path / "gate"), "log": "a [red]warning[/red]"}
    job = submit(service, order, name=name)
    return wait_until(service, job.id, lambda view: view.progress.best_cost == -3)


def test_a_job_is_seen_opened_and_cancelled_by_keys(home: Path, tmp_path: Path) -> None:
    service = open_home(home)
    job = running(service, tmp_path, "a [red]long[/red]\x1b[2J job")
    with shown("--home", str(home)) as top:
        screen = top.until(lambda text: "▁" in text)
        assert screen.startswith("qiosk top  1 Executing")
        assert "› a [red]long[/red]" in screen
        assert job.id[:8] in screen
        assert not termios.tcgetattr(top.program)[MODE] & (termios.ECHO | termios.ICANON)
        top.press("\r")
        screen = top.until(lambda text: "WARNING a [red]warning[/red]" in text)
        assert job.id in screen
        assert "a [red]long[/red] [2J job" in screen
        top.press("\x1b")
        top.until(lambda text: "PROGRESS" in text)
        top.press("c")
        top.until(lambda text: "Cancel it? y/n" in text)
        top.press("n")
        top.until(lambda text: "q quit" in text)
        assert service.get(job.id).status == JobStatus.EXECUTING
        top.press("cy")
        screen = top.until(lambda text: text.startswith("qiosk top  1 Cancelled"))
        assert service.get(job.id).status == JobStatus.CANCELLED
        termios.tcsetwinsize(top.program, (30, 120))
        os.kill(top.process.pid, signal.SIGWINCH)
        screen = top.until(lambda text: text.count("\n") == 29)
        assert "TARGET" in screen
        assert "\x1b[36m" in top.written
        top.press("q")
        assert top.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, None])
def test_a_signal_or_ctrl_c_ends_it_and_the_terminal_is_as_before(home: Path, number: signal.Signals | None) -> None:
    open_home(home)
    with shown("--home", str(home), NO_COLOR="1") as top:
        top.until(lambda text: "no jobs run or wait" in text and "q quit" in text)
        if number is None:
            top.press("\x03")
        else:
            top.process.send_signal(number)
        assert top.end() == 0
        assert not re.search(r"\x1b\[[0-9;]*3\d", top.written)  # no colour


def test_a_terminal_that_is_closed_ends_it(home: Path) -> None:
    open_home(home)
    with shown("--home", str(home)) as top:
        top.until(lambda text: "q quit" in text)
        os.close(top.program)
        os.close(top.user)
        assert top.process.wait(HANG_S) == 0
        assert top.process.stderr is not None
        assert top.process.stderr.read() == b""


def test_a_bug_ends_it_with_a_traceback_after_the_terminal_is_as_before(home: Path, tmp_path: Path) -> None:
    open_home(home)
    (tmp_path / "sitecustomize.py").write_text(
        "import qiosk.cli.top.feed as feed\n"
        "real = feed.Feed.read\n"
        "def read(self, *given):\n"
        "    if given: raise ZeroDivisionError('a bug')\n"
        "    return real(self)\n"
        "feed.Feed.read = read\n"
    )
    with shown("--home", str(home), PYTHONPATH=str(tmp_path)) as top:
        assert top.process.stderr is not None
        while top.process.poll() is None:
            top.receive()
        assert top.process.returncode == 1
        assert b"ZeroDivisionError: a bug" in top.process.stderr.read()
        assert termios.tcgetattr(top.program) == top.settings


def test_a_server_that_goes_away_and_comes_back(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    key = "k" * 40
    url = f"http://127.0.0.1:{port}"
    with served(home, port=port, admin_key=key):
        top = Shown("--url", url, QIOSK_API_KEY=key)
        try:
            top.until(lambda text: "no jobs run or wait" in text)
        except BaseException:
            top.close()
            raise
    try:
        top.until(lambda text: "no answer for" in text or "did not respond" in text)
        with served(home, port=port, admin_key=key):
            top.until(lambda text: "workspace default of http" in text)
            top.press("q")
            assert top.end() == 0
    finally:
        top.close()
