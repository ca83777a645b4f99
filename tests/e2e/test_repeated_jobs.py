"""Jobs that are extended and repeated on a real server, with a key: over SQLite and files, PostgreSQL and a bucket."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from databases import postgres_schema
from patience import HANG_S
from qiosk import Job, Problem, Workspace, rerun
from qiosk.bootstrap.storage import open_storage
from qiosk.client.solvers import SimulatedAnnealing
from qiosk.errors import Conflict, Forbidden, InvalidValue, JobFailed
from qiosk.optimization import Term
from qiosk.service.jobs.job import BlobRef
from qiosk.version import __version__
from served import served

NAMES = {"subscription_id": "sub", "resource_group": "group", "name": "repeated"}
WORKSPACE = "/".join(NAMES.values())
RNG = np.random.default_rng(5)
PAIRS = [tuple(RNG.choice(300, 2, replace=False).tolist()) for _ in range(900)]
GLASS = Problem("glass", [Term(c=float(RNG.choice([-1, 1])), indices=list(pair)) for pair in PAIRS])


class Place:
    """A workspace of a server, and its keys: one that may write, one that may only read."""

    def __init__(self, url: str, home: Path, storage: str) -> None:
        self.url, self._home, self._storage = url, home, storage
        self.writer, self.reader = self._key(), self._key("--read-only")

    def _key(self, *options: str) -> str:
        made = run("keys", "create", "ann", "--home", str(self._home), "--workspace", WORKSPACE, *options)
        assert made.returncode == 0, made.stderr
        return made.stdout.split()[-1]

    def open(self, secret: str) -> Workspace:
        return Workspace(self.url, api_key=secret, **NAMES)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run(*words, "--url", self.url, "--workspace", WORKSPACE, QIOSK_API_KEY=self.writer)

    def rewrite_checkpoint(self, job: Job, **changes: object) -> None:
        """Write the checkpoint of a job as another version would, at the store that the server uses."""
        store = open_storage(self._storage).blobs(WORKSPACE)
        (name,) = [name for name in store.list(job.container_name) if name.startswith("checkpoint")]
        with np.load(io.BytesIO(store.get(BlobRef(job.container_name, name)))) as members:
            arrays = dict(members)
        tree = json.loads(arrays["tree"].tobytes()) | changes
        file = io.BytesIO()
        np.savez(file, **{**arrays, "tree": np.frombuffer(json.dumps(tree).encode(), np.uint8)})
        store.put(BlobRef(job.container_name, name), file.getvalue())


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "qiosk", *words]
    return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=HANG_S)


@pytest.fixture(scope="module", params=["sqlite and files", "postgresql and a bucket"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    path = tmp_path_factory.mktemp("repeated")
    settings = {"storage": (path / "blobs").as_uri(), "database": f"sqlite:///{path / 'jobs.db'}"}
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        if "bucket" in request.param:
            settings = {"storage": "s3://bucket/repeated", "database": stack.enter_context(postgres_schema())}
            for name, value in request.getfixturevalue("s3_environment").items():
                patch.setenv(name, value)
        for name, value in settings.items():
            patch.setenv(f"QIOSK_{name.upper()}", value)
        server = stack.enter_context(served(path / "home", **settings))
        yield Place(server.url, path / "home", settings["storage"])


@pytest.fixture
def workspace(place: Place) -> Iterator[Workspace]:
    with place.open(place.writer) as opened:
        yield opened


def ended(job: Job) -> Job:
    job.wait_until_completed(timeout_secs=HANG_S)
    assert job.details.status == "Succeeded", job.details.error_data
    return job


def cut(workspace: Workspace) -> Job:
    """A job that its time limit has ended."""
    for timeout in (1, 8, 64):  # on a busy machine, a short one may end within a step, which leaves no checkpoint
        job = SimulatedAnnealing(workspace, sweeps=10**9, restarts=4, seed=3, timeout=timeout).submit(GLASS)
        assert ended(job).stop_reason == "timeout"
        if job.details.can_extend:
            break
    assert job.details.can_extend
    return job


def test_an_extension_goes_on_from_the_checkpoint_in_the_store(place: Place, workspace: Workspace) -> None:
    job = cut(workspace)
    longer = ended(job.extend(timeout=0.5))
    assert (longer.details.parent_id, longer.stop_reason) == (job.id, "timeout")
    assert longer.trace[: len(job.trace)] == job.trace
    assert longer.details.progress.sweeps > job.details.progress.sweeps
    assert longer.get_results().cost <= job.get_results().cost
    before, after = job.provenance, longer.provenance
    assert (after.problem, after.seed) == (before.problem, before.seed)
    assert after.given == {**before.given, "timeout": 0.5}
    assert longer.details.submitter == job.details.submitter
    assert any("resumes from" in line.text for line in longer.logs())
    job.delete()
    again = place.command("jobs", "extend", longer.id[:8], "--timeout", "0.5")
    assert again.returncode == 0, again.stderr
    last = ended(workspace.get_job(again.stdout.strip()))
    assert (last.details.parent_id, last.trace[: len(longer.trace)]) == (longer.id, longer.trace)
    assert [each.id for each in workspace.list_jobs(parent_id=longer.id)] == [last.id]


@pytest.mark.parametrize("changes", [{"version": 99, "qiosk": "99.0"}, {"format": "another", "qiosk": "99.0"}])
def test_no_job_goes_on_from_a_checkpoint_of_another_format(
    place: Place, workspace: Workspace, changes: dict[str, object]
) -> None:
    job = cut(workspace)
    place.rewrite_checkpoint(job, **changes)
    longer = job.extend(timeout=0.5)
    with pytest.raises(JobFailed, match="format must be qiosk-checkpoint version"):
        longer.get_results(timeout_secs=HANG_S)
    assert longer.details.error_data.code == "UnreadableCheckpoint"
    assert f"of Qiosk 99.0 by Qiosk {__version__}" in longer.details.error_data.message
    assert not longer.details.has_results


def test_a_job_that_goes_on_from_a_checkpoint_of_another_version_says_so(place: Place, workspace: Workspace) -> None:
    job = cut(workspace)
    place.rewrite_checkpoint(job, qiosk="99.0")
    lines = [line.text for line in ended(job.extend(timeout=0.5)).logs()]
    assert any(f"Qiosk {__version__} goes on from a checkpoint of Qiosk 99.0" in line for line in lines)


def test_a_rerun_finds_the_same_and_names_what_it_repeats(place: Place, workspace: Workspace) -> None:
    solver = SimulatedAnnealing(workspace, sweeps=50, restarts=2, seed=7, params={"bound": "trivial"})
    job = ended(solver.submit(GLASS))
    again = ended(job.rerun())
    assert again.details.metadata["rerunOf"] == job.id
    assert (again.details.parent_id, again.details.submitter) == (None, job.details.submitter)
    comparison = job.compare(again)
    assert comparison.is_same
    assert (comparison.is_decided_by_time, comparison.differences) == (False, {})
    assert again.provenance.given == job.provenance.given
    receipts = job.get_receipt(), again.get_receipt()
    assert None not in receipts
    for each in (job, again):
        verified = place.command("verify", each.id)
        assert verified.returncode == 0, verified.stdout + verified.stderr
    done = place.command("rerun", job.id[:8], "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["is_same"], found["is_same_cost"]) == (True, True)
    assert workspace.get_job(found["job"]).details.metadata["rerunOf"] == job.id
    local = place.command("rerun", job.id, "--local", "--json")
    assert (local.returncode, json.loads(local.stdout)["is_same"]) == (0, True), local.stderr
    assert rerun(job, job.get_results()).is_same


def test_a_rerun_of_an_extension_is_decided_by_time(workspace: Workspace) -> None:
    longer = ended(cut(workspace).extend(timeout=0.5))
    comparison = longer.compare(ended(longer.rerun()))
    assert comparison.is_decided_by_time


def test_who_may_only_read_neither_extends_nor_repeats(place: Place, workspace: Workspace) -> None:
    job = cut(workspace)
    count = len(workspace.list_jobs())
    with place.open(place.reader) as reading:
        seen = reading.get_job(job.id)
        for act in (lambda: seen.extend(1), seen.rerun):
            with pytest.raises(Forbidden):
                act()
        assert rerun(seen, seen.get_results()).comparison.is_decided_by_time
    assert len(workspace.list_jobs()) == count


def test_jobs_that_cannot_go_on_or_be_repeated_are_refused(workspace: Workspace) -> None:
    job = ended(SimulatedAnnealing(workspace, sweeps=5, restarts=1, seed=1).submit(GLASS))
    with pytest.raises(Conflict, match="its stop reason is finished"):
        job.extend(1)
    with pytest.raises(InvalidValue, match="timeout: must be a number of seconds above 0"):
        job.extend(-1)
    failed = SimulatedAnnealing(workspace, sweeps=5).submit(b"no problem")
    failed.wait_until_completed(timeout_secs=HANG_S)
    with pytest.raises(Conflict, match="has no results to compare with, its status is Failed"):
        failed.rerun()
    other = Problem("other", [Term(c=1.0, indices=[0, 1])])
    api = workspace.api
    api.put_blob(*api.locate(job.details.input_data_uri), other.to_blob())
    with pytest.raises(InvalidValue, match="the digest of its input must be"):
        job.rerun()
