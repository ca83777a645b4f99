"""``python -m benchmarks.service.chaos [--jobs 1000] [--database URL] [--http] [--every 3]``: nothing is lost.

Jobs are submitted while supervisors, fork servers and job processes, with ``--http`` also the server, are killed
(SIGKILL) at random, one every few seconds at most. At the end every job must have succeeded, once, with the result that
an undisturbed run finds; a final state must never have changed; no process may be left; and nothing may be left in the
storage once everything has been pruned. Exits with 1, and says what was wrong, if any of that is not so.

Without ``--database`` jobs are in a SQLite file; a PostgreSQL URL gets a schema of its own, dropped at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import psutil

from benchmarks.service.store import a_schema
from qiosk.adapters.home.home import SupervisorLock
from qiosk.bootstrap import open_administration, open_embedded
from qiosk.client.workspace import Workspace
from qiosk.contract.api import JobsApi
from qiosk.contract.jobs import JobQuery, JobStatus, JobView, SubmitJob
from qiosk.errors import ServiceUnavailable, SupervisorUnavailable
from qiosk.settings import Settings

TARGET = "microsoft.simulatedannealing.cpu"
TRIPLE = ("00000000-0000-0000-0000-000000000000", "chaos", "chaos")
Answer = TypeVar("Answer")


def problem(number: int) -> bytes:
    """A spin glass on 40 variables."""
    rng = random.Random(number % 10)
    terms = [{"c": rng.choice([-1, 1]), "ids": [i, j]} for i in range(40) for j in range(i) if rng.random() < 0.3]
    return json.dumps({"cost_function": {"version": "1.0", "type": "ising", "terms": terms}}).encode()


def command(number: int, sweeps: int) -> SubmitJob:
    """One of ten different jobs."""
    params = {"params": {"sweeps": sweeps, "restarts": 32, "seed": number % 10}}
    return SubmitJob(
        id=f"chaos-{number}",
        name=f"chaos {number}",
        provider_id="Microsoft",
        target=TARGET,
        input_data=problem(number),
        input_params=params,
    )


@dataclass
class Place:
    """Where everything is. ``url`` is the server's, None if there is none."""

    settings: Settings
    url: str | None
    server: subprocess.Popen[bytes] | None = None
    faults: list[str] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """The supervisor's log, which is the standard error of all that work for the home."""
        return self.settings.home / "supervisor.log"

    def open(self) -> JobsApi:
        """The jobs, as a user has them."""
        if self.url is not None:
            return Workspace(*TRIPLE, url=self.url).api
        return open_embedded(settings=self.settings)

    def start_server(self) -> None:
        """Start the server, if there is one and it does not live."""
        if self.url is None or (self.server is not None and self.server.poll() is None):
            return
        command = [sys.executable, "-m", "qiosk", "serve", "--home", str(self.settings.home)]
        environ = {**os.environ, **self.settings.to_environ()}
        with (self.settings.home / "server.log").open("ab") as log:
            self.server = subprocess.Popen(
                [*command, "--port", self.url.rpartition(":")[2]], env=environ, stdout=log, stderr=log
            )

    def stop_server(self, within_s: float) -> None:
        """Stop it as an administrator would."""
        if self.server is not None:
            self.server.terminate()
            self.server.wait(within_s)

    def processes(self) -> list[psutil.Process]:
        """Supervisor, fork server and job processes."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                is_ours = os.readlink(f"/proc/{process.pid}/fd/2") == str(self.log)
                if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def supervisor(self) -> int | None:
        """Process id of the living supervisor."""
        lock = SupervisorLock(self.settings.home / "supervisor.lock")
        return lock.holder() if lock.is_held() else None


class Killer(threading.Thread):
    """Kills something of a place now and then."""

    def __init__(self, place: Place, every_s: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.killed: Counter[str] = Counter()
        self.is_done = threading.Event()
        self._place = place
        self._every_s = every_s
        self._random = random.Random(seed)

    def run(self) -> None:
        """Until ``is_done``."""
        kinds = ["supervisor", "fork server", "job", "job", "job"]  # the first two take every job along
        if self._place.url is not None:
            kinds.append("server")
        while not self.is_done.wait(self._random.uniform(0.2, 1.0) * self._every_s):
            kind = self._random.choice(kinds)
            pids = self._find(kind)
            if pids:
                with suppress(ProcessLookupError):
                    os.kill(self._random.choice(pids), signal.SIGKILL)
                    self.killed[kind] += 1
            if kind == "server":
                self._place.server.wait()
            self._place.start_server()

    def _find(self, kind: str) -> list[int]:
        if kind == "server":
            return [self._place.server.pid]
        supervisor = self._place.supervisor()
        if supervisor is None:
            return []
        if kind == "supervisor":
            return [supervisor]
        with suppress(psutil.Error):
            children = psutil.Process(supervisor).children()
            servers = [child for child in children if "forkserver" in " ".join(child.cmdline())]
            if kind == "fork server":
                return [server.pid for server in servers]
            return [job.pid for server in servers for job in server.children()]
        return []


def insist(ask: Callable[[], Answer], until: float) -> Answer:
    """An answer, however often it takes."""
    while True:
        try:
            return ask()
        except (ServiceUnavailable, SupervisorUnavailable, ConnectionError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


class Watch:
    """Every final state that was ever seen, so that none changes unnoticed."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._final: dict[str, tuple[object, ...]] = {}

    def note(self, view: JobView) -> None:
        """Compare with what was seen before."""
        if not view.status.is_final:
            if view.id in self._final:
                self._place.faults.append(f"{view.id}: is {view.status} again")
            return
        uri = (view.output_data_uri or "").partition("?")[0]
        seen = (view.status, view.end_execution_time, uri, view.attempts)
        if self._final.setdefault(view.id, seen) != seen:
            self._place.faults.append(f"{view.id}: was {self._final[view.id]}, then {seen}")


def run_jobs(place: Place, jobs: int, sweeps: int, within_s: float) -> list[JobView]:
    """Submit all jobs and follow them to their ends."""
    api, watch = place.open(), Watch(place)
    until = time.monotonic() + within_s
    for number in range(jobs):
        insist(lambda number=number: api.submit(command(number, sweeps)), until)
    while True:
        views = insist(lambda: list(api.list(JobQuery())), until)
        for view in views:
            watch.note(view)
        if len(views) == jobs and all(view.status.is_final for view in views):
            api.close()
            return views
        if time.monotonic() > until:
            states = Counter(view.status for view in views)
            place.faults.append(f"not finished within {within_s:.0f} s: {dict(states)} of {jobs}")
            return views
        time.sleep(0.5)


def check_results(place: Place, views: list[JobView], within_s: float) -> None:
    """One result each, and the same one for the same problem."""
    api, until = place.open(), time.monotonic() + within_s
    found: dict[int, set[str]] = {}
    for view in views:
        if not view.status.is_final:
            continue  # said already, for all of them
        if view.status is not JobStatus.SUCCEEDED:
            place.faults.append(f"{view.id}: {view.status}, {view.error_data}")
            continue
        results = insist(lambda view=view: api.results(view.id), until)
        document = json.loads(results)
        found.setdefault(int(view.id.partition("-")[2]) % 10, set()).add(json.dumps(document["solutions"]))
    place.faults += [f"problem {kind} has {len(f)} different results" for kind, f in found.items() if len(f) != 1]
    if len({view.id for view in views}) != len(views):
        place.faults.append("a job was listed twice")
    api.close()


def check_remains(place: Place, within_s: float) -> None:
    """No process is left, and after everything was pruned no blob."""
    deadline = time.monotonic() + within_s
    while (left := place.processes()) and time.monotonic() < deadline:
        time.sleep(0.1)
    place.faults += [f"left behind: {process}" for process in left]
    with open_administration(settings=place.settings) as administration:
        pruned = administration.prune(timedelta(0), has_uploads=True)
    blobs = [path for path in (place.settings.home / "blobs").rglob("*") if path.is_file()]
    place.faults += [f"left behind: {path}" for path in blobs[:10]]
    print(f"pruned {pruned.jobs} jobs, {pruned.blobs} blobs; {len(blobs)} blobs were left")


@contextmanager
def a_place(database: str, has_server: bool, within_s: float) -> Iterator[Place]:
    """A new home, and a schema if the jobs are kept in PostgreSQL."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        home = folder / "home"
        home.mkdir(mode=0o700)
        url = stack.enter_context(a_schema(database)).render_as_string(hide_password=False) if database else None
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        settings = Settings(home=home, database=url, concurrent_jobs=2, threads=1, idle_seconds=1.0, max_attempts=1000)
        place = Place(settings, f"http://127.0.0.1:{port}" if has_server else None)
        try:
            place.start_server()
            yield place
        finally:
            place.stop_server(within_s)
            for process in place.processes():
                with suppress(psutil.NoSuchProcess):
                    process.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--database", default="", metavar="URL")
    parser.add_argument("--http", action="store_true", help="over a server, which is killed as well")
    parser.add_argument("--every", type=float, default=3.0, metavar="SECONDS", help="longest time between two kills")
    parser.add_argument("--sweeps", type=int, default=20_000, help="work of each job")
    parser.add_argument("--within", type=float, default=1800.0, metavar="SECONDS", help="what takes longer hangs")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with a_place(given.database, given.http, given.within) as place:
        killer = Killer(place, given.every, given.seed)
        start = time.monotonic()
        killer.start()
        views = run_jobs(place, given.jobs, given.sweeps, given.within)
        killer.is_done.set()
        killer.join()
        took = time.monotonic() - start
        attempts = Counter(view.attempts for view in views)
        states = {str(state): count for state, count in Counter(view.status for view in views).items()}
        print(f"{len(views)} jobs in {took:.0f} s: {states}; killed {dict(killer.killed)}")
        print(f"jobs by number of attempts: {dict(sorted(attempts.items()))}")
        place.start_server()
        check_results(place, views, given.within)
        place.stop_server(given.within)
        check_remains(place, given.within)
        if place.faults:
            print(*place.log.read_text(errors="replace").splitlines()[-40:], sep="\n")
    for fault in place.faults[:50]:
        print(f"WRONG: {fault}")
    print("every job reached exactly one final state, and nothing is left" if not place.faults else "it failed")
    return 1 if place.faults else 0


if __name__ == "__main__":
    sys.exit(main())
