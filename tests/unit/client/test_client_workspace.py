"""Workspaces, over the jobs interface in memory."""

from __future__ import annotations

import io
import sys
from datetime import date, timedelta

import pytest

from fake_jobs import START, FakeJobs
from qiosk.client.solvers import Auto, ParallelTempering, SimulatedAnnealing, Solver
from qiosk.client.workspace import Workspace
from qiosk.console.progress_bar import ProgressBar
from qiosk.contract.jobs import JobProgress, JobStatus, SubmitJob, TracePoint
from qiosk.contract.workspaces import workspace_key
from qiosk.errors import BlobAlreadyExists, InvalidValue, JobNotFound
from qiosk.problem import Problem, Term

RESOURCE_ID = "/subscriptions/ABC-1/resourceGroups/Group/providers/Microsoft.Quantum/Workspaces/Mine"


def submit(workspace: Workspace, name: str, target: str = "microsoft.paralleltempering.cpu") -> str:
    provider = "other" if target.startswith("other") else "Microsoft"
    return workspace.submit(SubmitJob(name=name, provider_id=provider, target=target, input_data=b"{}")).id


@pytest.mark.parametrize("blank", [None, ""])
def test_a_workspace_that_is_not_named_is_the_default_one(blank: str | None) -> None:
    assert workspace_key(blank, blank, blank) == "default"


def test_a_workspace_has_the_same_key_by_its_parts_and_by_its_resource_id() -> None:
    by_parts = Workspace("ABC-1", "Group", "Mine", api=FakeJobs())
    by_id = Workspace(resource_id=RESOURCE_ID.lower(), api=FakeJobs(), location=" West US ")
    assert repr(by_parts) == repr(by_id) == "<Workspace 'abc-1/group/mine'>"
    assert (by_parts.subscription_id, by_parts.resource_group, by_parts.name) == ("ABC-1", "Group", "Mine")
    assert by_id.location == "westus"


def test_a_workspace_named_in_part_is_refused() -> None:
    with pytest.raises(ValueError, match="resource_group, name missing"):
        Workspace(subscription_id="a", api=FakeJobs())
    with pytest.raises(ValueError, match=r"resource_id must be /subscriptions/.*found 'mine'"):
        Workspace(resource_id="mine", api=FakeJobs())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a\x00b", r"workspace: must be printable characters, found 's/g/a\\x00b'"),
        ("\ud800", "workspace: must be printable"),
        ("a\nb", "workspace: must be printable"),
        ("x" * 997, "workspace: must have at most 1000 bytes, found 1001"),
        ("ü" * 499, "workspace: must have at most 1000 bytes, found 1002"),
    ],
    ids=["NUL", "surrogate", "newline", "long", "long in UTF-8"],
)
def test_names_that_no_database_could_hold_are_refused(name: str, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        Workspace("s", "g", name, api=FakeJobs())


def test_a_server_comes_first_and_its_workspace_is_named_besides() -> None:
    url = "http://127.0.0.1:1"
    places = [
        Workspace(url, subscription_id="S", resource_group="g", name="w"),
        Workspace(url, "g", "w", subscription_id="S"),
        Workspace("S", "g", "w", url=url),
        Workspace(url=url, subscription_id="S", resource_group="g", name="w"),
    ]
    for place in places:
        assert repr(place) == f"<Workspace 's/g/w' of {url}>"
        assert (place.subscription_id, place.url) == ("S", url)
        place.close()
    with pytest.raises(InvalidValue, match="subscription_id: must be given once, found 'a' and 'b'"):
        Workspace("a", "g", "w", subscription_id="b", api=FakeJobs())


@pytest.mark.parametrize("text", ["localhost:8000", "jobs.example.org:443/", "localhost"])
def test_a_server_without_its_scheme_is_told(text: str) -> None:
    with pytest.raises(InvalidValue, match=rf"server url: must begin with http:// or https://, found '{text}'"):
        Workspace(text)


def test_repr_shows_no_secret() -> None:
    workspace = Workspace(storage="AccountKey=hush", credential="hush", api=FakeJobs())
    assert "hush" not in repr(workspace)
    assert workspace.credentials == "hush"


def test_list_jobs_filters_and_limits_newest_first(workspace: Workspace, api: FakeJobs) -> None:
    a, b, c = (
        submit(workspace, "alpha"),
        submit(workspace, "beta", "other.newsolver"),
        submit(workspace, "gamma"),
    )
    api.change(b, status=JobStatus.EXECUTING)

    def ids(**conditions: object) -> list[str]:
        return [job.id for job in workspace.list_jobs(**conditions)]  # type: ignore[arg-type]

    assert ids() == [c, b, a]
    assert ids(limit=2) == [c, b]
    assert ids(limit=0) == []
    assert ids(name_match="^.eta$") == [b]
    assert ids(name_match="a$", limit=2) == [c, b]
    assert ids(status="Executing") == ids(status="executing") == ids(status=JobStatus.EXECUTING) == [b]
    assert ids(created_after=START + timedelta(minutes=1)) == [c, b]
    assert ids(created_after=date(2030, 1, 1)) == []
    assert ids(provider_id="other") == ids(target="other.newsolver") == [b]


def test_cancel_takes_a_job_or_its_id_and_updates_the_job(workspace: Workspace) -> None:
    first, second = submit(workspace, "a"), submit(workspace, "b")
    job = workspace.get_job(first)
    assert workspace.cancel_job(job).details.status == "Cancelled"
    assert job.details.status == "Cancelled"
    assert workspace.cancel_job(second).details.status == "Cancelled"
    with pytest.raises(JobNotFound):
        workspace.cancel_job("none")


def test_get_targets_hides_the_parameter_free_ones_and_knows_the_classes(workspace: Workspace) -> None:
    targets = workspace.get_targets()
    assert isinstance(targets, list)
    assert [type(target) for target in targets] == [SimulatedAnnealing, ParallelTempering, Auto, Solver]
    assert "other.newsolver" in repr(targets[3])
    assert "7 s, Available" in repr(targets[3])


def test_get_targets_gives_the_one_asked_for(workspace: Workspace) -> None:
    named = workspace.get_targets(name="Microsoft.SimulatedAnnealing-ParameterFree.cpu")
    assert isinstance(named, SimulatedAnnealing)
    assert named.name == "microsoft.simulatedannealing-parameterfree.cpu"
    assert isinstance(workspace.get_targets(provider_id="OTHER"), Solver)
    assert workspace.get_targets(name="none") == []


def test_containers_are_named_after_name_job_or_workspace(workspace: Workspace) -> None:
    assert workspace.get_container_uri(container_name="c").endswith("/c")
    assert workspace.get_container_uri(job_id="1").endswith("/job-1")
    assert workspace.get_container_uri(job_id="1", container_name_format="x-{job_id}").endswith("/x-1")
    assert workspace.get_container_uri().endswith("/default-data")


def test_an_uploaded_problem_is_not_overwritten(workspace: Workspace, api: FakeJobs) -> None:
    class Packed:
        def to_blob(self) -> bytes:
            return b"packed"

    uri = workspace.upload_problem(Packed(), blob_name="p")  # type: ignore[arg-type]
    assert uri.endswith("qio-problems/p")
    assert api.blobs["qio-problems", "p"] == b"packed"
    assert workspace.upload_problem(Packed(), blob_name=None) != workspace.upload_problem(Packed(), blob_name=None)  # type: ignore[arg-type]
    with pytest.raises(BlobAlreadyExists):
        workspace.upload_problem(Packed(), blob_name="p")  # type: ignore[arg-type]


def test_watch_gives_each_change_once_and_the_final_state_last(workspace: Workspace, api: FakeJobs) -> None:
    job = workspace.get_job(submit(workspace, "a"))

    def improve(job_id: str, cost: float) -> None:
        api.traces.setdefault(job_id, []).append(TracePoint(0.0, 1, cost))
        api.change(job_id, status=JobStatus.EXECUTING, progress=JobProgress(best_cost=cost))

    api.steps = [
        lambda i: improve(i, 3.0),
        lambda i: None,
        lambda i: improve(i, 2.0),
        lambda i: api.finish(i, JobStatus.SUCCEEDED, b"{}"),
    ]
    seen = [(u.status.value, u.progress.best_cost, [p.cost for p in u.new_trace]) for u in workspace.watch(job)]
    assert seen == [
        ("Waiting", None, []),
        ("Executing", 3.0, [3.0]),
        ("Executing", 2.0, [2.0]),
        ("Succeeded", 2.0, []),
    ]
    assert job.details.status == "Succeeded"


def test_watch_of_a_finished_job_gives_one_update(workspace: Workspace, api: FakeJobs) -> None:
    job_id = submit(workspace, "a")
    api.finish(job_id, JobStatus.SUCCEEDED, b"{}")
    assert [update.status for update in workspace.watch(job_id)] == ["Succeeded"]
    assert api.waits == []


def test_quotas_are_dictionaries(workspace: Workspace) -> None:
    assert workspace.get_quotas() == [
        {
            "dimension": "combined_job_hours",
            "scope": "Workspace",
            "provider_id": "Microsoft",
            "utilization": 0.5,
            "holds": 0.25,
            "limit": 20.0,
            "period": "Monthly",
        }
    ]


def test_a_workspace_closes_its_jobs_interface(api: FakeJobs) -> None:
    with Workspace(api=api) as workspace:
        assert workspace.list_jobs() == []
    assert api.closed


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_progress_bar_is_silent_unless_stderr_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, enabled, silent in (
        (io.StringIO(), True, True),
        (Terminal(), False, True),
        (Terminal(), True, False),
    ):
        monkeypatch.setattr(sys, "stderr", stream)
        with ProgressBar(enabled=enabled) as bar:
            bar.update("Executing", JobProgress(fraction=0.25, sweeps=1200, best_cost=-17.0))
        assert (stream.getvalue() == "") is silent
    assert "1,200" in stream.getvalue()
    assert "best -17" in stream.getvalue()


def test_problems_are_uploaded_again_without_replacing_others(workspace: Workspace) -> None:
    first, second = Problem("first", [Term(c=1, indices=[0])]), Problem("second", [Term(c=2, indices=[0])])
    uris = [workspace.upload_problem(first), second.upload(workspace), workspace.upload_problem(first)]
    assert len(set(uris)) == 3
    assert uris[0].endswith("qio-problems/inputData")
    assert second.download(workspace).terms == second.terms
    chosen = first.upload(workspace, "mine", "first")
    assert first.upload(workspace, "mine", "first") == chosen
    with pytest.raises(BlobAlreadyExists):
        second.upload(workspace, "mine", "first")
    first.add_term(3, [1])
    with pytest.raises(BlobAlreadyExists):
        first.upload(workspace, "mine", "first")
