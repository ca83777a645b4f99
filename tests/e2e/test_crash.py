"""Fifty jobs, and everything that works on them killed at random moments: each ends Succeeded, once."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

import homes
from patience import HANG_S
from qiosk.contract.jobs import JobQuery, JobStatus, JobView
from qiosk.errors import SupervisorUnavailable
from qiosk.formats import registry as formats
from qiosk.service.jobs.job_service import JobService
from qiosk.service.names import receipt_name
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.solve import run_target

JOBS = 50
SETTINGS = {"concurrent_jobs": 2, "threads": 1, "idle_seconds": 1.0, "runner": None}
KILLS = {"submitter": 6, "supervisor": 8, "fork server": 3, "job": 25}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

# Submitting again is harmless: the same definition under the same id is the same job.
SUBMITTER = """
import json, pathlib, sys, time
import homes, test_crash
from qiosk.contract.jobs import JobQuery, SubmitJob
service = homes.open_home(pathlib.Path(sys.argv[1]), **test_crash.SETTINGS)
seen = {view.id for view in service.list(JobQuery())}
for number in range(test_crash.JOBS):
    service.submit(SubmitJob(id=f"job-{number}", name="crash", provider_id="Microsoft", target=homes.TARGET,
                             input_data=test_crash.problem(number), input_params=test_crash.params(number)))
    if f"job-{number}" not in seen:
        time.sleep(0.3)
"""


def problem(number: int) -> bytes:
    """A spin glass on 60 variables."""
    rng = random.Random(number)
    terms = [{"c": rng.choice([-1, 1]), "ids": [i, j]} for i in range(60) for j in range(i) if rng.random() < 0.3]
    return json.dumps({"cost_function": {"version": "1.0", "type": "ising", "terms": terms}}).encode()


def params(number: int) -> dict:
    return {"params": {"sweeps": 20_000, "restarts": 64, "seed": number}}


def start_submitter(path: Path) -> subprocess.Popen:
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(homes.__file__).parent), str(Path(__file__).parent)]),
    }
    return subprocess.Popen([sys.executable, "-c", SUBMITTER, str(path)], env=environ)


class Killer:
    """Kills whatever of a home it meets, until it has killed enough of each kind."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.random = random.Random(seed)
        self.killed: Counter[str] = Counter()

    def is_done(self) -> bool:
        return all(self.killed[kind] >= number for kind, number in KILLS.items())

    def strike(self, submitter: subprocess.Popen) -> None:
        spared = [kind for kind in KILLS if not self.killed[kind]]  # first one of each: jobs may be over soon
        wanted = spared or [kind for kind, number in KILLS.items() if self.killed[kind] < number]
        weights = [KILLS[kind] - self.killed[kind] for kind in wanted]
        kind = self.random.choices(wanted, weights)[0]
        pids = [submitter.pid] if kind == "submitter" else self.find(kind)
        if kind == "submitter" and submitter.poll() is not None:
            return
        if pids:
            with suppress(ProcessLookupError):
                os.kill(self.random.choice(pids), signal.SIGKILL)
                self.killed[kind] += 1

    def find(self, kind: str) -> list[int]:
        supervisor = homes.supervisor_pid(self.path)
        if supervisor is None:
            return []
        if kind == "supervisor":
            return [supervisor]
        with suppress(psutil.Error):
            servers = homes.titled(psutil.Process(supervisor).children(), "forkserver")
            if kind == "fork server":
                return [server.pid for server in servers]
            return [job.pid for server in servers for job in server.children()]
        return []


def kill_while_they_work(path: Path, service: JobService, seed: int) -> Killer:
    killer = Killer(path, seed)
    submitter = start_submitter(path)
    deadline = time.monotonic() + HANG_S
    try:
        while True:
            assert time.monotonic() < deadline, f"not finished; killed {killer.killed}"
            time.sleep(killer.random.uniform(0.02, 0.5))
            if not killer.is_done():
                killer.strike(submitter)
            if submitter.poll() not in (None, 0):
                submitter = start_submitter(path)
            # Callers are told of it when one supervisor after the other is killed before it does anything.
            with suppress(SupervisorUnavailable):
                views = list(service.list(JobQuery()))
                if submitter.poll() == 0 and len(views) == JOBS and all(view.status.is_final for view in views):
                    return killer
    finally:
        submitter.kill()
        submitter.wait()


def test_fifty_jobs_survive_any_number_of_kills(tmp_path):
    path = tmp_path / "home"
    service = homes.open_home(path, **SETTINGS)
    try:
        killer = kill_while_they_work(path, service, seed=20261122)
        assert sum(killer.killed.values()) >= 15, killer.killed
        assert all(killer.killed[kind] for kind in KILLS), killer.killed
        views = list(service.list(JobQuery()))
        assert Counter(view.status for view in views) == {JobStatus.SUCCEEDED: JOBS}
        assert max(view.attempts for view in views) > 1
        assert homes.eventually(lambda: not homes.processes_of(path)), "processes were left behind"
        leftovers = sum(check_result(service, view) for view in views)
        assert leftovers <= 2 * killer.killed["supervisor"], "only who is killed at that very moment does not tidy up"
    finally:
        service.close()
        homes.close_home(path)


def check_result(service: JobService, view: JobView) -> int:
    """One result, by the last attempt, and the one that an undisturbed run finds; returns the number of leftovers."""
    output = "rawOutputData" if view.attempts == 1 else f"rawOutputData-{view.attempts}"
    assert view.output_data_uri.endswith(f"/{output}")
    found = json.loads(service.results(view.id))
    number = int(re.sub("[^0-9]", "", view.id))
    if number % 10 == 0:
        cost_function = formats.read(problem(number))
        undisturbed = run_target(homes.TARGET, params(number), cost_function, threads=1, hooks=Hooks())
        again = json.loads(undisturbed.to_json())
        sources = [document.pop("provenance") for document in (found, again)]
        bounds = [document.pop("bound") for document in (found, again)]  # the better, the longer a run took
        assert all(bound["value"] <= found["cost"] for bound in bounds)
        assert found == again
        assert sources[0]["problem"] == sources[1]["problem"]
    assert service.trace(view.id)[-1].cost == found["cost"]
    return len(set(service.list_blobs(f"job-{view.id}")) - {"inputData", output, receipt_name(output)})
