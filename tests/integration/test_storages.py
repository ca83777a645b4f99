"""Jobs whose blobs are in an object store: the supervisor and the processes of jobs read and write there."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from azure.storage.blob import BlobClient, ContainerClient

from blob_servers import serving
from homes import close_home, finished, open_home, submit
from patience import eventually
from qiosk.bootstrap.storage import open_storage
from qiosk.contract.jobs import JobStatus, SubmitJob
from qiosk.service.blobs.locations import ServedLocations
from storages import ACCOUNT


@pytest.fixture(params=["s3", "azure"])
def storage_url(request, monkeypatch, tmp_path):
    for name, value in request.getfixturevalue(f"{request.param}_environment").items():
        monkeypatch.setenv(name, value)
    return f"s3://bucket/{tmp_path.name}" if request.param == "s3" else f"az://{ACCOUNT}"


@pytest.fixture
def service(tmp_path, storage_url, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # where processes of jobs find the fake runner
    home = tmp_path / "home"
    yield open_home(home, workspace=f"s/g/{tmp_path.name}", storage=storage_url)
    close_home(home)


def test_a_job_runs(service, storage_url, tmp_path):
    job = submit(service, {"chunks": 3})
    view = finished(service, job.id)
    assert (view.status, view.error_data) == (JobStatus.SUCCEEDED, None)
    assert json.loads(service.results(job.id))["cost"] == -3.0
    assert eventually(lambda: service.list_blobs(f"job-{job.id}") == ["inputData", "rawOutputData"])
    store = open_storage(storage_url).blobs(f"s/g/{tmp_path.name}")
    assert f"job-{job.id}" in store.containers()
    assert not list((tmp_path / "home" / "blobs").glob("*"))
    service.delete(job.id)
    assert service.list_blobs(f"job-{job.id}") == []


def test_a_job_of_uploaded_input_runs(service, storage_url, tmp_path):
    """As Azure's clients submit: the data through a link, then the job that names it."""
    with serving(open_storage(storage_url, ServedLocations())) as server:
        links = server.links(f"s/g/{tmp_path.name}")
        with ContainerClient.from_container_url(links.container("input")) as container:
            if storage_url.startswith("s3"):  # Azure itself lets no link create a container
                container.create_container()
            else:
                server.storage.blobs(f"s/g/{tmp_path.name}").create("input")
            container.upload_blob("inputData", json.dumps({"chunks": 2}).encode(), overwrite=True)
        uri = service.container_uri("input") + "/inputData"
        command = SubmitJob(
            name="a", provider_id="Microsoft", target="microsoft.simulatedannealing.cpu", input_data_uri=uri
        )
        view = finished(service, service.submit(command).id)
        assert (view.status, view.error_data) == (JobStatus.SUCCEEDED, None)
        with BlobClient.from_blob_url(links.blob(f"job-{view.id}", "rawOutputData")) as blob:
            assert json.loads(blob.download_blob().readall())["cost"] == -2.0
            assert blob.get_blob_properties().content_settings.content_type == "application/json"


def test_links_lead_where_clients_can_go(storage_url, tmp_path):
    storage = open_storage(storage_url, ServedLocations())
    with serving(storage) as server:
        storage.blobs("s/g/links").create("c")
        with ContainerClient.from_container_url(server.links("s/g/links").container("c")) as container:
            content = gzip.compress(b"content")
            container.upload_blob("a/b", content, overwrite=True)
            assert [blob.name for blob in container.list_blobs()] == ["a/b"]
            assert container.download_blob("a/b", decompress=False).readall() == content
        link = server.links("s/g/links").container("c")
        assert link.startswith(server.base) == storage_url.startswith("s3")
        assert storage.blobs("s/g/links").resolve(link) == ("c", None)
