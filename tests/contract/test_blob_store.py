"""What every blob store guarantees."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from qiosk.adapters.blobs import LocalBlobStore, folder_name
from qiosk.adapters.memory import MemoryBlobStore
from qiosk.errors import BlobAlreadyExists, BlobNotFound, Conflict, InvalidValue
from qiosk.service.jobs import BlobRef


@pytest.fixture(params=["memory", "local"])
def blobs(request, tmp_path):
    return MemoryBlobStore() if request.param == "memory" else LocalBlobStore(tmp_path / "blobs", "default")


ODD_NAMES = ["a b", "a#1", "100%", "%2e%2e", "x?y=z&w", "ü/ö/ß", "a.b-c_d~", "dir/.hidden", "'quoted'", "…", "a+b"]


@pytest.mark.parametrize("name", ["inputData", "attachments/deep/one.json", *ODD_NAMES])
def test_a_blob_comes_back_under_its_name(blobs, name):
    ref = BlobRef("job-1", name)
    blobs.put(ref, b"content")
    assert blobs.get(ref) == b"content"
    assert list(blobs.list("job-1")) == [name]
    assert blobs.resolve(blobs.uri("job-1", name)) == ("job-1", name)
    blobs.delete(ref)
    with pytest.raises(BlobNotFound, match="was not found"):
        blobs.get(ref)


@hypothesis_settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(min_size=1, max_size=80) | st.text("a./\\#%1", min_size=1, max_size=8), content=st.binary())
def test_any_name_is_stored_faithfully_or_refused(blobs, name, content):
    ref = BlobRef("fuzz", name)
    try:
        blobs.put(ref, content)
    except InvalidValue:
        return
    except OSError:
        pytest.fail(f"{name!r} reached the file system")
    assert blobs.get(ref) == content
    assert blobs.list("fuzz") == [name]
    assert blobs.resolve(blobs.uri("fuzz", name)) == ("fuzz", name)
    blobs.delete(ref)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../up",
        "a/../../up",
        "/etc/passwd",
        "a//b",
        "a/",
        "./a",
        "a\\..\\b",
        "a\x00b",
        "a\nb",
        "x" * 1025,
        "y" * 201,
        "ü" * 101,
        "\ud800",
    ],
)
def test_names_that_lead_elsewhere_are_refused(blobs, name):
    with pytest.raises(InvalidValue, match="blob name: "):
        blobs.put(BlobRef("c", name), b"")
    with pytest.raises(InvalidValue, match="blob name: "):
        blobs.get(BlobRef("c", name))
    with pytest.raises(InvalidValue, match="blob name: "):
        blobs.uri("c", name)


@pytest.mark.parametrize("container", ["", ".", "..", "a/b", "a..b", ".hidden", "a.", "ü", "x" * 129, "a b", "a\n"])
def test_containers_that_lead_elsewhere_are_refused(blobs, container):
    for attempt in (blobs.create, blobs.list, blobs.uri, blobs.delete_container):
        with pytest.raises(InvalidValue, match="container name: "):
            attempt(container)
    with pytest.raises(InvalidValue, match="container name: "):
        blobs.put(BlobRef(container, "a"), b"")


def test_a_blob_that_may_not_be_overwritten_stays(blobs):
    ref = BlobRef("c", "a")
    blobs.put(ref, b"first", overwrite=False)
    with pytest.raises(BlobAlreadyExists, match="blob c/a exists"):
        blobs.put(ref, b"second", overwrite=False)
    assert blobs.get(ref) == b"first"
    blobs.put(ref, b"third")
    assert blobs.get(ref) == b"third"


def test_of_many_who_may_not_overwrite_one_succeeds(blobs):
    def put(number: int) -> bool:
        try:
            blobs.put(BlobRef("c", "a"), str(number).encode(), overwrite=False)
        except BlobAlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        succeeded = [number for number, ok in enumerate(pool.map(put, range(32))) if ok]
    assert len(succeeded) == 1
    assert blobs.get(BlobRef("c", "a")) == str(succeeded[0]).encode()


def test_readers_see_the_old_content_or_the_new(blobs):
    ref = BlobRef("c", "a")
    contents = [bytes([byte]) * 200_000 for byte in range(20)]
    blobs.put(ref, contents[0])
    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(lambda: [blobs.put(ref, content) for content in contents])
        while not writing.done():
            assert blobs.get(ref) in contents
    writing.result()
    assert blobs.list("c") == ["a"]


def test_listing_is_sorted_and_keeps_to_its_container(blobs):
    for container, name in [("c", "b"), ("c", "a/z"), ("c", "a/y/x"), ("cc", "other")]:
        blobs.put(BlobRef(container, name), name.encode())
    assert list(blobs.list("c")) == ["a/y/x", "a/z", "b"]
    assert list(blobs.list("missing")) == []
    blobs.create("empty")
    blobs.create("empty")
    assert list(blobs.list("empty")) == []


def test_deleting_a_container_deletes_its_blobs_only(blobs):
    for container in ("c", "cc"):
        blobs.put(BlobRef(container, "a/b"), b"1")
    blobs.delete_container("c")
    blobs.delete_container("c")
    assert list(blobs.list("c")) == []
    assert blobs.get(BlobRef("cc", "a/b")) == b"1"


def test_deleting_a_missing_blob_does_nothing(blobs):
    blobs.delete(BlobRef("c", "a"))


@pytest.mark.parametrize("size", [0, 1, 12_000_000])
def test_sizes(blobs, size):
    blobs.put(BlobRef("c", "a"), b"x" * size, overwrite=False)
    assert len(blobs.get(BlobRef("c", "a"))) == size


@pytest.mark.parametrize(
    "uri", ["", "c/a", "http://host/c/a", "file:///etc/passwd", "memory://../a", "s3://c/a", "file://host/c/a"]
)
def test_foreign_uris_are_refused(blobs, uri):
    with pytest.raises(InvalidValue, match=r"(blob uri|container name): "):
        blobs.resolve(uri)


def test_a_file_uri_cannot_climb_out_of_its_workspace(tmp_path):
    blobs = LocalBlobStore(tmp_path, "default")
    for tail in ("../other/c/a", "%2e%2e/other/c/a", "c/%2e%2e/%2e%2e/a", "c/..%2f..%2fa"):
        with pytest.raises(InvalidValue):
            blobs.resolve(f"{(tmp_path.resolve() / 'default').as_uri()}/{tail}")


def test_a_container_uri_names_a_container(blobs):
    blobs.create("c")
    assert blobs.resolve(blobs.uri("c")) == ("c", None)


def test_workspaces_have_folders_of_their_own(tmp_path):
    keys = ["default", ".", "..", "", "a/b", "a%2Fb", "A b", "x" * 500, "x" * 501, "/subscriptions/1/../2"]
    names = [folder_name(key) for key in keys]
    assert len(set(names)) == len(keys)
    for key, name in zip(keys, names, strict=True):
        assert "/" not in name
        assert name not in ("", ".", "..")
        assert len(name.encode()) < 200
        LocalBlobStore(tmp_path, key).put(BlobRef("c", "a"), key.encode())
    assert [LocalBlobStore(tmp_path, key).get(BlobRef("c", "a")).decode() for key in keys] == keys


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_refuse_a_name_that_is_a_blob_and_a_folder(tmp_path, overwrite):
    blobs = LocalBlobStore(tmp_path, "default")
    blobs.put(BlobRef("c", "a/b"), b"1")
    for name in ("a", "a/b/c"):
        with pytest.raises(Conflict, match=f"blob c/{name}: a name cannot be a blob and a folder of others at once"):
            blobs.put(BlobRef("c", name), b"2", overwrite=overwrite)
        with pytest.raises(BlobNotFound):
            blobs.get(BlobRef("c", name))
        blobs.delete(BlobRef("c", name))
    assert blobs.get(BlobRef("c", "a/b")) == b"1"
    blobs.delete(BlobRef("c", "a/b"))
    blobs.put(BlobRef("c", "a"), b"2", overwrite=overwrite)
    assert list(blobs.list("c")) == ["a"]
