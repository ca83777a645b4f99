"""Named workspaces on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fake_jobs import FakeJobs
from qiosk.bootstrap import open_embedded
from qiosk.cli.app import app
from qiosk.client.workspace import Workspace
from qiosk.contract.jobs import SubmitJob
from qiosk.service.accounts.keys import KeyService
from servers import MemoryParts, listening

NAMED = "sub/group/mine"
COMMAND = SubmitJob(name="x", provider_id="Microsoft", target="microsoft.tabu.cpu", input_data=b"{}")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    keys: list[str] = []

    def open_fake(home: Path | None, key: str) -> FakeJobs:
        keys.append(key)
        return FakeJobs()

    monkeypatch.setattr("qiosk.client.opening._open_embedded", open_fake)
    return keys


def qiosk(*words: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(words), input=stdin)


@pytest.mark.parametrize(
    "words",
    [
        ["jobs", "list"],
        ["jobs", "show", "x"],
        ["jobs", "results", "x"],
        ["jobs", "watch", "x"],
        ["jobs", "cancel", "x"],
        ["jobs", "delete", "x"],
        ["targets"],
        ["submit", "-"],
    ],
)
def test_every_command_of_jobs_takes_a_workspace(
    opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("QIOSK_HOME", str(tmp_path))
    problem = b'{"cost_function": {"version": "1.0", "type": "ising", "terms": [{"c": 1, "ids": [0]}]}}'
    qiosk(*words, "--workspace", "Sub/Group/Mine", stdin=problem)
    qiosk(*words, "-w", "default", stdin=problem)
    assert opened == [NAMED, "default"]
    assert qiosk(*words, "--workspace", "mine", stdin=problem).exit_code == 2


def test_the_environment_names_a_workspace_of_this_machine(opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SUBSCRIPTION_ID", "sub"), ("RESOURCE_GROUP", "group"), ("WORKSPACE", "mine")):
        monkeypatch.setenv(f"QIOSK_{name}", value)
    qiosk("targets")
    qiosk("targets", "--workspace", "default")
    assert Workspace(subscription_id="a", resource_group="b", name="c").key == "a/b/c"
    assert opened == [NAMED, "default", "a/b/c"]
    assert Workspace().name == "mine"
    assert Workspace(api=FakeJobs()).name == "default"
    monkeypatch.delenv("QIOSK_WORKSPACE")
    assert "name missing" in str(qiosk("targets").exception) + qiosk("targets").stderr


def test_workspaces_of_a_server_are_those_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryParts()
    for key in (NAMED, NAMED, "default"):
        memory.jobs(key).submit(COMMAND)
    keys = KeyService(memory.keys, memory.clock)
    with listening(memory.parts) as url:

        def rows(*words: str) -> list[list[str]]:
            done = qiosk("workspaces", "list", *words)
            assert done.exit_code == 0, done.stderr
            lines = [line.split() for line in done.stdout.splitlines()]  # after those of the server's log
            return lines[lines.index(["WORKSPACE", "JOBS"]) + 1 :]

        assert rows("--url", url) == [["default", "1"], [NAMED, "2"]]
        empty = qiosk("jobs", "list", "--url", url, "-w", "x/y/z")
        assert empty.stderr.endswith(f"these have, and --workspace selects them: default, {NAMED}\n")
        monkeypatch.setenv("QIOSK_URL", url)
        monkeypatch.setenv("QIOSK_API_KEY", keys.create("own", workspace="x/y/z")[1])
        assert rows() == [["x/y/z", "0"]]
        empty = qiosk("jobs", "list", "-w", "x/y/z")
        assert (empty.exit_code, empty.stderr) == (0, "")
        memory.clock.sleep(2)
        monkeypatch.setenv("QIOSK_API_KEY", "qk_a_b")
        refused = qiosk("workspaces", "list")
        assert (refused.exit_code, refused.stderr) == (1, "error: the API key is not valid\n")


def test_an_empty_list_names_the_workspaces_that_have_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for method in ("ensure", "wake"):  # the job has to wait
        monkeypatch.setattr(f"qiosk.adapters.home.launcher.SupervisorLauncher.{method}", lambda _: None)
    assert qiosk("jobs", "list", "--home", str(tmp_path)).stderr == ""
    jobs = open_embedded(tmp_path, workspace=NAMED)
    jobs.submit(COMMAND)
    jobs.close()
    empty = qiosk("jobs", "list", "--home", str(tmp_path))
    assert empty.stderr == f"workspace default has no jobs; these have, and --workspace selects them: {NAMED}\n"
    found = qiosk("jobs", "list", "--home", str(tmp_path), "--workspace", NAMED, "--json")
    assert [job["name"] for job in json.loads(found.stdout)] == ["x"]
    assert qiosk("jobs", "list", "--home", str(tmp_path), "-w", NAMED, "--name", "none").stderr == ""
    listed = qiosk("workspaces", "list", "--home", str(tmp_path), "--json")
    assert json.loads(listed.stdout) == [{"workspace": NAMED, "jobs": 1}]
    assert [line.split() for line in qiosk("workspaces", "list", "--home", str(tmp_path)).stdout.splitlines()[1:]] == [
        [NAMED, "1"]
    ]
