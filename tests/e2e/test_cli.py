"""The command ``qiosk`` as users run it: a process of its own."""

from __future__ import annotations

import errno
import gzip
import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from patience import HANG_S

TERMS = [{"c": -9, "ids": [0]}, {"c": -3, "ids": [1, 0]}, {"c": 5, "ids": [2, 0]}]
QIOSK = [sys.executable, "-c", "from qiosk.cli import main; main()"]


def document(terms: list[dict[str, object]]) -> bytes:
    return json.dumps({"cost_function": {"version": "1.0", "type": "ising", "terms": terms}}).encode()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "QIOSK_HOME": str(tmp_path / "home"), "QIOSK_IDLE_SECONDS": "1"}


def qiosk(environment: dict[str, str], *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*QIOSK, *words], input=stdin, env=environment, capture_output=True, timeout=HANG_S, check=False
    )


def test_solve_prints_cost_and_configuration(environment: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = qiosk(environment, "solve", "-", "--seed", "3", "-o", str(out), stdin=gzip.compress(document(TERMS)))
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"-17.0" in done.stdout
    assert b"0: 1  1: 1  2: -1" in done.stdout
    assert json.loads(out.read_text())["configuration"] == {"0": 1, "1": 1, "2": -1}
    assert not Path(environment["QIOSK_HOME"]).exists()


def test_solve_with_json_prints_the_results_document_alone(environment: dict[str, str]) -> None:
    words = ("solve", "-", "--json", "--target", "simulatedannealing", "-p", "sweeps=20", "-p", "restarts=4")
    done = qiosk(environment, *words, stdin=document(TERMS))
    results = json.loads(done.stdout)
    assert results["cost"] == -17.0
    assert (results["parameters"]["sweeps"], results["parameters"]["restarts"]) == (20, 4)


@pytest.mark.parametrize(
    ("terms", "words", "message"),
    [
        ([{"c": "x", "ids": [0]}], (), b"AZQ103"),
        (TERMS, ("-p", "number_of_solutions=0"), b"AZQ107: parameter `number_of_solutions`"),
        (TERMS, ("--target", "nope"), b"target 'microsoft.nope.cpu' is not offered"),
    ],
)
def test_wrong_input_ends_with_status_2_and_one_line(
    environment: dict[str, str], terms: list[dict[str, object]], words: tuple[str, ...], message: bytes
) -> None:
    done = qiosk(environment, "solve", "-", *words, stdin=document(terms))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: ")
    assert done.stderr.count(b"\n") == 1
    assert message in done.stderr


def test_help_loads_neither_solvers_nor_rich() -> None:
    code = "import sys; sys.argv[1:] = ['--help']\nfrom qiosk.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    code += "print(sorted({'numba', 'numpy', 'rich', 'sqlalchemy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == b"[]"


def hard_problem(variables: int = 2000) -> bytes:
    chance = random.Random(5)
    pairs = ((i, (i + step) % variables) for i in range(variables) for step in (1, 7, 31))
    return document([{"c": chance.choice([-1, 1]), "ids": list(pair)} for pair in pairs])


def interrupted(environment: dict[str, str], out: Path, *words: str) -> int:
    """Status of a command that gets Ctrl-C as soon as its progress bar, in a terminal, shows a best cost."""
    terminal, stderr = pty.openpty()
    command = [*QIOSK, *words]
    with out.open("wb") as stdout, subprocess.Popen(command, env=environment, stdout=stdout, stderr=stderr) as process:
        os.close(stderr)
        seen = b""
        while not re.search(rb"Executing.*best -\d", seen, re.DOTALL):
            read = read_or_end(terminal)
            assert read, seen
            seen += read
        process.send_signal(signal.SIGINT)
        while read_or_end(terminal):
            pass
    os.close(terminal)
    return process.returncode


def read_or_end(terminal: int) -> bytes:
    """What the terminal shows next; nothing when its last writer has gone."""
    try:
        return os.read(terminal, 65536)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""


def test_ctrl_c_while_solving_prints_the_best_so_far(environment: dict[str, str], tmp_path: Path) -> None:
    problem, out = tmp_path / "hard.json", tmp_path / "out.json"
    problem.write_bytes(hard_problem())
    assert interrupted(environment, out, "solve", str(problem), "--timeout", "200", "--json") == 1
    assert json.loads(out.read_text())["cost"] < -2000


def test_ctrl_c_while_watching_cancels_the_job_and_prints_its_best(environment: dict[str, str], tmp_path: Path) -> None:
    words = ("--target", "simulatedannealing", "-p", "sweeps=1000000000", "-p", "restarts=8")
    job_id = qiosk(environment, "submit", "-", *words, stdin=hard_problem()).stdout.decode().strip()
    out = tmp_path / "out.json"
    assert interrupted(environment, out, "jobs", "watch", job_id, "--json") == 1
    document = json.loads(out.read_text())
    assert document["job"]["status"] == "Cancelled"
    assert document["results"]["cost"] < 0


def test_a_submitted_job_is_seen_by_other_processes_and_watched_to_its_end(environment: dict[str, str]) -> None:
    done = qiosk(environment, "submit", "-", "--name", "ship", "--seed", "3", stdin=document(TERMS))
    assert (done.returncode, done.stderr) == (0, b"")
    job_id = done.stdout.decode().strip()
    watched = qiosk(environment, "jobs", "watch", job_id, "--json")
    assert (watched.returncode, watched.stderr) == (0, b"")
    assert json.loads(watched.stdout)["results"]["cost"] == -17.0
    listed = json.loads(qiosk(environment, "jobs", "list", "--json").stdout)
    assert [(job["id"], job["name"], job["status"]) for job in listed] == [(job_id, "ship", "Succeeded")]


def test_a_job_that_failed_ends_with_status_1(environment: dict[str, str]) -> None:
    done = qiosk(environment, "submit", "-", "--target", "tabu", "-p", "sweeps=0", stdin=document(TERMS))
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"AZQ107: parameter `sweeps`" in done.stderr
    cubic = document([{"c": 1, "ids": [0, 1, 2]}])
    done = qiosk(environment, "submit", "-", "--target", "toshiba.sbm.ising", stdin=cubic)
    results = qiosk(environment, "jobs", "results", done.stdout.decode().strip())
    assert (results.returncode, results.stdout) == (1, b"")
    assert b"terms may have at most 2 variables" in results.stderr


def test_supervise_runs_jobs_until_ctrl_c(environment: dict[str, str]) -> None:
    environment.pop("QIOSK_IDLE_SECONDS")
    command = [*QIOSK, "supervise"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True) as process:
        assert process.stderr is not None
        assert b"supervising" in process.stderr.readline()
        job_id = qiosk(environment, "submit", "-", stdin=document(TERMS)).stdout.decode().strip()
        results = qiosk(environment, "jobs", "results", job_id, "--json")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the job processes as well
        _, log = process.communicate(timeout=HANG_S)
    assert json.loads(results.stdout)["cost"] == -17.0
    assert (process.returncode, job_id.encode() in log) == (0, True)


def test_settings_that_are_wrong_are_told_in_one_line(environment: dict[str, str]) -> None:
    done = qiosk({**environment, "QIOSK_IDLE_SECONDS": "soon"}, "supervise")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"QIOSK_IDLE_SECONDS: must be" in done.stderr
