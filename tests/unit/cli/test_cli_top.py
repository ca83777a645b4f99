"""``qiosk top`` without a terminal."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from fake_jobs import START, FakeJobs
from qiosk.cli.app import app
from qiosk.contract.jobs import JobProgress, JobStatus, SubmitJob
from qiosk.errors import ServiceUnavailable


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeJobs:
    fake = FakeJobs()
    monkeypatch.setattr("qiosk.client.opening._open_embedded", lambda home, key: fake)
    return fake


def top(*words: str) -> Result:
    return CliRunner().invoke(app, ["top", *words])


def queue(api: FakeJobs, name: str) -> str:
    target = "microsoft.paralleltempering.cpu"
    return api.submit(SubmitJob(name=name, provider_id="Microsoft", target=target, input_data=b"{}")).id


def test_the_table_is_printed_once(api: FakeJobs) -> None:
    waits, runs, ended = (queue(api, name) for name in ("wa\x1bits", "[b]runs[/b]", "ended"))
    progress = JobProgress(fraction=0.5, best_cost=-8.0, bound=-10.0)
    api.change(runs, status=JobStatus.EXECUTING, begin_execution_time=START, progress=progress)
    api.finish(ended, JobStatus.SUCCEEDED)
    done = top()
    assert done.exit_code == 0, done.output
    title, first, second = done.output.splitlines()
    assert title.split() == ["NAME", "ID", "STATUS", "TARGET", "PROGRESS", "BEST", "GAP", "ELAPSED"]
    assert first.split()[:-1] == ["[b]runs[/b]", runs, "Executing", "paralleltempering", "50%", "-8", "25", "%"]
    assert second.split()[:-1] == ["wa", "its", waits, "Waiting", "paralleltempering"]
    assert ended in top("--all").output


def test_the_jobs_as_json_have_the_order_of_the_table(api: FakeJobs) -> None:
    assert json.loads(top("--json").output) == []
    waits, runs = queue(api, "waits"), queue(api, "runs")
    api.change(runs, status=JobStatus.EXECUTING, begin_execution_time=START)
    found = json.loads(top("--json").output)
    assert [(job["id"], job["status"]) for job in found] == [(runs, "Executing"), (waits, "Waiting")]


@pytest.mark.parametrize(("interval", "status"), [("0.25", 0), ("3600", 0), ("0.2", 2), ("nan", 2), ("x", 2)])
def test_the_interval_has_limits(api: FakeJobs, interval: str, status: int) -> None:
    assert top("--interval", interval).exit_code == status


def test_what_is_wrong_from_the_start_is_an_error(api: FakeJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*given: object, **members: object) -> None:
        raise ServiceUnavailable("server x did not respond")

    monkeypatch.setattr(api, "page", away)
    done = top()
    assert (done.exit_code, done.stderr) == (1, "error: server x did not respond\n")
    assert top("--workspace", "a/b").exit_code == 2
