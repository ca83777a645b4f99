"""Blobs over HTTP, as the unmodified client library of Azure sees them."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobBlock, BlobClient, ContainerClient, ContentSettings
from azure.storage.blob.aio import BlobClient as AsyncBlobClient
from azure.storage.blob.aio import ContainerClient as AsyncContainerClient

from blob_servers import serving
from qiosk.adapters.blobs.local import LocalStorage
from qiosk.errors import QuotaExceeded
from qiosk.service.blobs.locations import ServedLocations
from qiosk.service.blobs.store import LEAST_BYTES

GZIP = ContentSettings(content_type="application/json", content_encoding="gzip")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(LocalStorage(tmp_path_factory.mktemp("blobs"), ServedLocations())) as running:
        yield running


@pytest.fixture
def container(server, request):
    name = re.sub("[^a-z0-9]", "-", request.node.name)
    with ContainerClient.from_container_url(server.links().container(name)) as client:
        client.create_container()
        yield client


def test_a_container_is_created_as_old_clients_do(server):
    with ContainerClient.from_container_url(server.links().container("job-1")) as client:
        assert not client.exists()
        client.create_container()
        assert client.exists()
        assert client.get_container_properties().name == "job-1"
        with pytest.raises(ResourceExistsError) as caught:
            client.create_container()
        assert caught.value.error_code == "ContainerAlreadyExists"


def test_an_upload_comes_back_with_all_that_was_said_of_it(container):
    blob = container.get_blob_client("inputData")
    content = gzip.compress(b'{"cost_function": {}}')
    blob.upload_blob(content, content_settings=GZIP, metadata={"num_terms": "3"})
    properties = blob.get_blob_properties()
    assert properties.size == len(content)
    assert properties.metadata == {"num_terms": "3"}
    assert properties.content_settings.content_type == "application/json"
    assert properties.content_settings.content_encoding == "gzip"
    assert properties.blob_type == "BlockBlob"
    assert properties.creation_time == properties.last_modified
    assert blob.exists()
    # Served as it is stored; the client is who decompresses.
    assert blob.download_blob(decompress=False).readall() == content
    assert blob.download_blob().readall() == gzip.decompress(content)


def test_an_existing_blob_is_not_overwritten_unless_asked(container):
    blob = container.get_blob_client("a/b c.json")
    blob.upload_blob(b"first")
    with pytest.raises(ResourceExistsError) as caught:
        blob.upload_blob(b"second")
    assert caught.value.error_code == "BlobAlreadyExists"
    assert blob.download_blob().readall() == b"first"
    blob.upload_blob(b"third", overwrite=True)
    assert blob.download_blob().readall() == b"third"


@pytest.mark.parametrize("content", [b"", b"x", os.urandom(3_000_000)], ids=["empty", "small", "streamed"])
def test_content_of_any_size_is_kept(container, content):
    blob = container.get_blob_client("data")
    blob.upload_blob(content, validate_content=True)
    assert blob.download_blob().readall() == content


def test_large_content_goes_up_in_blocks_and_comes_down_in_ranges(server):
    content = os.urandom(9_000_001)
    url = server.links().container("large")
    with ContainerClient.from_container_url(
        url,
        max_single_put_size=1 << 20,
        max_block_size=1 << 20,
        max_single_get_size=1 << 20,
        max_chunk_get_size=1 << 20,
    ) as client:
        blob = client.get_blob_client("data")
        blob.upload_blob(content, max_concurrency=3, metadata={"k": "v"}, content_settings=GZIP)
        assert blob.download_blob(max_concurrency=3, decompress=False).readall() == content
        assert blob.get_blob_properties().metadata == {"k": "v"}
        with pytest.raises(ResourceExistsError):
            blob.upload_blob(content)
        blob.upload_blob(iter([b"a" * 1_500_000, b"b" * 700_000]), overwrite=True)
        assert blob.download_blob().readall() == b"a" * 1_500_000 + b"b" * 700_000


def test_blocks_are_staged_and_committed_as_streaming_problems_do(container):
    blob = container.get_blob_client("stream")
    for number, piece in enumerate([b"\x1f\x8b" + b"\0" * 8, b"one", b"two"]):
        blob.stage_block(f"{number:>10}", piece)
    assert not blob.exists()
    blob.commit_block_list([BlobBlock(f"{n:>10}") for n in range(3)], content_settings=GZIP, metadata={"type": "ising"})
    assert blob.download_blob(decompress=False).readall().endswith(b"onetwo")
    with pytest.raises(HttpResponseError) as caught:
        blob.commit_block_list([BlobBlock(f"{7:>10}")])
    assert (caught.value.status_code, caught.value.error_code) == (400, "InvalidBlockList")


@pytest.mark.parametrize(("offset", "length"), [(0, 1), (5, 10), (90, 100), (99, None), (0, None)])
def test_ranges(container, offset, length):
    blob = container.get_blob_client("data")
    content = bytes(range(100))
    blob.upload_blob(content)
    expected = content[offset : None if length is None else offset + length]
    assert blob.download_blob(offset=offset, length=length).readall() == expected


def test_a_range_behind_the_end_is_refused(container):
    blob = container.get_blob_client("data")
    blob.upload_blob(b"12345")
    with pytest.raises(HttpResponseError) as caught:
        blob.download_blob(offset=5, length=1)
    assert (caught.value.status_code, caught.value.error_code) == (416, "InvalidRange")


def test_conditions(container):
    blob = container.get_blob_client("data")
    old = blob.upload_blob(b"old")["etag"]
    same = {"etag": old, "match_condition": MatchConditions.IfNotModified}
    other = {"etag": old, "match_condition": MatchConditions.IfModified}
    assert blob.download_blob(**same).readall() == b"old"
    with pytest.raises(HttpResponseError) as caught:
        blob.download_blob(**other)
    assert caught.value.status_code == 304
    new = blob.upload_blob(b"new", overwrite=True, **same)["etag"]
    assert new != old
    for attempt in (lambda: blob.download_blob(**same), lambda: blob.upload_blob(b"lost", overwrite=True, **same)):
        with pytest.raises(ResourceModifiedError) as caught:
            attempt()
        assert caught.value.error_code == "ConditionNotMet"
    with pytest.raises(ResourceModifiedError):
        blob.get_blob_properties(if_unmodified_since=blob.get_blob_properties().last_modified.replace(year=2020))
    assert blob.download_blob(**other).readall() == b"new"


def test_blobs_are_listed_in_pages(container):
    names = [f"attachments/{number:02} & <more>" for number in range(7)] + ["other"]
    for name in names:
        container.upload_blob(name, name.encode(), metadata={"n": name[:2]})
    pages = [list(page) for page in container.list_blobs(results_per_page=3, include=["metadata"]).by_page()]
    assert [len(page) for page in pages] == [3, 3, 2]
    listed = [blob for page in pages for blob in page]
    assert [blob.name for blob in listed] == names
    assert [blob.size for blob in listed] == [len(name) for name in names]
    assert f'"{listed[0].etag}"' == container.get_blob_client(names[0]).get_blob_properties().etag
    assert [blob.name for blob in container.list_blobs(name_starts_with="o")] == ["other"]
    assert listed[-1].metadata == {"n": "ot"}


def test_metadata_are_replaced(container):
    blob = container.get_blob_client("data")
    first = blob.upload_blob(b"x", metadata={"a": "1"}, content_settings=GZIP)["etag"]
    assert blob.set_blob_metadata({"b": "2"})["etag"] != first
    properties = blob.get_blob_properties()
    assert properties.metadata == {"b": "2"}
    assert properties.content_settings.content_encoding == "gzip"


def test_what_is_not_there_is_not_found(server, container):
    for attempt in (
        container.get_blob_client("missing").download_blob,
        container.get_blob_client("missing").get_blob_properties,
        lambda: container.get_blob_client("missing").set_blob_metadata({}),
    ):
        with pytest.raises(ResourceNotFoundError) as caught:
            attempt()
        assert caught.value.error_code == "BlobNotFound"
    with (
        ContainerClient.from_container_url(server.links().container("missing")) as missing,
        pytest.raises(ResourceNotFoundError),
    ):
        list(missing.list_blobs())


def test_a_blobs_link_opens_that_blob_alone(server, container):
    container.upload_blob("mine", b"1")
    container.upload_blob("other", b"2")
    link = server.links(may_write=False).blob(container.container_name, "mine")
    with BlobClient.from_blob_url(link) as blob:
        assert blob.download_blob().readall() == b"1"
        with pytest.raises(ClientAuthenticationError):
            blob.upload_blob(b"x", overwrite=True)
    with BlobClient.from_blob_url(link.replace("/mine?", "/other?")) as blob, pytest.raises(ClientAuthenticationError):
        blob.download_blob()


def test_workspaces_do_not_share_blobs(server):
    for workspace in ("s/g/one", "s/g/two"):
        with ContainerClient.from_container_url(server.links(workspace).container("shared")) as client:
            client.create_container()
            client.upload_blob("a", workspace.encode())
    with ContainerClient.from_container_url(server.links("s/g/one").container("shared")) as client:
        assert client.download_blob("a").readall() == b"s/g/one"


def test_the_asynchronous_client(server):
    async def talk():
        async with AsyncContainerClient.from_container_url(server.links().container("async")) as client:
            await client.create_container()
            blob = client.get_blob_client("data")
            await blob.upload_blob(gzip.compress(b"content"), content_settings=GZIP)
            with pytest.raises(ResourceExistsError):
                await blob.upload_blob(b"again")
            names = [item.name async for item in client.list_blobs()]
            return names, await (await blob.download_blob(decompress=False)).readall()

    names, content = asyncio.run(talk())
    assert names == ["data"]
    assert gzip.decompress(content) == b"content"


def test_an_asynchronous_blob_client_reads_a_link(server, container):
    container.upload_blob("result", b"{}")

    async def read():
        async with AsyncBlobClient.from_blob_url(server.links().blob(container.container_name, "result")) as blob:
            return await (await blob.download_blob()).readall()

    assert asyncio.run(read()) == b"{}"


def test_many_clients_at_once(server, container):
    def one(number):
        with BlobClient.from_blob_url(server.links().blob(container.container_name, f"{number}")) as blob:
            blob.upload_blob(str(number).encode() * 1000)
            return blob.download_blob().readall() == str(number).encode() * 1000

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(40)))


def test_a_quota_refuses_before_anything_is_stored(tmp_path):
    def check(workspace, extra):
        if extra > 5000:
            raise QuotaExceeded(f"workspace {workspace}: may store 5000 bytes more, found {extra}")

    with serving(LocalStorage(tmp_path, ServedLocations()), check_bytes=check) as server:
        link = server.links().blob("c", "a")
        with BlobClient.from_blob_url(link, retry_total=0) as blob:
            blob.upload_blob(b"x" * 5000)
            for content in (b"x" * 5001, b"x" * 3_000_000):
                with pytest.raises(HttpResponseError) as caught:
                    blob.upload_blob(content, overwrite=True)
                assert (caught.value.status_code, caught.value.error_code) == (403, "QuotaExceeded")
            assert blob.download_blob().readall() == b"x" * 5000


def test_empty_blobs_blocks_and_containers_are_counted(tmp_path):
    counted: list[int] = []

    def check(_workspace, extra):
        counted.append(extra)

    with serving(LocalStorage(tmp_path, ServedLocations()), check_bytes=check) as server:
        with ContainerClient.from_container_url(server.links().container("c")) as container:
            container.create_container()
            with pytest.raises(ResourceExistsError):
                container.create_container()
        with BlobClient.from_blob_url(server.links().blob("c", "a")) as blob:
            blob.upload_blob(b"")
            blob.stage_block("AA==", b"x")
    assert counted == [LEAST_BYTES] * 3


def test_a_body_that_is_too_long_is_refused(tmp_path):
    with serving(LocalStorage(tmp_path, ServedLocations()), max_put_bytes=10_000) as server:
        link = server.links().blob("c", "a")
        with BlobClient.from_blob_url(link, retry_total=0) as blob, pytest.raises(HttpResponseError) as caught:
            blob.upload_blob(b"x" * 10_001)
        assert (caught.value.status_code, caught.value.error_code) == (413, "RequestBodyTooLarge")
