"""The commands under ``qiosk sessions``, over stores in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from qiosk.cli.app import app
from servers import MemoryParts


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> MemoryParts:
    parts = MemoryParts()
    monkeypatch.setattr("qiosk.client.opening._open_embedded", lambda home, key: parts.jobs(key))
    return parts


def qiosk(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_a_session_is_opened_filled_listed_and_closed(tmp_path: Path) -> None:
    problem = tmp_path / "ship.json"
    problem.write_text('{"cost_function": {"version": "1.0", "type": "ising", "terms": [{"c": 1, "ids": [0]}]}}')
    opened = qiosk("sessions", "open", "night run", "--continue")
    session_id = opened.stdout.strip()
    job_id = qiosk("submit", str(problem), "--session", session_id).stdout.strip()
    shown = json.loads(qiosk("sessions", "show", session_id, "--json").stdout)
    assert (shown["name"], shown["status"], shown["jobFailurePolicy"]) == ("night run", "Executing", "Continue")
    assert [job["id"] for job in json.loads(qiosk("sessions", "jobs", session_id, "--json").stdout)] == [job_id]
    assert job_id in qiosk("sessions", "jobs", session_id).stdout
    qiosk("submit", str(problem))
    listed = json.loads(qiosk("jobs", "list", "--session", session_id[:8], "--json").stdout)
    assert [job["id"] for job in listed] == [job_id]
    assert qiosk("jobs", "list", "--session", "nope").stderr == "error: session nope was not found\n"
    assert "Succeeded" in qiosk("sessions", "close", session_id).stdout
    listed = qiosk("sessions", "list", "--status", "succeeded").stdout
    assert session_id in listed
    assert "night run" in listed
    refused = qiosk("submit", str(problem), "--session", session_id)
    assert (refused.exit_code, "takes no more jobs" in refused.stderr) == (1, True)


def test_long_lists_say_that_there_is_more() -> None:
    for number in range(3):
        qiosk("sessions", "open", f"run {number}", "--target", "microsoft.tabu.cpu")
    listed = qiosk("sessions", "list", "--limit", "2", "--json")
    assert len(json.loads(listed.stdout)) == 2
    assert "more than 2 sessions match" in listed.stderr


@pytest.mark.parametrize("command", ["show", "jobs", "close"])
def test_unknown_sessions_are_told_in_one_line(command: str) -> None:
    done = qiosk("sessions", command, "nope")
    assert (done.exit_code, done.stderr) == (2, "error: session nope was not found\n")


def test_short_ids_of_sessions_are_taken_everywhere(tmp_path: Path) -> None:
    problem = tmp_path / "ship.json"
    problem.write_text('{"cost_function": {"version": "1.0", "type": "ising", "terms": [{"c": 1, "ids": [0]}]}}')
    session_id = qiosk("sessions", "open", "night run").stdout.strip()
    job_id = qiosk("submit", str(problem), "--session", session_id[:7]).stdout.strip()
    assert json.loads(qiosk("sessions", "show", session_id[:4], "--json").stdout)["id"] == session_id
    assert [job["id"] for job in json.loads(qiosk("sessions", "jobs", session_id[:8], "--json").stdout)] == [job_id]
    assert json.loads(qiosk("sessions", "close", session_id[:8].upper(), "--json").stdout)["status"] == "Succeeded"
