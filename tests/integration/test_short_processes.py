"""Many short-lived processes on one SQLite file, some of them killed in the middle of a write."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import homes
from qiosk.contract.jobs import JobQuery, JobStatus

TESTS = Path(__file__).parents[1]
AT_ONCE = 6
PROGRAM = """
import pathlib, sys
import homes
from qiosk.contract.jobs import JobQuery
service = homes.open_home(pathlib.Path(sys.argv[1]), idle_seconds=1.0)
while True:
    view = homes.submit(service, {"chunks": 0}, name="short" * 200)
    print(view.id, flush=True)  # from here on the job is accepted
    service.get(view.id)
    next(iter(service.list(JobQuery())))
    if sys.argv[2] == "once":
        break
service.close()
"""


class Programs:
    """Processes that submit jobs, and the ids that they were given."""

    def __init__(self, home: Path, folder: Path, seed: int) -> None:
        self._home = home
        self._folder = folder
        self._random = random.Random(seed)
        self._begun = 0
        self._running: list[tuple[subprocess.Popen[bytes], float, Path]] = []
        self.errors: list[str] = []
        self.accepted: list[str] = []
        self.killed = 0

    def run(self, count: int) -> None:
        """Run so many, ``AT_ONCE`` at the same time; half of them submit without end and are killed."""
        while self._begun < count or self._running:
            while self._begun < count and len(self._running) < AT_ONCE:
                self._begin()
            self._running = [each for each in self._running if not self._ended(*each)]
            time.sleep(0.002)

    def _begin(self) -> None:
        is_doomed = self._begun % 2 == 1
        place = self._folder / f"program-{self._begun}"
        command = [sys.executable, "-c", PROGRAM, str(self._home), "endless" if is_doomed else "once"]
        environ = {**os.environ, "PYTHONPATH": str(TESTS)}
        with place.with_suffix(".out").open("wb") as out, place.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen(command, env=environ, stdout=out, stderr=err)
        lives_s = self._random.uniform(0.0, 0.05) if is_doomed else float("inf")
        self._running.append((process, lives_s, place))
        self._begun += 1

    def _ended(self, process: subprocess.Popen[bytes], lives_s: float, place: Path) -> bool:
        out = place.with_suffix(".out").read_text()
        if lives_s < float("inf") and out and process.poll() is None:  # it is in the middle of its work
            time.sleep(lives_s)
            process.send_signal(signal.SIGKILL)
            process.wait()
        if process.poll() is None:
            return False
        is_killed = process.returncode == -signal.SIGKILL
        self.killed += is_killed
        if process.returncode != 0 and not is_killed:
            self.errors.append(place.with_suffix(".err").read_text())
        written = place.with_suffix(".out").read_text().splitlines(keepends=True)
        self.accepted += [line.strip() for line in written if line.endswith("\n")]
        return True


def stress(home: Path, folder: Path, count: int, seed: int) -> Programs:
    """Run ``count`` programs on a home; then all jobs end well and the database is whole."""
    programs = Programs(home, folder, seed)
    programs.run(count)
    assert programs.errors == []
    assert programs.killed == count // 2
    service = homes.open_home(home, idle_seconds=1.0)
    ended = [homes.finished(service, job_id) for job_id in programs.accepted]
    assert {view.status for view in ended} == {JobStatus.SUCCEEDED}
    stored = {view.id for view in service.list(JobQuery())}
    assert stored >= set(programs.accepted)
    service.close()
    homes.close_home(home)
    with sqlite3.connect(home / "jobs.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()
    return programs


def test_processes_that_are_killed_while_they_write_harm_no_job(tmp_path):
    programs = stress(tmp_path / "home", tmp_path, count=24, seed=1)
    assert len(programs.accepted) >= 24
