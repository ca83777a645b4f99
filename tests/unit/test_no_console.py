"""Programs without a console: sys.stderr and sys.stdout are None, closed, or objects without isatty()."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from qiosk.cli.inputs import read_bytes, write_bytes
from qiosk.client.solvers import SimulatedAnnealing
from qiosk.client.workspace import Workspace
from qiosk.console.progress_bar import SHOWN_FROM_BYTES, ProgressBar, TransferBar
from qiosk.console.status_line import is_terminal
from qiosk.contract.jobs import JobProgress
from qiosk.problem import Problem, Term
from qiosk.server.web.logs import configure_logs
from servers import log_plainly

pytestmark = pytest.mark.slow


class Writer:
    """A stream of a program's own, as graphical programs set."""

    def write(self, text: str) -> int:
        return len(text)


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, Writer(), closed()])
def test_bars_are_silent_without_a_terminal(monkeypatch: pytest.MonkeyPatch, stream: object) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    assert not is_terminal(stream)
    with ProgressBar() as bar:
        bar.update("Executing", JobProgress())
    TransferBar()("upload", SHOWN_FROM_BYTES, 2 * SHOWN_FROM_BYTES)


@pytest.mark.parametrize("stream", [None, Writer()])
def test_jobs_are_waited_for_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stream: object
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdout", stream)
    with Workspace(home=tmp_path) as workspace:
        job = SimulatedAnnealing(workspace, sweeps=10, restarts=2, seed=1).submit(
            Problem("pair", terms=[Term(c=1.0, indices=[0, 1])])
        )
        job.wait_until_completed()
        assert [update.status for update in workspace.watch(job)] == ["Succeeded"]
        assert job.get_results().cost == -1.0


@pytest.mark.parametrize("stream", ["None", "Writer()"])
@pytest.mark.parametrize(
    "arguments", [["jobs", "list"], ["targets"], ["--version"], ["solve", "p.json"], ["submit", "p.json"]]
)
def test_commands_run_without_a_terminal(tmp_path: Path, stream: str, arguments: list[str]) -> None:
    (tmp_path / "p.json").write_bytes(Problem("pair", terms=[Term(c=1.0, indices=[0, 1])]).serialize().encode())
    program = f"""
import sys
class Writer:
    def write(self, text): return len(text)
    def flush(self): pass
sys.stdout = sys.stderr = {stream}
from qiosk.cli.app import app
app({arguments!r})
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={"QIOSK_HOME": str(tmp_path / "home"), "PATH": "", "HOME": str(tmp_path)},
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


class Collector(Writer):
    """As ``Writer``, but what is written is kept."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Nothing is buffered."""


@pytest.mark.parametrize("stream", [None, Writer(), closed(), Collector()])
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_server_logs_without_a_console(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], stream: object, log_format: str
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure_logs(log_format)
        structlog.get_logger("test").info("of the server")
        logging.getLogger("test").warning("of a library")
    finally:
        root.handlers[:], root.level = before
        log_plainly()
    if isinstance(stream, Collector):
        assert [line in stream.text for line in ("of the server", "of a library")] == [True, True]
        stream.text = ""
    assert capfd.readouterr() == ("", ""), "nor does it go elsewhere"


def test_missing_streams_of_files_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stdout", Writer())
    with pytest.raises(OSError, match="there is no standard input"):
        read_bytes("-")
    with pytest.raises(OSError, match="there is no standard output"):
        write_bytes("-", b"")
