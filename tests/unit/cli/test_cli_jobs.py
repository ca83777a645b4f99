"""The commands that manage jobs, over the jobs interface in memory."""

from __future__ import annotations

import gzip
import itertools
import json
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from fake_jobs import START, TARGETS, FakeJobs
from patience import HANG_S
from qiosk.bounds import Bound, bound
from qiosk.cli.app import app
from qiosk.client.remote.connection import Connection
from qiosk.contract.jobs import ErrorData, JobProgress, JobStatus, SubmitJob, TargetView
from qiosk.contract.logs import LogLine
from qiosk.errors import ServiceUnavailable
from qiosk.formats import columns
from qiosk.problem import Problem, Term

TERMS = b'[{"c": -9, "ids": [0]}, {"c": -3, "ids": [1, 0]}]'
PROBLEM = b'{"cost_function": {"version": "1.0", "type": "ising", "terms": %s}}' % TERMS
RESULTS = {
    "version": "1.0",
    "configuration": {"0": 1, "1": 1},
    "cost": -12.0,
    "parameters": {"sweeps": 10, "seed": 22},
    "solutions": [{"configuration": {"0": 1, "1": 1}, "cost": -12.0}],
}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeJobs:
    fake = FakeJobs()
    monkeypatch.setattr("qiosk.client.opening._open_embedded", lambda home, key: fake)
    return fake


@pytest.fixture
def problem(tmp_path: Path) -> str:
    path = tmp_path / "ship.loading.json"
    path.write_bytes(PROBLEM)
    return str(path)


def qiosk(*words: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(words), input=stdin)


def test_the_log_of_a_job_is_printed_line_by_line(api: FakeJobs) -> None:
    job_id = queue(api)
    api.logs = [
        LogLine(time=START, level="INFO", text="attempt 1 runs", position=78),
        LogLine(time=START, level="ERROR", text="the solver failed\nTraceback", position=170),
    ]
    at = f"{START.astimezone():%Y-%m-%d %H:%M:%S.%f}"
    done = qiosk("jobs", "log", job_id[:8])
    assert done.output == f"{at} INFO attempt 1 runs\n{at} ERROR the solver failed\nTraceback\n"
    found = json.loads(qiosk("jobs", "log", job_id, "--json").output)
    assert [line["text"] for line in found] == ["attempt 1 runs", "the solver failed\nTraceback"]
    assert qiosk("jobs", "log", "no-such-job").exit_code == 2


def queue(api: FakeJobs, name: str = "ship") -> str:
    target = "microsoft.paralleltempering.cpu"
    return api.submit(SubmitJob(name=name, provider_id="Microsoft", target=target, input_data=b"{}")).id


def succeed(api: FakeJobs, job_id: str) -> None:
    api.finish(job_id, JobStatus.SUCCEEDED, json.dumps(RESULTS).encode())


def test_submit_prints_the_id_and_names_the_job_after_the_file(api: FakeJobs, problem: str) -> None:
    done = qiosk("submit", problem, "--timeout", "5", "--seed", "22", "--tag", "a", "--tag", "b")
    assert done.exit_code == 0, done.output
    command = api.commands[0]
    assert done.stdout.strip() == command.id
    assert (command.name, command.tags) == ("ship", ("a", "b"))
    assert command.target == "qiosk.auto"
    assert command.input_params == {"params": {"timeout": 5.0, "seed": 22}}
    assert gzip.decompress(command.input_data or b"") == PROBLEM


def test_submit_reads_standard_input_and_keeps_gzip_as_it_is(api: FakeJobs) -> None:
    packed = gzip.compress(PROBLEM)
    done = qiosk("submit", "-", "--json", "--name", "mine", stdin=packed)
    assert json.loads(done.stdout)["name"] == "mine"
    assert api.commands[0].input_data == packed


@pytest.mark.parametrize(
    ("target", "params"),
    [
        ("1qbit.tabu", {"timeout": "3000.0", "seed": "5"}),
        ("toshiba.sbm.ising", {"timeout": 3.0, "seed": 5}),
        ("microsoft.tabu.cpu", {"params": {"timeout": 3.0, "seed": 5}}),
    ],
)
def test_a_time_limit_is_in_seconds_whatever_the_target_counts_in(
    api: FakeJobs, problem: str, target: str, params: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fake_jobs.TARGETS", (TargetView(id=target, provider_id=""),))
    done = qiosk("submit", problem, "--target", target, "--timeout", "3", "--seed", "5")
    assert done.exit_code == 0, done.output
    assert api.commands[0].input_params == params


def test_submit_makes_penalties_of_constraints(api: FakeJobs) -> None:
    content = b"maximize\n obj: 6 x0 + 5 x1\nsubject to\n one: x0 + x1 = 1\nbinary\n x0 x1\nend\n"
    assert "--penalty auto" in qiosk("submit", "-", stdin=content).stderr
    assert api.commands == []
    assert qiosk("submit", "-", "--penalty", "100", stdin=content).exit_code == 0
    command = api.commands[0]
    assert command.input_data_format == columns.NAME
    sent = Problem.from_cost_function(columns.read(gzip.decompress(command.input_data or b"")))
    costs = {bits: float(sent.evaluate(dict(enumerate(bits)))) for bits in itertools.product((0, 1), repeat=2)}
    assert costs == {(0, 0): 100, (1, 0): -6, (0, 1): -5, (1, 1): 89}


@pytest.mark.parametrize(
    ("words", "target", "params"),
    [
        (["--target", "paralleltempering", "-p", "sweeps=7"], "microsoft.paralleltempering.cpu", {"sweeps": 7}),
        (
            ["--target", "paralleltempering", "-p", "all_betas=[0.5, 1]"],
            "microsoft.paralleltempering.cpu",
            {"all_betas": [0.5, 1]},
        ),
        (["--target", "SimulatedAnnealing"], "microsoft.simulatedannealing-parameterfree.cpu", {}),
        (["--target", "microsoft.simulatedannealing.cpu"], "microsoft.simulatedannealing.cpu", {}),
    ],
)
def test_parameters_choose_between_the_targets_of_a_solver(
    api: FakeJobs, problem: str, words: list[str], target: str, params: dict[str, object]
) -> None:
    done = qiosk("submit", problem, *words)
    assert done.exit_code == 0, done.output
    assert (api.commands[0].target, api.commands[0].input_params) == (target, {"params": params})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["submit", "/none/such.json"], "error: /none/such.json: No such file or directory"),
        (["submit", "-"], "error: AZQ105"),
        (["submit", "FILE", "--target", "nope"], "error: target 'microsoft.nope.cpu' is not offered"),
        (["submit", "FILE", "-p", "timeuot=7"], "has no such parameter, did you mean `timeout`?"),
        (["submit", "FILE", "-p", "sweeps"], "must be NAME=VALUE, found 'sweeps'"),
        (["submit", "FILE", "-p", "=7"], "must be NAME=VALUE, found '=7'"),
        (["submit", "FILE", "-p", "timeout=NaN"], "error: AZQ107: parameter `timeout`: must be finite, found nan"),
        (["submit"], "Missing argument"),
        (["jobs", "show", "none"], "error: job 'none' does not exist"),
        (["jobs", "list", "--name", "("], "error: --name must be a regular expression, found '('"),
        (["jobs", "list", "--status", "done"], "error: --status must be one of Waiting"),
        (["jobs", "cancel", "none"], "error: job 'none' does not exist"),
        (["jobs", "watch", "none"], "error: job 'none' does not exist"),
    ],
)
def test_wrong_commands_and_inputs_end_with_status_2_and_one_line(
    api: FakeJobs, problem: str, words: list[str], message: str
) -> None:
    done = qiosk(*(problem if word == "FILE" else word for word in words))
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""
    assert api.commands == []
    if "error: " in message:
        assert done.stderr.count("\n") == 1


def test_list_shows_newest_first_and_filters(api: FakeJobs) -> None:
    ids = [queue(api, name) for name in ("alpha", "beta", "[red]gamma")]
    api.change(ids[1], status=JobStatus.EXECUTING, progress=JobProgress(best_cost=-2.5))
    lines = qiosk("jobs", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["ID", *reversed(ids)]
    assert "[red]gamma" in lines[1]
    assert "-2.5" in lines[2]
    assert json.loads(qiosk("jobs", "list", "--json", "--status", "executing").stdout)[0]["id"] == ids[1]
    cut = qiosk("jobs", "list", "--json", "--limit", "2")
    assert len(json.loads(cut.stdout)) == 2
    assert cut.stderr == "more than 2 jobs match: --limit shows more\n"
    assert qiosk("jobs", "list", "--json", "--limit", "3").stderr == ""
    assert json.loads(qiosk("jobs", "list", "--json", "--since", "2100-01-01").stdout) == []


def test_show_prints_every_property(api: FakeJobs) -> None:
    job_id = queue(api)
    shown = json.loads(qiosk("jobs", "show", job_id, "--json").stdout)
    text = qiosk("jobs", "show", job_id).stdout
    assert shown["status"] == "Waiting"
    assert len(text.splitlines()) == len(shown)
    assert job_id in text


def test_results_wait_for_the_end_and_can_be_written(api: FakeJobs, tmp_path: Path) -> None:
    job_id = queue(api)
    api.steps = [lambda i: succeed(api, i)]
    out = tmp_path / "out.json"
    done = qiosk("jobs", "results", job_id, "-o", str(out))
    assert done.exit_code == 0, done.output
    assert json.loads(out.read_text()) == RESULTS
    assert "-12.0" in done.stdout
    assert "0: 1  1: 1" in done.stdout
    assert json.loads(qiosk("jobs", "results", job_id, "--json").stdout) == RESULTS


def test_results_of_a_failed_job_end_with_status_1(api: FakeJobs) -> None:
    job_id = queue(api)
    api.finish(job_id, JobStatus.FAILED, error_data=ErrorData(code="InvalidInputData", message="_AZQ103 bad"))
    done = qiosk("jobs", "results", job_id)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: job {job_id} (ship) has no results, its status is Failed: InvalidInputData")


def test_results_that_do_not_come_in_time_end_with_status_1(api: FakeJobs) -> None:
    done = qiosk("jobs", "results", queue(api), "--timeout", "0")
    assert done.exit_code == 1
    assert "not completed after 0.0 s, status is Waiting" in done.stderr


def test_watch_prints_the_results_at_the_end(api: FakeJobs) -> None:
    job_id = queue(api)
    api.steps = [lambda i: api.change(i, status=JobStatus.EXECUTING), lambda i: succeed(api, i)]
    done = qiosk("jobs", "watch", job_id, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["results"] == RESULTS
    assert document["job"]["status"] == "Succeeded"


def test_ctrl_c_while_watching_cancels_and_prints_the_best_so_far(api: FakeJobs) -> None:
    job_id = queue(api)
    api.bests[job_id] = json.dumps(RESULTS).encode()

    api.steps = [lambda _: signal.raise_signal(signal.SIGINT)]
    done = qiosk("jobs", "watch", job_id)
    assert done.exit_code == 1
    assert "-12.0" in done.stdout
    assert "Cancelled" in done.stdout
    assert api.get(job_id).status == "Cancelled"


def test_watching_by_a_short_id_cancels_the_same_job(api: FakeJobs) -> None:
    view = replace(api.get(queue(api)), id="0123abcd-0000-4000-8000-000000000000")
    api.jobs = {view.id: view}
    api.steps = [lambda _: signal.raise_signal(signal.SIGINT)]
    done = qiosk("jobs", "watch", "0123")
    assert done.exit_code == 1
    assert "does not exist" not in done.stderr
    assert api.get(view.id).status == "Cancelled"


def test_a_cancellation_that_fails_is_told_and_watching_goes_on(api: FakeJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = queue(api)

    def away(_: str) -> None:
        raise ServiceUnavailable("the server is away")

    def end(i: str) -> None:
        for thread in threading.enumerate():
            if thread.name == "interrupt":
                thread.join(HANG_S)
        succeed(api, i)

    monkeypatch.setattr(api, "cancel", away)
    api.steps = [lambda _: signal.raise_signal(signal.SIGINT), end]
    done = qiosk("jobs", "watch", job_id)
    assert (done.exit_code, done.stderr) == (0, "error: the server is away\n")
    assert "Succeeded" in done.stdout


def test_watching_a_job_without_results_ends_with_status_1(api: FakeJobs) -> None:
    job_id = queue(api)
    api.cancel(job_id)
    done = qiosk("jobs", "watch", job_id, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["results"] is None
    assert "no solution was found" in done.stderr


def test_cancel_and_delete_take_several_ids(api: FakeJobs) -> None:
    ids = [queue(api), queue(api)]
    stopped = json.loads(qiosk("jobs", "cancel", *ids, "--json").stdout)
    assert [job["status"] for job in stopped] == ["Cancelled", "Cancelled"]
    assert qiosk("jobs", "cancel", ids[0]).stdout.splitlines()[1].split() == [ids[0], "Cancelled"]
    assert qiosk("jobs", "delete", ids[0]).stdout.split() == [ids[0]]
    assert json.loads(qiosk("jobs", "delete", ids[1], "--json").stdout) == {"deleted": [ids[1]]}
    assert api.jobs == {}


def test_targets_are_listed_with_the_parameter_free_ones(api: FakeJobs) -> None:
    listed = json.loads(qiosk("targets", "--json").stdout)
    assert "microsoft.simulatedannealing-parameterfree.cpu" in [target["id"] for target in listed]
    assert listed[-1]["averageQueueTime"] == 7
    assert "microsoft.simulatedannealing.cpu" in qiosk("targets").stdout


def test_the_workspace_is_closed_after_each_command(api: FakeJobs) -> None:
    qiosk("jobs", "list")
    assert api.closed


def test_version_is_printed() -> None:
    from qiosk import __version__

    assert qiosk("--version").stdout.strip() == __version__


def test_a_server_is_named_by_option_or_environment(
    monkeypatch: pytest.MonkeyPatch, problem: str, tmp_path: Path
) -> None:
    opened: list[str] = []
    fake = FakeJobs()

    def open_remote(server: Connection, user_agent: str | None) -> FakeJobs:
        opened.append(f"{server.url} {server.api_key}")
        return fake

    monkeypatch.setattr("qiosk.client.opening._open_remote", open_remote)
    monkeypatch.setattr("qiosk.client.opening._open_embedded", lambda home, key: FakeJobs())
    done = qiosk("submit", problem, "--url", "http://one:1")
    assert done.exit_code == 0, done.output
    monkeypatch.setenv("QIOSK_URL", "http://two:2")
    monkeypatch.setenv("QIOSK_API_KEY", "k")
    assert json.loads(qiosk("jobs", "list", "--json").stdout)[0]["id"] == done.stdout.strip()
    assert qiosk("targets").exit_code == 0
    assert opened == ["http://one:1 None", "http://two:2 k", "http://two:2 k"]
    assert qiosk("jobs", "list", "--home", str(tmp_path)).exit_code == 0
    assert len(opened) == 3
    both = qiosk("jobs", "list", "--home", str(tmp_path), "--url", "http://one:1")
    assert (both.exit_code, "not both" in both.stderr) == (2, True)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    return lambda columns: monkeypatch.setenv("COLUMNS", str(columns))


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 120])
def test_a_list_has_one_line_a_job_at_every_width(api: FakeJobs, terminal: Callable[[int], None], columns: int) -> None:
    ids = [
        queue(api, name)
        for name in ("short", "a name much longer than any terminal is wide " * 5, "線" * 60, "a\nb\x1b[2J")
    ]
    api.change(ids[0], status=JobStatus.EXECUTING, progress=JobProgress(best_cost=-1234567.891))
    terminal(columns)
    lines = qiosk("jobs", "list").stdout.splitlines()
    assert len(lines) == 1 + len(ids)
    assert max(map(cell_len, lines)) <= columns
    assert [line.split()[0] for line in lines[1:]] == [job_id[:8] for job_id in reversed(ids)]
    assert lines[-1].split()[2] == "Executing"
    assert "\x1b" not in "".join(lines)


def test_columns_give_way_by_importance(api: FakeJobs, terminal: Callable[[int], None]) -> None:
    job_id = queue(api, "a name of some length")
    api.change(job_id, progress=JobProgress(best_cost=-1234567.5))
    seen = {}
    for width in (200, 80, 60, 40, 20):
        terminal(width)
        seen[width] = qiosk("jobs", "list").stdout.splitlines()[0].split()
    assert seen[200] == seen[80] == ["ID", "NAME", "STATUS", "TARGET", "CREATED", "BEST"]
    assert seen[60][:3] == ["ID", "NAME", "STATUS"]
    assert "BEST" in seen[60]
    assert seen[40] == ["ID", "NAME", "STATUS", "BEST"]
    assert seen[20] == ["ID", "STATUS"]


def test_listed_short_ids_differ_and_name_their_jobs_in_every_command(
    api: FakeJobs, terminal: Callable[[int], None]
) -> None:
    view = api.get(queue(api))
    ids = [f"0123abcd-0000-4000-8000-00000000000{k}" for k in range(2)] + ["0123aaaa-0000-4000-8000-000000000000"]
    api.jobs = {job_id: replace(view, id=job_id) for job_id in ids}
    terminal(60)
    assert sorted(line.split()[0] for line in qiosk("jobs", "list").stdout.splitlines()[1:]) == sorted(ids)
    del api.jobs[ids[1]]
    assert sorted(line.split()[0] for line in qiosk("jobs", "list").stdout.splitlines()[1:]) == ["0123aaaa", "0123abcd"]
    several = qiosk("jobs", "show", "0123a")
    assert (several.exit_code, several.stdout) == (2, "")
    assert "error: id '0123a': several ids begin so: " in several.stderr
    assert json.loads(qiosk("jobs", "show", "0123ABC", "--json").stdout)["id"] == ids[0]
    assert qiosk("jobs", "cancel", "0123ab").exit_code == 0
    assert api.get(ids[0]).status == JobStatus.CANCELLED
    succeed(api, ids[2])
    assert json.loads(qiosk("jobs", "watch", "0123aa", "--json").stdout)["job"]["id"] == ids[2]
    assert qiosk("jobs", "delete", "0123ab").stdout.split() == [ids[0]]
    assert list(api.jobs) == [ids[2]]


def test_only_uuids_are_shortened(api: FakeJobs) -> None:
    view = api.get(queue(api))
    api.jobs = {"beef-and-more": replace(view, id="beef-and-more")}
    assert qiosk("jobs", "delete", "beef").exit_code == 2
    assert list(api.jobs) == ["beef-and-more"]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "now"),
        (59, "59 s ago"),
        (61, "1 min ago"),
        (7200, "2 h ago"),
        (86400 * 3, "3 d ago"),
        (86400 * 800, "2 y ago"),
    ],
)
def test_times_in_narrow_lists_are_relative(
    api: FakeJobs, terminal: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, seconds: int, shown: str
) -> None:
    monkeypatch.setattr("qiosk.cli.output.datetime", Mock(now=lambda zone: START + timedelta(seconds=seconds)))
    queue(api)
    terminal(90)
    assert shown in qiosk("jobs", "list").stdout


def test_states_are_coloured_on_a_terminal_unless_no_color_is_set(
    api: FakeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(api)
    monkeypatch.setattr("qiosk.cli.table.sys", Mock(stdout=Mock(isatty=lambda: True)))
    coloured = CliRunner().invoke(app, ["jobs", "list"], color=True)
    assert "\x1b[33mWaiting\x1b[0m" in coloured.stdout.replace(" ", "")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in CliRunner().invoke(app, ["jobs", "list"], color=True).stdout


def test_a_job_is_verified_with_its_receipt(api: FakeJobs, tmp_path: Path) -> None:
    api_command = SubmitJob(name="a", provider_id="Microsoft", target=TARGETS[0].id, input_data=PROBLEM)
    job_id = api.submit(api_command).id
    early = qiosk("verify", job_id)
    assert early.exit_code != 0
    assert "has not ended, it is Waiting" in " ".join(early.output.split())
    bound = qiosk_bound([Term(c=-9, indices=[0]), Term(c=-3, indices=[1, 0])])
    document = RESULTS | {"bound": {"value": bound.value, "gap": 0.0, "method": bound.method}}
    api.finish(job_id, JobStatus.SUCCEEDED, json.dumps(document).encode())
    receipt = tmp_path / "receipt.npz"
    assert qiosk("jobs", "results", job_id, "--receipt", str(receipt)).exit_code != 0
    assert not receipt.exists()
    assert qiosk("verify", job_id).exit_code == 0
    api.blobs[f"job-{job_id}", "receipt"] = bound.receipt()
    assert qiosk("jobs", "results", job_id, "--receipt", str(receipt)).exit_code == 0
    assert receipt.read_bytes() == bound.receipt()
    assert qiosk("verify", job_id).exit_code == 0
    document["bound"]["value"] = bound.value + 1
    api.blobs[f"job-{job_id}", "rawOutputData"] = json.dumps(document).encode()
    assert qiosk("verify", job_id).exit_code == 1


def qiosk_bound(terms: list[Term]) -> Bound:
    return bound(Problem("ship", terms=terms))
