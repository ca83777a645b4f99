"""Jobs as programs hold them, over the jobs interface in memory."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
from collections.abc import Callable
from datetime import date, timedelta
from types import SimpleNamespace

import pytest

from fake_jobs import START, FakeJobs
from qiosk.aio import Workspace as AsyncWorkspace
from qiosk.aio.job import Job as AsyncJob
from qiosk.client.details import JobDetails
from qiosk.client.job import Job
from qiosk.client.results import read_results
from qiosk.client.workspace import Workspace
from qiosk.contract.jobs import ErrorData, JobProgress, JobStatus, JobView, SubmitJob, TracePoint
from qiosk.errors import (
    BlobNotFound,
    InvalidFilter,
    InvalidJobDefinition,
    InvalidValue,
    JobFailed,
    JobNotFound,
    UnreadableInput,
)

RESULTS = {
    "version": "1.0",
    "configuration": {"0": 1, "1": -1},
    "cost": -17.0,
    "parameters": {"seed": 22},
    "solutions": [{"configuration": {"0": 1, "1": -1}, "cost": -17.0}],
}
RESULTS_BLOB = json.dumps(RESULTS).encode()


@pytest.fixture
def job(workspace: Workspace) -> Job:
    return workspace.submit(
        SubmitJob(
            name="ship <b>",
            provider_id="Microsoft",
            target="microsoft.simulatedannealing-parameterfree.cpu",
            input_data=gzip.compress(b"{}"),
        )
    )


def test_details_have_every_property_of_a_job_view(job: Job, api: FakeJobs) -> None:
    view = api.get(job.id)
    assert {name: getattr(job.details, name) for name in JobView.__struct_fields__} == {
        name: getattr(view, name) for name in JobView.__struct_fields__
    }


def test_details_print_one_aligned_line_per_property(job: Job, api: FakeJobs) -> None:
    api.finish(job.id, JobStatus.FAILED, error_data=ErrorData(code="InternalError", message="two\nlines"))
    job.refresh()
    lines = str(job.details).splitlines()
    assert repr(job.details) == str(job.details)
    assert [line.split()[0] for line in lines] == list(JobDetails.__struct_fields__)
    assert len({len(line) - len(line.split(maxsplit=1)[1]) for line in lines}) == 1
    assert next(line for line in lines if line.startswith("error_data")).endswith("InternalError: two lines")


def test_details_as_dict_are_json_under_wire_names(job: Job, api: FakeJobs) -> None:
    api.finish(job.id, JobStatus.FAILED, error_data=ErrorData(code="InvalidInputData", message="_AZQ107 no"))
    job.refresh()
    wire = json.loads(json.dumps(job.details.as_dict()))
    assert wire["providerId"] == "Microsoft"
    assert wire["beginExecutionTime"] == "2024-05-01T12:00:00Z"
    assert wire["errorData"] == {"code": "InvalidInputData", "message": "_AZQ107 no"}
    assert wire["tags"] == []
    assert wire["progress"] == {
        "fraction": 0.0,
        "sweeps": 0,
        "bestCost": None,
        "seconds": 0.0,
        "bound": None,
        "activity": None,
        "bounds": [],
    }
    assert wire["cancellationTime"] is None


def test_status_equals_its_string(job: Job) -> None:
    assert job.details.status == "Waiting"
    assert job.status == JobStatus.WAITING
    assert not job.has_completed()


def test_get_results_waits_for_the_end_and_remembers_the_answer(job: Job, api: FakeJobs) -> None:
    api.steps = [
        lambda i: api.change(i, status=JobStatus.EXECUTING),
        lambda i: api.finish(i, JobStatus.SUCCEEDED, RESULTS_BLOB),
    ]
    results = job.get_results()
    assert results == RESULTS
    assert (results.cost, results["cost"]) == (-17.0, -17.0)
    assert results.configuration == {"0": 1, "1": -1}
    assert job.details.status == "Succeeded"
    assert job.get_results() is results
    assert len(api.waits) == 2


def test_results_without_a_member_say_which_they_have(job: Job, api: FakeJobs) -> None:
    api.finish(job.id, JobStatus.SUCCEEDED, RESULTS_BLOB)
    with pytest.raises(AttributeError, match="no member 'energy': they have version, configuration"):
        _ = job.get_results().energy


def test_get_results_of_a_failed_job_names_job_status_and_error(job: Job, api: FakeJobs) -> None:
    error = ErrorData(code="InvalidInputData", message="_AZQ103 term 3: `c` must be a number, found a string")
    api.finish(job.id, JobStatus.FAILED, error_data=error)
    with pytest.raises(RuntimeError, match=f"(?s){job.id}.*Failed.*InvalidInputData: _AZQ103 term 3") as failure:
        job.get_results()
    assert isinstance(failure.value, JobFailed)


def test_a_cancelled_job_gives_the_best_it_had(job: Job, api: FakeJobs) -> None:
    api.bests[job.id] = RESULTS_BLOB
    job.cancel()
    assert job.details.status == "Cancelled"
    assert job.get_results()["cost"] == -17.0


def test_a_job_cancelled_before_it_found_anything_has_no_results(job: Job) -> None:
    job.cancel()
    with pytest.raises(JobFailed, match="Cancelled: no solution was found"):
        job.get_results()


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_get_results_times_out_and_leaves_the_job(job: Job, timeout: float) -> None:
    with pytest.raises(TimeoutError, match=f"job {job.id}: not completed after {timeout} s, status is Waiting"):
        job.get_results(timeout_secs=timeout)
    assert job.details.status == "Waiting"


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_the_asyncio_twin_times_out_with_the_same_words(job: Job, timeout: float) -> None:
    twin = AsyncJob(SimpleNamespace(sync=job.workspace), job.details)
    with pytest.raises(TimeoutError, match=f"job {job.id}: not completed after {timeout} s, status is Waiting"):
        asyncio.run(twin.get_results(timeout_secs=timeout))


def test_results_that_are_not_json_are_refused() -> None:
    for data in (b"", b"[1]", b"\xff", b"{"):
        with pytest.raises(UnreadableInput, match="results must be a JSON object"):
            read_results(data)


def test_waiting_never_asks_for_longer_than_what_is_left(job: Job, api: FakeJobs) -> None:
    api.steps = [lambda i: None, lambda i: api.finish(i, JobStatus.SUCCEEDED, RESULTS_BLOB)]
    job.wait_until_completed(max_poll_wait_secs=30, timeout_secs=5, print_progress=False)
    assert len(api.waits) == 2
    assert all(0 < wait <= 5 for wait in api.waits)


def test_progress_and_best_ask_again_while_the_job_runs(job: Job, api: FakeJobs) -> None:
    assert job.progress == JobProgress()
    assert job.best() is None
    api.change(job.id, status=JobStatus.EXECUTING, progress=JobProgress(fraction=0.5, best_cost=-3.0))
    api.bests[job.id] = RESULTS_BLOB
    api.traces[job.id] = [TracePoint(0.1, 4, -3.0)]
    assert job.progress.best_cost == -3.0
    assert job.details.status == "Executing"
    assert job.trace == [TracePoint(0.1, 4, -3.0)]
    best = job.best()
    assert best is not None
    assert best.cost == -17.0


def test_matches_filter_searches_the_name_and_compares_state_and_time(job: Job) -> None:
    assert job.matches_filter()
    assert job.matches_filter(name_match="^ship", status=JobStatus.WAITING, created_after=START)
    assert job.matches_filter(status="Waiting", created_after=date(2024, 4, 29))
    assert not job.matches_filter(name_match="^hip")
    assert not job.matches_filter(status="Failed")
    assert not job.matches_filter(created_after=START + timedelta(seconds=1))
    naive_local = (START + timedelta(seconds=1)).astimezone().replace(tzinfo=None)
    assert not job.matches_filter(created_after=naive_local)


def test_conditions_that_make_no_sense_are_refused(job: Job, workspace: Workspace) -> None:
    with pytest.raises(InvalidFilter, match=r"name_match must be a regular expression, found '\('"):
        job.matches_filter(name_match="(")
    with pytest.raises(InvalidFilter, match=r"status must be one of Waiting, .* found 'Done'"):
        workspace.list_jobs(status="Done")
    with pytest.raises(InvalidFilter, match="limit must not be negative, found -1"):
        workspace.list_jobs(limit=-1)


def test_attachments_come_back_as_they_went(job: Job) -> None:
    packed = gzip.compress(b"notes")
    uri = job.upload_attachment("notes.gz", packed)
    assert uri.endswith(f"job-{job.id}/notes.gz")
    assert job.download_attachment("notes.gz") == packed
    assert job.download_data(uri) == b"notes"
    with pytest.raises(BlobNotFound):
        job.download_attachment("other")


def test_attachments_can_go_to_another_container(job: Job, api: FakeJobs) -> None:
    job.upload_attachment("a/b", b"x", container_uri=api.container_uri("shared"))
    assert api.blobs["shared", "a/b"] == b"x"
    assert job.download_attachment("a/b", container_uri=api.container_uri("shared")) == b"x"


def test_download_data_finds_blobs_of_sibling_containers_with_signed_and_quoted_uris(job: Job, api: FakeJobs) -> None:
    api.put_blob("qio-problems", "dir/in put", b"[]")
    assert job.download_data(f"{api.container_uri('qio-problems')}/dir/in%20put?sig=1%2F2") == b"[]"
    assert job.download_data(job.details.input_data_uri or "") == b"{}"
    for uri in ("", "file:///home/blobs", api.container_uri("qio-problems")):
        with pytest.raises(InvalidValue, match="must name a container and a blob"):
            job.download_data(uri)


def test_a_job_made_by_hand_is_submitted_with_its_own_id(workspace: Workspace, api: FakeJobs) -> None:
    details = JobDetails(
        id="11111111-1111-1111-1111-111111111111",
        name="by hand",
        container_uri="file:///home/blobs/mine",
        input_data_format="microsoft.qio.v2",
        provider_id="Microsoft",
        target="microsoft.paralleltempering.cpu",
        metadata={"a": "b"},
        tags=["x"],
    )
    submitted = workspace.submit_job(Job(workspace, details))
    assert submitted.id == details.id
    assert submitted.details.status == "Waiting"
    assert submitted.container_name == "mine"
    command = api.commands[0]
    assert command.input_data_uri == "file:///home/blobs/mine/inputData"
    assert (command.metadata, command.tags) == ({"a": "b"}, ("x",))


def test_a_job_without_any_data_is_refused(workspace: Workspace) -> None:
    details = JobDetails(
        container_uri=None, input_data_format="f", provider_id="Microsoft", target="microsoft.tabu.cpu"
    )
    with pytest.raises(InvalidJobDefinition, match="input_data_uri and container_uri are both missing"):
        Job(workspace, details).submit()


def test_from_input_data_stores_the_bytes_then_submits(workspace: Workspace, api: FakeJobs) -> None:
    job = Job.from_input_data(
        workspace,
        "n",
        "microsoft.paralleltempering.cpu",
        b"{}",
        blob_name="data",
        input_params={"params": {}},
    )
    assert api.blobs[f"job-{job.id}", "data"] == b"{}"
    assert job.details.input_data_uri == f"file:///home/blobs/job-{job.id}/data"
    assert job.details.status == "Waiting"


def test_from_storage_uri_can_wait_with_submitting(workspace: Workspace, api: FakeJobs) -> None:
    job = Job.from_storage_uri(workspace, "n", "other.newsolver", "u", provider_id="other", submit_job=False)
    assert api.jobs == {}
    assert job.status is None
    assert not job.has_completed()
    job.submit()
    assert list(api.jobs) == [job.id]


def test_notebook_views_escape_what_users_wrote(job: Job, api: FakeJobs) -> None:
    api.finish(job.id, JobStatus.FAILED, error_data=ErrorData(code="<i>", message="<script>"))
    job.refresh()
    for html in (job._repr_html_(), job.details._repr_html_()):
        assert "ship &lt;b&gt;" in html
        assert "&lt;script&gt;" in html
        assert "<b>" not in html
        assert "<script>" not in html
    assert "<b>" not in read_results(b'{"cost": "<b>"}')._repr_html_()


def test_long_configurations_are_cut_in_notebooks() -> None:
    many = {str(i): 1 for i in range(1000)}
    html = read_results(json.dumps({**RESULTS, "configuration": many}).encode())._repr_html_()
    assert "(1000 variables)" in html
    assert len(html) < 2000


@pytest.mark.parametrize("how", ["results", "watch", "all"])
def test_ctrl_c_in_an_asyncio_program_says_that_the_job_continues(
    api: FakeJobs, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    view = api.submit(SubmitJob(name="x", provider_id="Microsoft", target="microsoft.paralleltempering.cpu"))

    async def wait(stop: Callable[[], object]) -> None:
        async with AsyncWorkspace(api=api) as workspace:
            job = await workspace.get_job(view.id)
            api.steps = [lambda _: stop()] * 3
            if how == "watch":
                async for _ in job.watch():
                    pass
            elif how == "all":
                await workspace.wait_for([job])
            else:
                await job.get_results()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(wait(lambda: signal.raise_signal(signal.SIGINT)))
    told = capsys.readouterr().err
    assert told.startswith(f"job {view.id} continues to run: workspace.get_job({view.id!r})")
    assert told.count("\n") == 1

    async def cancel() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(wait(lambda: loop.call_soon_threadsafe(task.cancel)))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert capsys.readouterr().err == ""


def test_a_deleted_job_is_gone(job: Job, workspace: Workspace) -> None:
    job.delete()
    with pytest.raises(JobNotFound):
        workspace.get_job(job.id)
    with pytest.raises(JobNotFound):
        job.refresh()


@pytest.mark.parametrize("how", ["results", "wait", "watch"])
def test_ctrl_c_while_waiting_says_that_the_job_continues(
    api: FakeJobs, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    workspace = Workspace(api=api, subscription_id="a", resource_group="b", name="c")
    job = workspace.submit(SubmitJob(name="x", provider_id="Microsoft", target="microsoft.paralleltempering.cpu"))
    waiting = {
        "results": job.get_results,
        "wait": job.wait_until_completed,
        "watch": lambda: list(workspace.watch(job)),
    }
    api.steps = [interrupt]
    with pytest.raises(KeyboardInterrupt):
        waiting[how]()
    told = capsys.readouterr().err
    assert f"job {job.id} continues to run: workspace.get_job({job.id!r})" in told
    assert f"'qiosk jobs results {job.id} --workspace a/b/c'" in told
    api.steps = [lambda job_id: api.change(job_id, is_cancelling=True), interrupt]
    with pytest.raises(KeyboardInterrupt):
        waiting[how]()
    assert capsys.readouterr().err == ""
