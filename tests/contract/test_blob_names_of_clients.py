"""Names of blobs that clients give: what is refused is refused in this process and over HTTP, and changes nothing."""

from __future__ import annotations

import pytest

from qiosk.client.job import Job
from qiosk.client.workspace import Workspace
from qiosk.errors import InvalidValue
from qiosk.problem import Problem

NAMES = [
    "./x",
    "d/../x",
    "../x",
    ".",
    "..",
    "x/.",
    "x/..",
    "/x",
    "d//x",
    "x/",
    "",
    "a\\x",
    "a\nx",
    "a\ud800",
    "x" * 201,
]


@pytest.mark.parametrize("name", NAMES)
def test_such_names_are_refused_everywhere(workspace: Workspace, name: str) -> None:
    job = Job.from_input_data(workspace, "n", "microsoft.tabu.cpu", b"{}", job_id="j")
    job.upload_attachment("x", b"kept")
    job.upload_attachment("d/x", b"kept")
    container_uri = workspace.get_container_uri(job_id="j").partition("?")[0]
    problem = Problem("p")
    api = workspace.api
    for attempt in (
        lambda: job.upload_attachment(name, b"other"),
        lambda: job.download_attachment(name),
        lambda: api.put_blob("job-j", name, b"other", overwrite=False),
        lambda: api.upload_blob("job-j", name).commit(),
        lambda: workspace.upload_problem(problem, "job-j", name),
        lambda: Job.from_input_data(
            workspace, "n", "microsoft.tabu.cpu", b"{}", container_name="job-j", blob_name=name
        ),
    ):
        with pytest.raises(InvalidValue, match="blob name"):
            attempt()
    if name.isprintable():
        with pytest.raises(InvalidValue):
            api.locate(f"{container_uri}/{name}")
    assert api.list_blobs("job-j") == ["d/x", "inputData", "x"]
    assert job.download_attachment("x") == job.download_attachment("d/x") == b"kept"


@pytest.mark.parametrize("container", ["..", ".", "", "a/b", "a/../b", "-a", "a.", "a..b"])
def test_such_containers_are_refused(workspace: Workspace, container: str) -> None:
    api = workspace.api
    for attempt in (
        lambda: api.put_blob(container, "x", b""),
        lambda: api.get_blob(container, "x"),
        lambda: api.upload_blob(container, "x").commit(),
        lambda: api.list_blobs(container),
        lambda: workspace.get_container_uri(container_name=container),
    ):
        with pytest.raises(InvalidValue, match="container name"):
            attempt()
