"""Options of commands, and the errors that name them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import qiosk as library
from fake_jobs import START, FakeJobs
from qiosk.cli.app import app
from qiosk.cli.output import counted
from qiosk.cli.since import parse_since, parse_until
from qiosk.client.solvers import Solver
from qiosk.client.workspace import Workspace
from qiosk.contract.jobs import JobStatus, SubmitJob
from qiosk.errors import InvalidTarget
from qiosk.solvers.targets.catalogue import full_name

PROBLEM = b'{"cost_function": {"version": "1.0", "type": "ising", "terms": [{"c": 1, "ids": [0, 1]}]}}'


def qiosk(*words: str, stdin: bytes | None = PROBLEM) -> Result:
    return CliRunner().invoke(app, list(words), input=stdin)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeJobs:
    fake = FakeJobs()
    monkeypatch.setattr("qiosk.client.opening._open_embedded", lambda home, key: fake)
    monkeypatch.setattr("qiosk.client.opening._open_remote", lambda server, user_agent: fake)
    return fake


@pytest.mark.parametrize(
    "words", [["solve", "-", "-o"], ["jobs", "results", "none", "--output"], ["convert", "-", "--from", "qio"]]
)
@pytest.mark.parametrize("path", ["no/such/folder/out.json", "."])
def test_an_output_that_cannot_be_written_is_refused_first(
    api: FakeJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], path: str
) -> None:
    monkeypatch.setattr("qiosk.cli.solving.solve_file", None)
    monkeypatch.setattr("qiosk.cli.commands.convert.write_file", None)
    done = qiosk(*words, str(tmp_path / path))
    assert done.exit_code == 2
    assert "folder" in done.stderr


def test_solve_takes_threads_kernel_target_cost_and_labels(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = ["--threads", "1", "--kernel", "plain", "--target-cost", "-1", "--label", "mine", "--tag", "a"]
    done = qiosk("solve", "-", *words, "-p", "sweeps=10", "--target", "simulatedannealing", "-o", str(out), "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["label"], document["tags"], document["cost"]) == ("mine", ["a"], -1.0)
    assert json.loads(out.read_text()) == document


def test_solve_on_a_server_is_a_job(api: FakeJobs) -> None:
    results = {"version": "1.0", "configuration": {"0": 1}, "cost": -1.0, "parameters": {}}
    api.steps = [lambda job_id: api.finish(job_id, JobStatus.SUCCEEDED, json.dumps(results).encode())]
    done = qiosk(
        "solve", "-", "--url", "http://one:1", "--label", "mine", "--tag", "a", "--target-cost", "-1", "--json"
    )
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["cost"] == -1.0
    command = api.commands[0]
    assert (command.name, command.tags, command.input_params) == ("mine", ("a",), {"params": {"target_cost": -1.0}})
    for option in ("--threads=2", "--kernel=dense"):
        assert qiosk("solve", "-", "--url", "http://one:1", option).exit_code == 2


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["solve", "-", "--timeout", "-1"], "--timeout"),
        (["solve", "-", "--seed", str(2**70)], "--seed"),
        (["solve", "-", "--threads", "0"], "--threads"),
        (["solve", "-", "-p", "sweeps"], "--param"),
        (["jobs", "list", "--name", "("], "--name"),
        (["jobs", "list", "--status", "done"], "--status"),
        (["sessions", "list", "--status", "done"], "--status"),
        (["jobs", "list", "--status", "waiting", "--status", "done"], "--status"),
        (["jobs", "list", "--since", "soon"], "--since"),
        (["jobs", "list", "--until", "99999999999d"], "--until"),
        (["serve", "--port", "70000"], "--port"),
        (["serve", "--public-url", "x"], "--public-url"),
        (["serve", "--log-format", "x"], "--log-format"),
        (["serve", "--executor", "slurm"], "--executor"),
        (["serve", "--executor", "ray", "--ray-address", "head"], "--ray-address"),
    ],
)
def test_errors_name_the_option(api: FakeJobs, words: list[str], option: str) -> None:
    done = qiosk(*words)
    assert done.exit_code == 2
    assert option in done.stderr
    assert "QIOSK_" not in done.stderr
    assert "name_match" not in done.stderr


@pytest.mark.parametrize("words", [[], ["solve"], ["jobs"], ["jobs", "list"], ["workspaces", "list"]])
def test_every_command_has_a_short_option_for_help(words: list[str]) -> None:
    done = qiosk(*words, "-h")
    assert done.exit_code == 0
    assert "Usage: " in done.stdout


def test_the_shell_completes_commands() -> None:
    env = os.environ | {"_QIOSK_COMPLETE": "complete_bash", "COMP_WORDS": "qiosk jobs ", "COMP_CWORD": "2"}
    call = "import sys; sys.argv = ['qiosk']; from qiosk.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", call], env=env, capture_output=True, text=True)
    assert {"list", "show", "watch"} <= set(done.stdout.split()), done.stderr


def test_since_is_a_length_a_word_or_a_date() -> None:
    now = datetime.now().astimezone()
    assert abs(parse_since("1h") - (now - timedelta(hours=1))) < timedelta(minutes=10)
    assert parse_since("2026-11-01") == datetime(2026, 11, 1).astimezone()
    assert parse_since("2026-11-01T12:00Z") == datetime.fromisoformat("2026-11-01T12:00+00:00")
    assert parse_since("today") - parse_since("Yesterday") <= timedelta(hours=25)


def test_until_includes_the_day() -> None:
    assert parse_until("2026-11-01") == parse_since("2026-11-02") - timedelta(microseconds=1)
    assert parse_until("yesterday") == parse_since("today") - timedelta(microseconds=1)
    assert parse_until("2026-11-01T12:00Z") == parse_since("2026-11-01T12:00Z")


def test_a_list_of_jobs_takes_every_condition(api: FakeJobs) -> None:
    def queue(name: str, target: str = "microsoft.paralleltempering.cpu", **members: Any) -> str:
        command = SubmitJob(name=name, provider_id="Microsoft", target=target, input_data=b"{}", **members)
        return api.submit(command).id

    def listed(*words: str) -> list[str]:
        done = qiosk("jobs", "list", *words, "--json")
        assert done.exit_code == 0, done.stderr
        return [job["id"] for job in json.loads(done.stdout)]

    first = queue("first", tags=("a", "b"), session_id="s")
    second = queue("second", "microsoft.simulatedannealing-parameterfree.cpu", tags=("a",))
    third = queue("third")
    api.change(first, status=JobStatus.SUCCEEDED)
    api.change(second, status=JobStatus.FAILED)
    assert listed("--status", "succeeded", "--status", "Failed") == [second, first]
    assert listed("--tag", "a") == [second, first]
    assert listed("--tag", "a", "--tag", "b") == [first]
    assert listed("--target", "paralleltempering") == [third, first]
    assert listed("--until", START.isoformat()) == listed("--name", "^first") == [first]
    assert listed("--since", START.isoformat(), "--until", "today", "--limit", "1") == [third]


def test_plural_forms() -> None:
    assert (counted(0, "job"), counted(1, "job"), counted(2, "job")) == ("0 jobs", "1 job", "2 jobs")
    assert repr(library.Problem("x")).endswith("0 terms)")
    problem = library.Problem("x")
    problem.add_terms(coefficients=[1], ids=[[0]])
    assert repr(problem).endswith("1 term)")


def test_short_target_names_in_python(api: FakeJobs) -> None:
    workspace = Workspace(api=api)
    assert Solver(workspace, "SimulatedAnnealing").name == "microsoft.simulatedannealing-parameterfree.cpu"
    assert Solver(workspace, "tabu", params={"sweeps": 3}).name == "microsoft.tabu.cpu"
    assert Solver(workspace, "pticm").name == "1qbit.pticm"
    assert workspace.get_targets("simulatedannealing").name == "microsoft.simulatedannealing-parameterfree.cpu"
    Solver(workspace, "paralleltempering").submit(PROBLEM)
    assert len(workspace.list_jobs(target="paralleltempering")) == 1
    assert workspace.list_jobs(target="tabu") == []
    assert full_name("sbm") == "toshiba.sbm.ising"
    assert full_name("tabu", ["sweeps"]) == "microsoft.tabu.cpu"
    assert full_name("tabu", ["timeout", "seed"]) == "microsoft.tabu-parameterfree.cpu"
    problem = library.Problem("x")
    problem.add_terms(coefficients=[1], ids=[[0, 1]])
    assert library.solve(problem, "Tabu", sweeps=5, seed=1, disabled_features=[]).cost == -1
    with pytest.raises(InvalidTarget, match="'nope'"):
        library.solve(problem, "nope")
