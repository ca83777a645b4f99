"""Studies over a service in memory: which jobs are submitted, and what is found of them."""

from __future__ import annotations

import asyncio
import io
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from qiosk import Problem, Study, Workspace, aio
from qiosk.contract.jobs import JobQuery, JobStatus, JobView, SubmitJob, TracePoint
from qiosk.errors import Conflict, InvalidValue, NotEnoughMemory, QuotaExceeded, UnreadableInput
from qiosk.studies.rows import gap_to, time_to
from qiosk.testing import ManualClock, MemoryService, failing

TRIANGLE = "3 3\n1 2 1\n2 3 -2\n1 3 4\n"  # the best cut has weight 5: cost 3 - 2 * 5
MODEL = "maximize\n obj: 6 x0 + 5 x1 + 4 x2\nsubject to\n one: 3 x0 + 2 x1 + 2 x2 <= 4\nbinary\n x0 x1 x2\nend\n"
SETTINGS = """
name = "first"
instances = ["*.rud"]
seeds = 2
[[targets]]
target = "tabu"
grid.sweeps = [5, 50]
"""


def chain(name: str = "chain") -> Problem:
    problem = Problem(name)
    problem.add_terms(coefficients=[1] * 9, ids=[[i, i + 1] for i in range(9)])
    return problem


def tabu(**parameters: Any) -> list[dict[str, Any]]:
    return [{"target": "tabu", "parameters": {"sweeps": 5, **parameters}}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one.rud").write_text(TRIANGLE)
    (tmp_path / "two.rud").write_text(TRIANGLE.replace("4", "6"))
    (tmp_path / "study.toml").write_text(SETTINGS)
    return tmp_path


def job_ids(workspace: Workspace) -> list[str]:
    return [job.id for job in workspace.list_jobs()]


def test_a_study_is_a_job_for_each_combination(folder: Path) -> None:
    workspace = MemoryService().workspace()
    study = Study.from_file(workspace, folder / "study.toml")
    assert {row.status for row in study.rows()} == {"NotSubmitted"}
    study.run()
    rows = study.rows()
    assert [(row.instance, row.solver, row.seed) for row in rows] == [
        (instance, f"tabu sweeps={sweeps}", seed)
        for instance in ("one", "two")
        for sweeps in (5, 50)
        for seed in (0, 1)
    ]
    assert {(row.instance, row.cost) for row in rows} == {("one", -7.0), ("two", -9.0)}
    assert study.counts() == {(f"tabu sweeps={sweeps}", "Succeeded"): 4 for sweeps in (5, 50)}
    jobs = workspace.list_jobs(tags="study:first")
    assert {job.id for job in jobs} == {row.job_id for row in rows}
    assert len({job.details.input_data_uri for job in jobs}) == 2  # uploaded once
    assert {job.details.metadata["instance"] for job in jobs if job.details.metadata} == {"one", "two"}
    (session,) = workspace.list_sessions("^first$")
    assert session.status == "Succeeded"
    assert len(session.list_jobs()) == 8
    row = rows[0]
    assert row.provenance is not None
    assert (row.provenance.seed, row.provenance.parameters["sweeps"]) == (0, 5)
    assert row.time_to_best == row.trace[-1].seconds


def test_a_study_that_is_run_again_submits_only_what_is_missing(folder: Path) -> None:
    workspace = MemoryService().workspace()
    Study.from_file(workspace, folder / "study.toml").run()
    before = job_ids(workspace)
    Study.from_file(workspace, folder / "study.toml").run()
    assert job_ids(workspace) == before
    assert len(workspace.list_sessions()) == 1  # nothing to submit, so none was opened
    text = SETTINGS.replace("seeds = 2", "seeds = 3")
    (folder / "study.toml").write_text(text)
    Study.from_file(workspace, folder / "study.toml").run()
    assert len(job_ids(workspace)) == 12
    (folder / "one.rud").write_text(TRIANGLE.replace("-2", "-3"))  # another instance of this name
    study = Study.from_file(workspace, folder / "study.toml")
    assert Counter(row.status for row in study.rows()) == {"Succeeded": 6, "NotSubmitted": 6}
    study.run()
    assert len(job_ids(workspace)) == 18
    (folder / "study.toml").write_text(text.replace('"first"', '"second"'))
    Study.from_file(workspace, folder / "study.toml").run()
    assert len(job_ids(workspace)) == 30


def test_equal_parameters_are_the_same_job_however_they_are_written() -> None:
    workspace = MemoryService().workspace()
    for timeout in (3, 3.0):
        Study(workspace, "a", [chain()], tabu(timeout=timeout)).run()
    Study(workspace, "a", [chain()], tabu(), timeout=3).run()
    assert len(job_ids(workspace)) == 1


class Limited:
    """A workspace whose jobs run when a caller waits for them; ``most`` is how many were active at once."""

    def __init__(self, quota: int = 10**9, clock: ManualClock | None = None) -> None:
        self.memory = MemoryService(is_deferred=True, clock=clock)
        self.workspace = self.memory.workspace()
        self.inner = self.workspace.api
        self.workspace.api = self  # type: ignore[assignment]
        self.quota = quota
        self.most = 0
        self.on_wait = self.memory.run_waiting

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def active(self) -> int:
        states = (JobStatus.WAITING, JobStatus.EXECUTING)
        return len(list(self.inner.list(JobQuery(statuses=states))))

    def submit(self, command: SubmitJob) -> JobView:
        if self.active() >= self.quota:
            raise QuotaExceeded("too many jobs wait")
        view = self.inner.submit(command)
        self.most = max(self.most, self.active())
        return view

    def wait(self, job_id: str, timeout_s: float) -> JobView:
        self.on_wait()
        return self.inner.get(job_id)


def test_no_more_jobs_than_the_limit_wait_or_run_at_once() -> None:
    limited = Limited()
    study = Study(limited.workspace, "a", [chain()], tabu(), seeds=10, jobs_in_flight=3)
    study.run()
    assert limited.most == 3
    assert Counter(row.status for row in study.rows()) == {"Succeeded": 10}


def test_each_job_is_read_a_few_times_however_many_are_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that have not ended are read twice a second at most: here the clock stands still after the first look."""
    limited = Limited()
    read: Counter[str] = Counter()

    def counted(name: str) -> Any:
        found = getattr(limited.inner, name)

        def call(*args: Any) -> Any:
            read[name] += 1
            return found(*args)

        return call

    for name in ("get", "list"):
        monkeypatch.setattr(limited, name, counted(name), raising=False)
    monkeypatch.setattr("qiosk.studies.running.monotonic", lambda: 0.0)
    Study(limited.workspace, "a", [chain()], tabu(), seeds=40, jobs_in_flight=20).run(show_progress=False)
    assert read["list"] <= 3
    assert read["get"] <= 3 * 40


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_rows_are_read_in_batches_and_those_of_ended_jobs_once(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qiosk.studies.study._BATCH", batch)
    limited = Limited()
    study = Study(limited.workspace, "a", [chain()], tabu(), seeds=7)
    study.run(show_progress=False)
    rows = study.rows()
    assert [row.seed for row in rows] == list(range(7))
    assert {row.status for row in rows} == {"Succeeded"}
    monkeypatch.setattr(limited, "list", None, raising=False)  # nothing is to be listed
    assert study.rows() == rows


def test_a_run_that_is_told_to_stop_leaves_its_jobs() -> None:
    limited = Limited()
    study = Study(limited.workspace, "a", [chain()], tabu(), seeds=6, jobs_in_flight=2)
    study.run(show_progress=False, should_stop=lambda: len(job_ids(limited.workspace)) >= 4)
    assert Counter(row.status for row in study.rows()) == {"Succeeded": 4, "NotSubmitted": 2}
    study.run(show_progress=False)
    assert {row.status for row in study.rows()} == {"Succeeded"}


def test_asyncio_programs_run_studies_too(folder: Path) -> None:
    memory = MemoryService(is_deferred=True)

    async def main() -> list[str]:
        async with aio.Workspace(api=memory.service) as workspace:
            study = await aio.Study.from_file(workspace, folder / "study.toml")
            running = asyncio.create_task(study.run())
            while {state for _, state in await study.counts()} != {"Waiting"}:
                await asyncio.sleep(0.01)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            states = {row.status for row in await study.rows()}
            memory.run_waiting()
            await study.run()
            await study.write(folder / "rows.csv")
            assert (await study.plot("ranks")).get_xlabel()
            assert await study.cancel() == 0
            other = aio.Study(workspace, study.name, ["*.rud"], tabu(), seeds=1, folder=folder)
            return [*states, *(row.status for row in await study.rows()), repr(other), *map(str, await other.rows())]

    pytest.importorskip("matplotlib")
    found = asyncio.run(main())
    assert found[:9] == ["Waiting", *["Succeeded"] * 8]
    assert found[9] == "<Study 'first' of 2 instances>"
    assert len((folder / "rows.csv").read_text().splitlines()) == 9


def test_a_quota_of_the_workspace_lets_the_study_wait() -> None:
    limited = Limited(quota=2)
    Study(limited.workspace, "a", [chain()], tabu(), seeds=5).run()
    assert (limited.most, len(job_ids(limited.workspace))) == (2, 5)
    with pytest.raises(QuotaExceeded):
        Study(Limited(quota=0).workspace, "a", [chain()], tabu()).run()


def test_jobs_of_a_run_that_was_interrupted_are_found_again() -> None:
    limited = Limited()

    def interrupt() -> None:
        raise KeyboardInterrupt

    limited.on_wait = interrupt
    study = Study(limited.workspace, "a", [chain()], tabu(), seeds=6, jobs_in_flight=4)
    with pytest.raises(KeyboardInterrupt):
        study.run()
    assert Counter(row.status for row in study.rows()) == {"Waiting": 4, "NotSubmitted": 2}
    limited.on_wait = limited.memory.run_waiting
    Study(limited.workspace, "a", [chain()], tabu(), seeds=6, jobs_in_flight=4).run()
    assert Counter(row.status for row in study.rows()) == {"Succeeded": 6}
    assert len(limited.workspace.list_sessions()) == 1  # the session was open, and is continued


def test_two_processes_at_once_submit_each_job_once() -> None:
    limited = Limited()
    other = Study(limited.workspace, "a", [chain()], tabu(), seeds=4)
    study = Study(limited.workspace, "a", [chain()], tabu(), seeds=4, jobs_in_flight=1)
    others: list[Study] = [other]

    def let_the_other_run() -> None:
        limited.memory.run_waiting()
        while others:
            others.pop().run()

    limited.on_wait = let_the_other_run
    study.run()
    assert Counter(row.status for row in study.rows()) == {"Succeeded": 4}
    assert len(job_ids(limited.workspace)) == 4


def test_a_cancelled_study_submits_no_more_and_can_be_taken_up_again() -> None:
    limited = Limited()
    study = Study(limited.workspace, "a", [chain()], tabu(), seeds=5, jobs_in_flight=2)
    cancelled: list[int] = []
    limited.on_wait = lambda: cancelled.append(study.cancel())
    with pytest.raises(Conflict, match="study a: its session .* was closed"):
        study.run()
    assert cancelled == [2]
    assert Counter(row.status for row in study.rows()) == {"Cancelled": 2, "NotSubmitted": 3}
    limited.on_wait = limited.memory.run_waiting
    study.run()
    assert Counter(row.status for row in study.rows()) == {"Cancelled": 2, "Succeeded": 3}
    study.run(retry=True)
    assert Counter(row.status for row in study.rows()) == {"Succeeded": 5}


def test_a_session_that_has_timed_out_is_followed_by_another() -> None:
    clock = ManualClock()
    limited = Limited(clock=clock)
    study = Study(limited.workspace, "a", [chain()], tabu(), seeds=3, jobs_in_flight=1)
    pauses = [700.0]

    def wait_long_once() -> None:
        while pauses:
            clock.sleep(pauses.pop())
        limited.memory.run_waiting()

    limited.on_wait = wait_long_once
    study.run()
    assert Counter(row.status for row in study.rows()) == {"Succeeded": 3}
    assert Counter(str(session.status) for session in limited.workspace.list_sessions()) == {
        "Succeeded": 1,
        "TimedOut": 1,
    }


def test_an_instance_that_cannot_be_read_and_a_job_that_fails_do_not_stop_the_others(folder: Path) -> None:
    (folder / "bad.rud").write_text("nonsense")
    workspace = MemoryService().workspace()
    study = Study(workspace, "a", ["bad.rud", "one.rud"], tabu(), folder=folder)
    study.run()
    bad, good = study.rows()
    assert (bad.status, bad.job_id, bad.cost, bad.value) == ("Unreadable", None, None, math.inf)
    assert "must be numbers of vertices" in str(bad.error)
    assert (good.status, good.cost) == ("Succeeded", -7.0)
    assert study.counts() == {("tabu", "Unreadable"): 1, ("tabu", "Succeeded"): 1}

    failed = Study(MemoryService(failing(NotEnoughMemory("too large"))).workspace(), "a", [chain()], tabu(), seeds=2)
    failed.run()
    assert {(row.status, row.error) for row in failed.rows()} == {
        ("Failed", "InsufficientResources: _AZQ001 too large")
    }
    assert {row.time_to_target for row in failed.rows()} == {None}


def test_gaps_and_times_to_target_of_known_instances(folder: Path) -> None:
    workspace = MemoryService().workspace()
    instances = [{"files": "one.rud", "best_known": -10}]
    (row,) = _run(Study(workspace, "a", instances, tabu(), folder=folder))
    assert (row.cost, row.best_known, row.target_cost, row.time_to_target) == (-7.0, -10.0, -10.0, math.inf)
    assert row.best_known_gap == pytest.approx(0.3)
    (row,) = _run(Study(workspace, "a", instances, tabu(), folder=folder, target_gap=0.3))
    assert row.target_cost == pytest.approx(-7)
    assert row.time_to_target == row.time_to_best
    (row,) = _run(Study(workspace, "a", ["one.rud"], tabu(), folder=folder))
    assert (row.best_known, row.best_known_gap, row.target_cost) == (None, None, -7.0)  # the best of the study
    study = Study(workspace, "stops", instances, tabu(), folder=folder, target_gap=0.3, stop_at_target=True)
    study.run()
    (job,) = workspace.list_jobs(tags="study:stops")
    assert job.details.input_params["params"]["target_cost"] == pytest.approx(-7)
    with pytest.raises(InvalidValue, match="study: stop_at_target: one has no cost to stop at: no best known cost"):
        Study(workspace, "b", ["one.rud"], tabu(), folder=folder, stop_at_target=True).run()


def _run(study: Study) -> list[Any]:
    study.run()
    return study.rows()


def test_models_are_compared_by_their_objectives(tmp_path: Path) -> None:
    pytest.importorskip("highspy")
    (tmp_path / "item.lp").write_text(MODEL)
    workspace = MemoryService().workspace()
    instances = [{"files": "*.lp", "penalty": "auto", "best_known": 10}]
    (row,) = _run(Study(workspace, "a", instances, [{"parameters": {"timeout": 5}}], folder=tmp_path))
    assert (row.objective, row.is_feasible, row.violated, row.model_status) == (9.0, True, (), "optimal")
    assert (row.value, row.best_known_gap, row.target_cost, row.time_to_target) == (-9.0, 0.1, None, None)


def test_bounds_are_in_the_table() -> None:
    workspace = MemoryService().workspace()
    (row,) = _run(Study(workspace, "a", [chain()], tabu(bound="auto")))
    assert (row.cost, row.bound, row.gap) == (-9.0, -9.0, 0.0)


@pytest.mark.parametrize("target", ["1qbit.tabu", "toshiba.sbm.ising"])
def test_targets_of_other_providers_get_their_own_units_and_forms(target: str) -> None:
    workspace = MemoryService().workspace()
    study = Study(workspace, "a", [chain()], [{"target": target}], timeout=1.5, seeds=2)
    study.run()
    assert {(row.status, row.cost) for row in study.rows()} == {("Succeeded", -9.0)}
    (first, _) = workspace.list_jobs()
    expected = "1500.0" if target.startswith("1qbit") else 1.5
    assert first.details.input_params["timeout"] == expected
    assert first.details.provider_id == target.partition(".")[0]


def test_an_empty_study_has_nothing_to_do() -> None:
    workspace = MemoryService().workspace()
    for instances, targets in (([], tabu()), ([chain()], []), ([], [])):
        study = Study(workspace, "empty", instances, targets)
        study.run()
        assert (study.rows(), study.counts(), study.cancel()) == ([], {}, 0)
    assert (workspace.list_jobs(), workspace.list_sessions()) == ([], [])


def test_files_are_found_by_patterns_and_named_so_that_they_differ(folder: Path) -> None:
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "one.rud").write_text(TRIANGLE)
    (folder / "deep" / "b[1].rud").write_text(TRIANGLE)
    (folder / "be100.1.sparse").write_text("2 2\n1 1 -3\n1 2 1\n")
    workspace = MemoryService().workspace()

    def names(*patterns: str) -> list[str]:
        return [each.name for each in Study(workspace, "a", patterns, tabu(), folder=folder).instances]

    assert names("*.rud") == ["one", "two"]
    assert names("**/*.rud", "one.rud") == ["b[1]", "deep/er/one.rud", "one.rud", "two"]
    assert names("deep/b[1].rud", "be100.1.sparse") == ["b[1]", "be100.1"]
    assert names(str(folder / "t*.rud"), "deep/../one.rud") == ["two", "one"]
    (folder / "link.sparse").symlink_to("be100.1.sparse")
    assert names("link.*") == ["link"]
    for pattern in ("*.mps", "nothing.rud", "deep", "a\\b" * 3000):
        with pytest.raises(InvalidValue, match=r"study: instances\[0\]: must match at least one file, found none for"):
            names(pattern)
    with pytest.raises(InvalidValue, match="study: instances: names must be different, found 'x' twice"):
        Study(workspace, "a", [chain("x"), chain("x")], tabu())


def test_too_many_jobs_are_refused() -> None:
    problems = [chain(f"p{k}") for k in range(2)]
    study = Study(MemoryService().workspace(), "a", problems, tabu(), seeds=600_000)
    with pytest.raises(InvalidValue, match="study: must be at most 1000000 jobs, found 1200000"):
        study.run()


def test_a_file_that_is_missing_or_no_toml(tmp_path: Path) -> None:
    workspace = MemoryService().workspace()
    with pytest.raises(FileNotFoundError):
        Study.from_file(workspace, tmp_path / "none.toml")
    (tmp_path / "a.toml").write_text("name")
    with pytest.raises(UnreadableInput, match=r"a\.toml: must be TOML"):
        Study.from_file(workspace, tmp_path / "a.toml")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_table_of_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    targets = [{"target": "tabu", "grid": {"sweeps": [5, 6]}}]
    Study(MemoryService().workspace(), "night", [chain()], targets).run()
    shown = terminal.getvalue()
    for text in ("study night", "NOT SUBMITTED", "SUCCEEDED", "tabu sweeps=6", "all"):
        assert text in shown
    before = len(shown)
    Study(MemoryService().workspace(), "night", [chain()], targets).run(show_progress=False)
    assert len(terminal.getvalue()) == before


def test_gaps() -> None:
    assert gap_to(-9, -10) == 0.1
    assert gap_to(-11, -10) == -0.1
    assert gap_to(11, 10) == 0.1
    assert gap_to(0.0, 0.0) == 0.0
    assert gap_to(1.0, 0.0) is None
    assert gap_to(-10 * (1 + 1e-12), -10) == 0.0


def test_times_to_a_cost() -> None:
    trace = [TracePoint(0.1, 1, 5.0), TracePoint(0.2, 2, 3.0), TracePoint(0.4, 9, -1.0)]
    found = [time_to(goal, trace) for goal in (6, 5, 4, 3, 3 - 1e-12, 0, -1, -2)]
    assert found == [0.1, 0.1, 0.2, 0.2, 0.2, 0.4, 0.4, math.inf]
    assert time_to(0, []) == math.inf
