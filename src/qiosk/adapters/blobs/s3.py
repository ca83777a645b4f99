"""Blobs as objects in a bucket of AWS or of any service that speaks its protocol, through obstore.

::

    WORKSPACE/blobs/CONTAINER/NAME        content, with its headers as the object's attributes
    WORKSPACE/containers/CONTAINER        empty: the container was created
    WORKSPACE/staged/CONTAINER/DIGEST/ID  uploaded blocks; DIGEST is computed from NAME
    WORKSPACE/lists/CONTAINER/DIGEST      ids and sizes of the blocks that a version was made of
    WORKSPACE/workspace                   the workspace's key, if it is too long for a name

Clients do not access the bucket: they read and write through a Qiosk server. A multipart upload whose writer died
before the commit leaves parts that only a lifecycle rule of the bucket removes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any, cast, final
from urllib.parse import quote, unquote

import obstore
from obstore.store import S3Store

from qiosk.adapters.blobs.fetching import FetchedReader
from qiosk.adapters.blobs.folders import folder_name
from qiosk.adapters.blobs.s3_blocks import BlockObjects
from qiosk.adapters.blobs.s3_objects import (
    ObjectWriter,
    describe,
    raw_etag,
    read_attributes,
    reader_of,
    translating_errors,
)
from qiosk.contract.blob_names import check_blob, check_container
from qiosk.errors import BlobNotFound
from qiosk.service.blobs.locations import BlobLocations, PrefixLocations
from qiosk.service.blobs.store import (
    LEAST_BYTES,
    PLAIN,
    BlobHeaders,
    BlobPage,
    BlobProperties,
    Block,
    BlockSource,
    counted_bytes,
    not_found,
    write_whole,
)
from qiosk.service.jobs.job import BlobRef
from qiosk.service.names import check_block_id

_OPEN_STORES = 1024


@final
class S3Storage:
    """``Storage`` in a bucket, below a prefix. Credentials, region and endpoint are those of the environment."""

    def __init__(self, bucket: str, prefix: str = "", served: BlobLocations | None = None, **config: Any) -> None:
        self._store = S3Store(bucket, prefix=prefix or None, client_options={"allow_http": True}, **config)
        base = "/".join(filter(None, (f"s3://{bucket}", prefix)))

        def open_store(workspace: str) -> S3BlobStore:
            name = folder_name(workspace)
            return S3BlobStore(self._store, workspace, served or PrefixLocations(f"{base}/{quote(name)}/blobs/"))

        self._blobs = lru_cache(_OPEN_STORES)(open_store)

    def blobs(self, workspace: str) -> S3BlobStore:
        """Blobs of one workspace."""
        return self._blobs(workspace)

    def workspaces(self) -> Sequence[str]:
        """Keys of workspaces that have an object."""
        with translating_errors():
            folders = obstore.list_with_delimiter(self._store)["common_prefixes"]
            keys = [_key_of(self._store, name.rstrip("/")) for name in folders]
        return sorted(key for key in keys if key is not None)

    def signed_uri(
        self, workspace: str, container: str, name: str | None, permissions: str, until: datetime
    ) -> str | None:
        """None: buckets cannot sign links to a whole container, so clients go through a Qiosk server."""
        return None


@final
class S3BlobStore:
    """``BlobStore`` of one workspace in a bucket."""

    def __init__(self, store: S3Store, workspace: str, locations: BlobLocations) -> None:
        self._store = store
        self._key = workspace
        self._folder = folder_name(workspace)
        self._is_key_stored = unquote(self._folder) == workspace
        self._locations = locations

    def create(self, container: str) -> bool:
        """Create a container; False if it exists."""
        self._store_key()
        is_new = not self.has_container(container)
        with translating_errors():
            obstore.put(self._store, f"{self._folder}/containers/{container}", b"")
        return is_new

    def has_container(self, container: str) -> bool:
        """Whether it was created, or contains a blob."""
        check_container(container)
        with translating_errors():
            try:
                obstore.head(self._store, f"{self._folder}/containers/{container}")
            except FileNotFoundError:
                return any(True for _ in self._objects("blobs", container))
            return True

    def made_at(self, container: str) -> datetime | None:
        """When it was created or got its last block; None also if it was never created and exists through its blobs."""
        check_container(container)
        with translating_errors():
            try:
                marker = obstore.head(self._store, f"{self._folder}/containers/{container}")
            except FileNotFoundError:
                return None
            times: list[datetime] = [marker["last_modified"]]
            times += (meta["last_modified"] for meta in self._objects("staged", container))
            return max(times)

    def containers(self) -> Sequence[str]:
        """Names of all containers, sorted."""
        with translating_errors():
            made = obstore.list_with_delimiter(self._store, f"{self._folder}/containers")["objects"]
            filled = obstore.list_with_delimiter(self._store, f"{self._folder}/blobs")["common_prefixes"]
        paths = chain((entry["path"] for entry in made), filled)
        return sorted({path.rstrip("/").rpartition("/")[2] for path in paths})

    def put(self, ref: BlobRef, data: bytes, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> BlobProperties:
        """Store a blob. Raises BlobAlreadyExists."""
        return write_whole(self.writer(ref, overwrite=overwrite, headers=headers), data)

    def get(self, ref: BlobRef) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        with translating_errors():
            try:
                return bytes(obstore.get(self._store, self._path(ref)).bytes())
            except FileNotFoundError:
                raise not_found(ref) from None

    def properties(self, ref: BlobRef) -> BlobProperties:
        """A blob without its content. Raises BlobNotFound."""
        return self.open(ref).properties

    def open(self, ref: BlobRef) -> FetchedReader:
        """A blob to read in pieces. Raises BlobNotFound."""
        path = self._path(ref)
        with translating_errors():
            try:
                found = obstore.get(self._store, path, options={"head": True})
            except FileNotFoundError:
                raise not_found(ref) from None
        headers = read_attributes(cast("Mapping[str, str]", found.attributes))
        return reader_of(self._store, path, raw_etag(found.meta), describe(ref.name, found.meta, headers))

    def writer(self, ref: BlobRef, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> ObjectWriter:
        """A blob to write in pieces."""
        self._store_key()
        return ObjectWriter(self._store, self._path(ref), ref, overwrite=overwrite, headers=headers)

    def block_writer(self, ref: BlobRef, block_id: str) -> ObjectWriter:
        """A block for ``commit_blocks``."""
        check_block_id(block_id)
        return ObjectWriter(self._store, self._blocks(ref).path_of(block_id), ref)

    def commit_blocks(
        self, ref: BlobRef, blocks: Sequence[Block], *, overwrite: bool = True, headers: BlobHeaders = PLAIN
    ) -> BlobProperties:
        """Make a blob of blocks, by copying them. Raises InvalidBlockList, BlobAlreadyExists."""
        found = self._blocks(ref)
        blob = None
        if any(block.source is not BlockSource.UNCOMMITTED for block in blocks):
            with suppress(BlobNotFound):
                blob = self.open(ref)
        parts = found.find(blocks, blob)
        pieces = (piece for part in parts for piece in part.reader.pieces(part.start, part.start + part.size))
        properties = self._write(ref, pieces, overwrite, headers)
        found.write_list(properties.etag, [(block.id, part.size) for block, part in zip(blocks, parts, strict=True)])
        self._remove(found.staged)
        return properties

    def set_metadata(self, ref: BlobRef, metadata: Mapping[str, str]) -> BlobProperties:
        """Replace a blob's metadata, by writing all of it again. Raises BlobNotFound, BlobChanged."""
        reader = self.open(ref)
        known = reader.properties.headers or PLAIN
        headers = BlobHeaders(
            content_type=known.content_type, content_encoding=known.content_encoding, metadata=dict(metadata)
        )
        blocks = self._blocks(ref)
        made_of = blocks.read_list(reader.properties.etag)
        properties = self._write(ref, reader.pieces(), True, headers)
        blocks.write_list(properties.etag, made_of)
        return properties

    def list(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted."""
        check_container(container)
        with translating_errors():
            return sorted(name for name, _ in self._named(container, None))

    def page(self, container: str, *, prefix: str = "", marker: str | None = None, limit: int = 5000) -> BlobPage:
        """Blobs whose names begin with ``prefix``, sorted by name; without their headers."""
        check_container(container)
        found: list[BlobProperties] = []
        with translating_errors():
            for name, meta in self._named(container, marker):
                if name.startswith(prefix):
                    if len(found) == limit:
                        return BlobPage(found, found[-1].name)
                    found.append(describe(name, meta, None))
                elif name > prefix:
                    break  # sorted: no later name begins with it
        return BlobPage(found, None)

    def delete(self, ref: BlobRef) -> None:
        """Remove a blob."""
        with translating_errors():
            for kind, name in (("blobs", ref.name), ("lists", _digest(ref.name))):
                _delete(self._store, self._path(BlobRef(ref.container, name), kind))

    def delete_container(self, container: str) -> None:
        """Remove a container and all its blobs."""
        check_container(container)
        for kind in ("blobs", "staged", "lists"):
            self._remove(f"{self._folder}/{kind}/{container}")
        with translating_errors():
            _delete(self._store, f"{self._folder}/containers/{container}")

    def discard_unfinished(self, before: datetime) -> int:
        """Remove old blocks."""
        with translating_errors():
            stream = obstore.list(self._store, f"{self._folder}/staged", chunk_size=1000)
            old = [meta["path"] for batch in stream for meta in batch if meta["last_modified"] < before]
            for path in old:
                _delete(self._store, path)
        return len(old)

    def usage(self) -> int:
        """Bytes of all blobs, blocks and containers."""
        containers = LEAST_BYTES * len(self.containers())
        with translating_errors():
            return containers + sum(
                counted_bytes(meta["size"])
                for kind in ("blobs", "staged")
                for batch in obstore.list(self._store, f"{self._folder}/{kind}", chunk_size=1000)
                for meta in batch
            )

    def uri(self, container: str, name: str | None = None) -> str:
        """URI of a container or blob."""
        return self._locations.uri(container, name)

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """Container and blob of a URI that ``uri`` returned."""
        return self._locations.resolve(uri)

    def _store_key(self) -> None:
        """Store the workspace's key, if it is too long for a name."""
        if not self._is_key_stored:
            with translating_errors():
                obstore.put(self._store, f"{self._folder}/workspace", self._key.encode())
            self._is_key_stored = True

    def _path(self, ref: BlobRef, kind: str = "blobs") -> str:
        check_container(ref.container)
        check_blob(ref.name)
        return f"{self._folder}/{kind}/{ref.container}/{ref.name}"

    def _blocks(self, ref: BlobRef) -> BlockObjects:
        check_blob(ref.name)
        place = BlobRef(ref.container, _digest(ref.name))
        return BlockObjects(self._store, ref, staged=self._path(place, "staged"), list_path=self._path(place, "lists"))

    def _write(self, ref: BlobRef, pieces: Iterable[bytes], overwrite: bool, headers: BlobHeaders) -> BlobProperties:
        writer = self.writer(ref, overwrite=overwrite, headers=headers)
        try:
            for piece in pieces:
                writer.write(piece)
            return writer.commit()
        finally:
            writer.abort()

    def _objects(self, kind: str, container: str, offset: str | None = None) -> Iterator[Mapping[str, Any]]:
        prefix = f"{self._folder}/{kind}/{container}"
        for batch in obstore.list(self._store, prefix, offset=offset, chunk_size=1000):
            yield from cast("Sequence[Mapping[str, Any]]", batch)

    def _named(self, container: str, marker: str | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Objects of a container after a name, sorted, with the names of their blobs."""
        prefix = f"{self._folder}/blobs/{container}/"
        offset = None if marker is None else prefix + marker
        for meta in self._objects("blobs", container, offset):
            yield meta["path"][len(prefix) :], meta

    def _remove(self, prefix: str) -> None:
        with translating_errors():
            for batch in obstore.list(self._store, prefix, chunk_size=1000):
                obstore.delete(self._store, [meta["path"] for meta in batch])


def _key_of(store: S3Store, folder: str) -> str | None:
    """The key of the workspace that a folder belongs to; None if it belongs to none."""
    key = unquote(folder)
    if folder_name(key) == folder:
        return key
    try:
        return bytes(obstore.get(store, f"{folder}/workspace").bytes()).decode()
    except FileNotFoundError:
        return None


def _delete(store: S3Store, path: str) -> None:
    try:
        obstore.delete(store, path)
    except FileNotFoundError:
        return


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _not_found(ref: BlobRef) -> BlobNotFound:
    return BlobNotFound(f"blob {ref.container}/{ref.name} was not found")
