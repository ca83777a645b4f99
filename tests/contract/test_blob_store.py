"""What every blob store guarantees."""

from __future__ import annotations

import base64
import errno
import os
import shutil
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from qiosk.adapters.blobs.files import FileWriter
from qiosk.adapters.blobs.folders import folder_name
from qiosk.adapters.blobs.local import LocalBlobStore, LocalStorage
from qiosk.errors import (
    BlobAlreadyExists,
    BlobChanged,
    BlobNotFound,
    Conflict,
    InvalidBlockList,
    InvalidValue,
    StorageFull,
)
from qiosk.service.blobs.store import LEAST_BYTES, PIECE, PLAIN, BlobHeaders, Block, BlockSource, write_whole
from qiosk.service.jobs.job import BlobRef
from qiosk.testing import MemoryBlobStore

pytestmark = pytest.mark.slow


@pytest.fixture(params=["memory", "local", "s3", "azure"])
def blobs(request, tmp_path):
    match request.param:
        case "memory":
            return MemoryBlobStore()
        case "local":
            return LocalBlobStore(tmp_path / "blobs", "default")
        case emulated:
            return request.getfixturevalue(f"{emulated}_storage").blobs(f"sub/group/{uuid.uuid4()}")


GZIP = BlobHeaders(content_type="application/json", content_encoding="gzip", metadata={"num_terms": "3", "x": "a, b"})


def block_id(number):
    return base64.b64encode(f"{number:>10}".encode()).decode()


def upload(blobs, ref, *contents, first=0):
    """Upload blocks; returns the list that commits them."""
    for number, content in enumerate(contents, first):
        write(blobs.block_writer(ref, block_id(number)), content)
    return [Block(BlockSource.LATEST, block_id(number)) for number in range(first, first + len(contents))]


def write(writer, *pieces):
    try:
        for piece in pieces:
            writer.write(piece)
        return writer.commit()
    finally:
        writer.abort()


def read(blobs, ref, *limits):
    reader = blobs.open(ref)
    try:
        return b"".join(reader.pieces(*limits))
    finally:
        reader.close()


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


def test_a_container_without_blobs_has_an_age(blobs):
    before = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)
    assert blobs.made_at("job-1") is None
    blobs.create("job-1")
    made_at = blobs.made_at("job-1")
    assert before <= made_at <= datetime.now(UTC) + timedelta(seconds=1)
    assert made_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("blobs", ["memory", "local", "s3"], indirect=True)
def test_a_container_that_gets_blocks_is_not_old(blobs):
    blobs.create("job-1")
    before = blobs.made_at("job-1")
    time.sleep(1.1)  # buckets count whole seconds
    upload(blobs, BlobRef("job-1", "inputData"), b"a")
    assert blobs.made_at("job-1") > before


any_name = st.text(min_size=1, max_size=80) | st.text("a./\\#%1", min_size=1, max_size=8)
OFTEN = hypothesis_settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("blobs", ["memory", "local"], indirect=True)
@OFTEN
@given(name=any_name, content=st.binary())
def test_any_name_is_stored_faithfully_or_refused(blobs, name, content):
    check_name(blobs, name, content)


@pytest.mark.parametrize("blobs", ["s3", "azure"], indirect=True)
@hypothesis_settings(OFTEN, max_examples=15)
@given(name=any_name, content=st.binary())
def test_any_name_is_stored_in_the_cloud_or_refused(blobs, name, content):
    check_name(blobs, name, content)


def check_name(blobs, name, content):
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


def test_a_blob_that_appears_while_its_folder_is_made_is_kept(tmp_path, monkeypatch):
    blobs = LocalBlobStore(tmp_path, "default")
    make_folder = FileWriter._make_folder

    def overtaken(writer):
        make_folder(writer)
        monkeypatch.setattr(FileWriter, "_make_folder", make_folder)
        blobs.put(BlobRef("c", "a"), b"first", overwrite=False)

    monkeypatch.setattr(FileWriter, "_make_folder", overtaken)
    with pytest.raises(BlobAlreadyExists, match="blob c/a exists"):
        blobs.put(BlobRef("c", "a"), b"second", overwrite=False)
    assert blobs.get(BlobRef("c", "a")) == b"first"


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


@pytest.mark.parametrize("kind", ["local", "s3", "azure"])
def test_storages_know_their_workspaces(kind, tmp_path, request):
    storage = LocalStorage(tmp_path / "none") if kind == "local" else request.getfixturevalue(f"{kind}_storage")
    keys = ["sub/group/name", "ü", "a" * 300, "sub/" + "g" * 90 + "/" + "n" * 54]
    before = set(storage.workspaces())
    for number, key in enumerate(keys):
        blobs = storage.blobs(key)
        if number % 2:
            blobs.create("c")
        blobs.put(BlobRef("c", "a"), key.encode())
    assert set(storage.workspaces()) - before == set(keys) - before
    assert set(keys) <= set(storage.workspaces())
    assert storage.blobs("a" * 300).usage() == 2 * LEAST_BYTES
    assert storage.blobs("a" * 300).containers() == ["c"]


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


def test_content_is_written_and_read_in_pieces(blobs):
    ref = BlobRef("c", "a")
    pieces = [bytes([number]) * 700_001 for number in range(5)]
    whole = b"".join(pieces)
    written = write(blobs.writer(ref), *pieces)
    assert written.size_bytes == len(whole)
    assert read(blobs, ref) == whole
    assert read(blobs, ref, 700_000, 700_003) == whole[700_000:700_003]
    assert read(blobs, ref, len(whole) - 1, len(whole) + 5) == whole[-1:]
    assert read(blobs, ref, 5, 5) == b""
    reader = blobs.open(ref)
    assert max(map(len, reader.pieces())) <= PIECE
    reader.close()


def test_what_is_written_is_not_seen_before_it_is_committed(blobs):
    ref = BlobRef("c", "a")
    writer = blobs.writer(ref)
    writer.write(b"half")
    assert blobs.list("c") == []
    with pytest.raises(BlobNotFound):
        blobs.get(ref)
    writer.abort()
    writer.abort()
    assert blobs.list("c") == []
    writer = blobs.writer(ref)
    writer.commit()
    writer.abort()
    assert blobs.get(ref) == b""


def test_a_writer_that_may_not_overwrite_finds_out_at_the_end(blobs):
    ref = BlobRef("c", "a")
    writer = blobs.writer(ref, overwrite=False)
    writer.write(b"late")
    blobs.put(ref, b"first", headers=GZIP)
    with pytest.raises(BlobAlreadyExists):
        writer.commit()
    writer.abort()
    assert blobs.get(ref) == b"first"
    assert blobs.properties(ref).headers == GZIP


def test_headers_are_kept_and_replaced_with_their_content(blobs):
    ref = BlobRef("c", "a")
    stored = blobs.put(ref, b"first", headers=GZIP)
    assert blobs.properties(ref) == stored
    assert (stored.name, stored.size_bytes, stored.headers) == ("a", 5, GZIP)
    assert abs(stored.modified_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert stored.created_at == stored.modified_at
    blobs.put(ref, b"other")
    assert blobs.properties(ref).headers == PLAIN
    blobs.delete(ref)
    blobs.put(ref, b"third", overwrite=False)
    assert blobs.properties(ref).headers == PLAIN


@pytest.mark.parametrize("blobs", ["memory", "local", "s3"], indirect=True)  # Azure has no such names
@pytest.mark.parametrize("size", [5, 9 << 20])
def test_metadata_is_no_header_of_the_blob(blobs, size):
    names = ("content-type", "content-encoding", "content-disposition", "cache-control", "qiosk-x")
    headers = replace(GZIP, metadata={name: f"my {name}" for name in names})
    ref = BlobRef("c", "a")
    assert blobs.put(ref, bytes(size), headers=headers).headers == headers
    assert blobs.properties(ref).headers == headers
    assert blobs.set_metadata(ref, headers.metadata).headers == headers
    assert blobs.properties(ref).headers == headers


def test_an_etag_changes_with_content(blobs):
    ref = BlobRef("c", "a")
    first = blobs.put(ref, b"1")
    assert blobs.properties(ref).etag == blobs.properties(ref).etag == first.etag
    second = blobs.put(ref, b"2")
    assert second.etag != first.etag
    assert blobs.properties(ref) == second
    assert all(1 <= len(p.etag) <= 100 and '"' not in p.etag for p in (first, second))


@pytest.mark.parametrize("blobs", ["memory", "local"], indirect=True)
def test_an_etag_changes_with_every_write(blobs):
    ref = BlobRef("c", "a")
    etags = [blobs.put(ref, b"same").etag for _ in range(20)] + [blobs.set_metadata(ref, {"k": "v"}).etag]
    assert len(set(etags)) == 21


def test_metadata_is_replaced_and_nothing_else(blobs):
    ref = BlobRef("c", "a")
    blobs.put(ref, b"content", headers=GZIP)
    for metadata in ({"one": "1"}, {"two": "2"}):
        properties = blobs.set_metadata(ref, metadata)
        assert properties.headers == replace(GZIP, metadata=metadata)
        assert properties.created_at <= properties.modified_at
    assert blobs.get(ref) == b"content"
    with pytest.raises(BlobNotFound):
        blobs.set_metadata(BlobRef("c", "b"), {})


def test_an_open_reader_reads_its_version_or_says_that_it_is_gone(blobs):
    ref = BlobRef("c", "a")
    blobs.put(ref, b"old", headers=GZIP)
    reader = blobs.open(ref)
    blobs.put(ref, b"newer", headers=replace(GZIP, content_encoding=None))
    with suppress(BlobChanged):
        assert b"".join(reader.pieces()) == b"old"
    assert reader.properties.size_bytes == 3
    reader.close()
    reader.close()
    assert read(blobs, ref) == b"newer"


def test_an_open_file_stays_readable(tmp_path):
    blobs = LocalBlobStore(tmp_path, "w")
    ref = BlobRef("c", "a")
    for change in (lambda: blobs.put(ref, b"new"), lambda: blobs.delete(ref), lambda: blobs.delete_container("c")):
        blobs.put(ref, b"old", headers=GZIP)
        reader = blobs.open(ref)
        change()
        assert b"".join(reader.pieces()) == b"old"
        assert reader.properties.headers == GZIP
        reader.close()


@pytest.mark.parametrize("blobs", ["memory", "local"], indirect=True)  # others say BlobChanged
def test_headers_and_content_that_are_read_together_belong_together(blobs):
    ref = BlobRef("c", "a")
    blobs.put(ref, b"0", headers=BlobHeaders(metadata={"n": "0"}))
    stop = threading.Event()

    def overwrite():
        number = 0
        while not stop.is_set():
            number += 1
            blobs.put(ref, str(number).encode(), headers=BlobHeaders(metadata={"n": str(number)}))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(overwrite)
        try:
            for _ in range(300):
                reader = blobs.open(ref)
                content = b"".join(reader.pieces()).decode()
                reader.close()
                assert reader.properties.headers.metadata["n"] == content
        finally:
            stop.set()


def test_blocks_become_a_blob_in_the_order_of_their_list(blobs):
    ref = BlobRef("c", "big/one")
    blocks = upload(blobs, ref, b"a" * 5, b"b" * 2_000_000, b"c")
    assert blobs.list("c") == []
    properties = blobs.commit_blocks(ref, [blocks[2], blocks[0], blocks[1]], headers=GZIP)
    assert properties.size_bytes == 2_000_006
    assert blobs.properties(ref) == properties
    assert blobs.get(ref) == b"c" + b"a" * 5 + b"b" * 2_000_000
    assert properties.headers == GZIP


def test_a_block_counts_as_it_was_uploaded_last(blobs):
    ref = BlobRef("c", "a")
    upload(blobs, ref, b"first")
    blobs.commit_blocks(ref, upload(blobs, ref, b"second"))
    assert blobs.get(ref) == b"second"


@pytest.mark.parametrize("blobs", ["memory", "local", "s3"], indirect=True)  # Azure's library sorts them by source
def test_blocks_can_be_taken_from_the_blob_as_it_is(blobs):
    ref = BlobRef("c", "a")
    blobs.commit_blocks(ref, upload(blobs, ref, b"one", b"two", b"three"))
    upload(blobs, ref, b"TWO", first=1)
    chosen = [
        Block(BlockSource.LATEST, block_id(0)),
        Block(BlockSource.COMMITTED, block_id(1)),
        Block(BlockSource.UNCOMMITTED, block_id(1)),
        Block(BlockSource.LATEST, block_id(1)),
    ]
    blobs.commit_blocks(ref, chosen)
    assert blobs.get(ref) == b"onetwoTWOTWO"


@pytest.mark.parametrize("source", list(BlockSource))
def test_blocks_of_one_source_keep_their_order(blobs, source):
    ref = BlobRef("c", "a")
    upload(blobs, ref, b"one", b"two")
    if source is BlockSource.COMMITTED:
        blobs.commit_blocks(ref, [Block(BlockSource.LATEST, block_id(n)) for n in (0, 1)])
    blobs.commit_blocks(ref, [Block(source, block_id(n)) for n in (1, 0)])
    assert blobs.get(ref) == b"twoone"


@pytest.mark.parametrize("source", list(BlockSource))
def test_a_list_with_an_unknown_block_changes_nothing(blobs, source):
    ref = BlobRef("c", "a")
    blobs.put(ref, b"as it was")
    upload(blobs, ref, b"block")
    with pytest.raises(InvalidBlockList, match="was never uploaded"):
        blobs.commit_blocks(ref, [Block(source, block_id(0)), Block(source, block_id(7))])
    assert blobs.get(ref) == b"as it was"
    blobs.commit_blocks(ref, [Block(BlockSource.UNCOMMITTED, block_id(0))])
    assert blobs.get(ref) == b"block"


def test_blocks_that_are_not_listed_are_forgotten(blobs):
    ref = BlobRef("c", "a")
    blocks = upload(blobs, ref, b"one", b"two")
    blobs.commit_blocks(ref, blocks[:1])
    with pytest.raises(InvalidBlockList):
        blobs.commit_blocks(ref, blocks[1:])
    assert blobs.commit_blocks(ref, []).size_bytes == 0


def test_a_block_list_may_be_told_not_to_overwrite(blobs):
    ref = BlobRef("c", "a")
    blocks = upload(blobs, ref, b"new")
    blobs.put(ref, b"there")
    with pytest.raises(BlobAlreadyExists):
        blobs.commit_blocks(ref, blocks, overwrite=False)
    assert blobs.get(ref) == b"there"


@pytest.mark.parametrize("wrong", ["", "not base64!", "../../etc", base64.b64encode(b"x" * 65).decode(), "ü"])
def test_block_ids_are_base64(blobs, wrong):
    with pytest.raises(InvalidValue, match="block id: "):
        blobs.block_writer(BlobRef("c", "a"), wrong)


def test_pages_list_every_blob_once(blobs):
    names = sorted(f"{folder}{number:02}" for folder in ("x/", "y") for number in range(12))
    for name in names:
        blobs.put(BlobRef("c", name), name.encode())
    for prefix in ("", "x/", "y1", "nothing"):
        expected = [name for name in names if name.startswith(prefix)]
        found, marker = [], None
        while True:
            page = blobs.page("c", prefix=prefix, marker=marker, limit=5)
            found += page.blobs
            assert len(page.blobs) <= 5
            marker = page.marker
            if marker is None:
                break
        assert [blob.name for blob in found] == expected
        assert [blob.size_bytes for blob in found] == [len(name) for name in expected]
    assert blobs.page("missing").blobs == []


def test_listed_blobs_are_described_as_elsewhere(blobs):
    blobs.put(BlobRef("c", "a"), b"1", headers=GZIP)
    (listed,) = blobs.page("c").blobs
    known = blobs.properties(BlobRef("c", "a"))
    assert (listed.name, listed.size_bytes, listed.etag) == (known.name, known.size_bytes, known.etag)
    assert listed.headers in (None, known.headers)


def test_containers_exist_once_they_are_made_or_filled(blobs):
    assert blobs.containers() == []
    assert not blobs.has_container("c")
    assert blobs.create("c")
    assert not blobs.create("c")
    assert blobs.has_container("c")
    blobs.put(BlobRef("d", "a"), b"")
    assert blobs.has_container("d")
    upload(blobs, BlobRef("d", "b"), b"1")
    assert blobs.containers() == ["c", "d"]
    blobs.delete_container("c")
    assert not blobs.has_container("c")
    assert blobs.containers() == ["d"]


def test_deleting_a_container_forgets_its_blocks_and_headers(blobs):
    ref = BlobRef("c", "a")
    blocks = upload(blobs, ref, b"1")
    blobs.put(ref, b"0", headers=GZIP)
    blobs.delete_container("c")
    with pytest.raises(InvalidBlockList):
        blobs.commit_blocks(ref, blocks)
    assert blobs.usage() == LEAST_BYTES * len(blobs.containers())


@pytest.mark.parametrize("blobs", ["memory", "local", "s3"], indirect=True)  # Azure does it by itself
def test_old_blocks_are_discarded(blobs):
    ref = BlobRef("c", "a")
    blocks = upload(blobs, ref, b"1", b"2")
    now = datetime.now(UTC)
    assert blobs.discard_unfinished(now - timedelta(hours=1)) == 0
    assert blobs.discard_unfinished(now + timedelta(hours=1)) == 2
    with pytest.raises(InvalidBlockList):
        blobs.commit_blocks(ref, blocks)


@pytest.mark.parametrize("blobs", ["memory", "local", "s3"], indirect=True)  # Azure does not count blocks
def test_usage_counts_blobs_and_blocks(blobs):
    blobs.create("c")
    blobs.put(BlobRef("c", "a"), b"x" * 100_000)
    before = blobs.usage()
    upload(blobs, BlobRef("c", "b"), b"x" * 50_000)
    assert blobs.usage() == before + 50_000
    blobs.delete(BlobRef("c", "a"))
    assert blobs.usage() == before - 50_000


def test_usage_counts_what_is_empty(blobs):
    blobs.create("empty")
    assert blobs.usage() == LEAST_BYTES
    for name in ("a", "b"):
        blobs.put(BlobRef("c", name), b"")
    assert blobs.usage() == 4 * LEAST_BYTES


def test_files_keep_the_time_of_their_content(tmp_path):
    blobs = LocalBlobStore(tmp_path, "w")
    ref = BlobRef("c", "a")
    written = blobs.put(ref, b"content")
    for _ in range(2):
        changed = blobs.set_metadata(ref, {"k": "v"})
        assert changed.created_at == written.created_at
        assert changed.modified_at > written.modified_at


def test_files_keep_headers_when_they_are_copied(tmp_path):
    ref = BlobRef("c", "a")
    LocalBlobStore(tmp_path / "one", "w").put(ref, b"content", headers=GZIP)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    blob = tmp_path / "two" / "w" / "c" / "a"
    status = blob.stat()
    os.utime(blob, (int(status.st_mtime), int(status.st_mtime)))  # as tar and many a backup keep times
    assert LocalBlobStore(tmp_path / "two", "w").properties(ref).headers == GZIP


def test_files_leave_nothing_behind(tmp_path):
    blobs = LocalBlobStore(tmp_path, "w")
    ref = BlobRef("c", "a")
    for _ in range(3):
        blobs.put(ref, b"content", headers=GZIP)
        blobs.set_metadata(ref, {"k": "v"})
        blobs.commit_blocks(ref, upload(blobs, ref, b"1", b"2"))
        with pytest.raises(BlobAlreadyExists):
            blobs.put(ref, b"", overwrite=False, headers=GZIP)
    blobs.delete(ref)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert blobs.usage() == LEAST_BYTES * len(blobs.containers())


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    blobs = LocalBlobStore(tmp_path, "w")
    ref = BlobRef("c", "a")
    blobs.put(ref, b"before")

    def no_room(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", no_room)
        with pytest.raises(StorageFull, match="blob c/a: no room is left"):
            blobs.put(ref, b"after")
    assert blobs.get(ref) == b"before"
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize("answer", [errno.EXDEV, errno.ENOSYS, None])
def test_blocks_are_copied_where_the_kernel_cannot(tmp_path, monkeypatch, answer):
    blobs = LocalBlobStore(tmp_path, "w")
    ref = BlobRef("c", "a")
    large = os.urandom(2 * PIECE + 17)

    def cannot(*_, **__):
        raise OSError(answer, os.strerror(answer))

    if answer is None:
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    else:
        monkeypatch.setattr(os, "copy_file_range", cannot, raising=False)
    blobs.commit_blocks(ref, upload(blobs, ref, large, b"", b"end"))
    blobs.commit_blocks(ref, [Block(BlockSource.COMMITTED, block_id(n)) for n in (2, 0)])
    assert blobs.get(ref) == b"end" + large


def test_a_disk_that_is_full_when_blocks_are_copied_is_told(tmp_path, monkeypatch):
    blobs = LocalBlobStore(tmp_path, "w")
    ref = BlobRef("c", "a")
    blocks = upload(blobs, ref, b"new")

    def no_room(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "copy_file_range", no_room, raising=False)
        with pytest.raises(StorageFull, match="blob c/a: no room is left"):
            blobs.commit_blocks(ref, blocks)
    assert blobs.list("c") == []
    blobs.commit_blocks(ref, blocks)
    assert blobs.get(ref) == b"new"


BROKEN = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"{}",
    b"\xff",
    b'{"content_type": 1, "content_encoding": 2, "metadata": [], "created_ns": ""}',
]
BROKEN += [
    b'{"content_type": "a\\nb", "content_encoding": null, "metadata": {}, "created_ns": null}',
    b'{"content_type": "a", "content_encoding": null, "metadata": {"a b": "c"}, "created_ns": null}',
    b'{"content_type": "a", "content_encoding": null, "metadata": {}, "created_ns": 1e400}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
def test_damaged_headers_do_not_hide_the_content(tmp_path, broken):
    blobs, ref = LocalBlobStore(tmp_path, "w"), BlobRef("c", "a")
    blobs.put(ref, b"content", headers=GZIP)
    (notes,) = [path for path in (tmp_path / "w" / ".headers").rglob("*") if path.is_file()]
    notes.write_bytes(broken)
    assert blobs.get(ref) == b"content"
    assert blobs.properties(ref).size_bytes == 7
    assert [blob.name for blob in blobs.page("c").blobs] == ["a"]
    blobs.set_metadata(ref, {"k": "v"})
    assert blobs.properties(ref).headers.metadata == {"k": "v"}


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
def test_damaged_lists_of_blocks_do_not_hide_the_content(tmp_path, broken):
    blobs, ref = LocalBlobStore(tmp_path, "w"), BlobRef("c", "a")
    write_whole(blobs.block_writer(ref, "MDAx"), b"content")
    blobs.commit_blocks(ref, [Block(BlockSource.LATEST, "MDAx")])
    (notes,) = (tmp_path / "w" / ".headers").rglob("*.blocks")
    notes.write_bytes(broken)
    assert blobs.get(ref) == b"content"
    with pytest.raises(InvalidBlockList):
        blobs.commit_blocks(ref, [Block(BlockSource.COMMITTED, "MDAx")])
