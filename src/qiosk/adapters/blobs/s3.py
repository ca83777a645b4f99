"""Blobs as objects in a bucket of AWS or of any service that speaks its protocol, through obstore.

::

    WORKSPACE/blobs/CONTAINER/NAME               content, with its headers as the object's attributes
    WORKSPACE/containers/CONTAINER               empty: the container was made
    WORKSPACE/staged/CONTAINER/DIGEST/ID         uploaded blocks; DIGEST is that of NAME
    WORKSPACE/workspace                          the workspace's key, if it is too long for a name
    WORKSPACE/lists/CONTAINER/DIGEST             ids and sizes of the blocks that a version was made of

Clients do not reach the bucket: what they read and write goes through our server. An upload in parts that is not
committed, because its writer died, leaves parts behind, which the bucket's own rules have to remove.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any, cast, final
from urllib.parse import quote, unquote

import obstore
from obstore.store import S3Store

from qiosk.adapters.blobs.folders import folder_name
from qiosk.adapters.blobs.s3_objects import ObjectReader, ObjectWriter, describe, raw_etag, read_attributes, speaking
from qiosk.errors import BlobNotFound, InvalidBlockList
from qiosk.service.blobs import PLAIN, BlobHeaders, BlobPage, BlobProperties, Block, BlockSource
from qiosk.service.jobs import BlobRef
from qiosk.service.locations import BlobLocations, PrefixLocations
from qiosk.service.names import check_blob, check_block_id, check_container

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
        with speaking():
            folders = obstore.list_with_delimiter(self._store)["common_prefixes"]
            keys = [_key_of(self._store, name.rstrip("/")) for name in folders]
        return sorted(key for key in keys if key is not None)

    def signed_uri(
        self, workspace: str, container: str, name: str | None, permissions: str, until: datetime
    ) -> str | None:
        """None: a bucket signs no links for all of a container, so that clients have to ask a server of ours."""
        return None


@final
class S3BlobStore:
    """``BlobStore`` of one workspace in a bucket."""

    def __init__(self, store: S3Store, workspace: str, locations: BlobLocations) -> None:
        self._store = store
        self._key = workspace
        self._folder = folder_name(workspace)
        self._is_known = unquote(self._folder) == workspace
        self._locations = locations

    def create(self, container: str) -> bool:
        """Make a container; False if it exists."""
        self._remember()
        is_new = not self.has_container(container)
        with speaking():
            obstore.put(self._store, f"{self._folder}/containers/{container}", b"")
        return is_new

    def has_container(self, container: str) -> bool:
        """Whether it was made, or holds a blob."""
        check_container(container)
        with speaking():
            try:
                obstore.head(self._store, f"{self._folder}/containers/{container}")
            except FileNotFoundError:
                return any(True for _ in self._objects("blobs", container))
            return True

    def made_at(self, container: str) -> datetime | None:
        """When it was made, or later got a block; None also if nobody made it, and it has existed through its blobs."""
        check_container(container)
        with speaking():
            try:
                marker = obstore.head(self._store, f"{self._folder}/containers/{container}")
            except FileNotFoundError:
                return None
            times: list[datetime] = [marker["last_modified"]]
            times += (meta["last_modified"] for meta in self._objects("staged", container))
            return max(times)

    def containers(self) -> Sequence[str]:
        """Names of all containers, sorted."""
        with speaking():
            made = obstore.list_with_delimiter(self._store, f"{self._folder}/containers")["objects"]
            filled = obstore.list_with_delimiter(self._store, f"{self._folder}/blobs")["common_prefixes"]
        paths = chain((entry["path"] for entry in made), filled)
        return sorted({path.rstrip("/").rpartition("/")[2] for path in paths})

    def put(self, ref: BlobRef, data: bytes, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> BlobProperties:
        """Store a blob. Raises BlobAlreadyExists."""
        writer = self.writer(ref, overwrite=overwrite, headers=headers)
        try:
            writer.write(data)
            return writer.commit()
        finally:
            writer.abort()

    def get(self, ref: BlobRef) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        with speaking():
            try:
                return bytes(obstore.get(self._store, self._path(ref)).bytes())
            except FileNotFoundError:
                raise _not_found(ref) from None

    def properties(self, ref: BlobRef) -> BlobProperties:
        """A blob without its content. Raises BlobNotFound."""
        return self.open(ref).properties

    def open(self, ref: BlobRef) -> ObjectReader:
        """A blob to read in pieces. Raises BlobNotFound."""
        path = self._path(ref)
        with speaking():
            try:
                found = obstore.get(self._store, path, options={"head": True})
            except FileNotFoundError:
                raise _not_found(ref) from None
        headers = read_attributes(cast("Mapping[str, str]", found.attributes))
        return ObjectReader(self._store, path, raw_etag(found.meta), describe(ref.name, found.meta, headers))

    def writer(self, ref: BlobRef, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> ObjectWriter:
        """A blob to write in pieces."""
        self._remember()
        return ObjectWriter(self._store, self._path(ref), ref, overwrite=overwrite, headers=headers)

    def block_writer(self, ref: BlobRef, block_id: str) -> ObjectWriter:
        """A block for ``commit_blocks``."""
        check_block_id(block_id)
        path = f"{self._staged(ref)}/{quote(block_id, safe='')}"
        return ObjectWriter(self._store, path, ref)

    def commit_blocks(
        self, ref: BlobRef, blocks: Sequence[Block], *, overwrite: bool = True, headers: BlobHeaders = PLAIN
    ) -> BlobProperties:
        """Make a blob of blocks, by copying them. Raises InvalidBlockList, BlobAlreadyExists."""
        writer = self.writer(ref, overwrite=overwrite, headers=headers)
        try:
            parts = self._parts(ref, blocks)
            for reader, start, size in parts:
                for piece in reader.pieces(start, start + size):
                    writer.write(piece)
            properties = writer.commit()
        finally:
            writer.abort()
        made_of = [(block.id, size) for block, (_, _, size) in zip(blocks, parts, strict=True)]
        self._write_list(ref, properties.etag, made_of)
        self._remove(self._staged(ref))
        return properties

    def set_metadata(self, ref: BlobRef, metadata: Mapping[str, str]) -> BlobProperties:
        """Replace a blob's metadata, by writing it anew. Raises BlobNotFound, BlobChanged."""
        reader = self.open(ref)
        known = reader.properties.headers or PLAIN
        headers = BlobHeaders(
            content_type=known.content_type, content_encoding=known.content_encoding, metadata=dict(metadata)
        )
        made_of = self._read_list(ref, reader.properties.etag)
        writer = self.writer(ref, headers=headers)
        try:
            for piece in reader.pieces():
                writer.write(piece)
            properties = writer.commit()
        finally:
            writer.abort()
        self._write_list(ref, properties.etag, made_of)
        return properties

    def list(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted."""
        check_container(container)
        with speaking():
            return sorted(name for name, _ in self._named(container, None))

    def page(self, container: str, *, prefix: str = "", marker: str | None = None, limit: int = 5000) -> BlobPage:
        """Blobs whose names begin with ``prefix``, sorted by name; without their headers."""
        check_container(container)
        found: list[BlobProperties] = []
        with speaking():
            for name, meta in self._named(container, marker):
                if name.startswith(prefix):
                    if len(found) == limit:
                        return BlobPage(found, found[-1].name)
                    found.append(describe(name, meta, None))
                elif name > prefix:
                    break  # sorted: all that begin with it have passed
        return BlobPage(found, None)

    def delete(self, ref: BlobRef) -> None:
        """Remove a blob."""
        with speaking():
            for path in (self._path(ref), self._list_path(ref)):
                _delete(self._store, path)

    def delete_container(self, container: str) -> None:
        """Remove a container and all its blobs."""
        check_container(container)
        for kind in ("blobs", "staged", "lists"):
            self._remove(f"{self._folder}/{kind}/{container}")
        with speaking():
            _delete(self._store, f"{self._folder}/containers/{container}")

    def discard_unfinished(self, before: datetime) -> int:
        """Remove old blocks."""
        with speaking():
            stream = obstore.list(self._store, f"{self._folder}/staged", chunk_size=1000)
            old = [meta["path"] for batch in stream for meta in batch if meta["last_modified"] < before]
            for path in old:
                _delete(self._store, path)
        return len(old)

    def usage(self) -> int:
        """Bytes of all blobs and blocks."""
        with speaking():
            return sum(
                meta["size"]
                for kind in ("blobs", "staged")
                for batch in obstore.list(self._store, f"{self._folder}/{kind}", chunk_size=1000)
                for meta in batch
            )

    def uri(self, container: str, name: str | None = None) -> str:
        """URI of a container or blob."""
        return self._locations.uri(container, name)

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """Container and blob of one of our URIs."""
        return self._locations.resolve(uri)

    def _remember(self) -> None:
        """Write the workspace's key down, if it is too long for a name."""
        if not self._is_known:
            with speaking():
                obstore.put(self._store, f"{self._folder}/workspace", self._key.encode())
            self._is_known = True

    def _path(self, ref: BlobRef) -> str:
        check_container(ref.container)
        check_blob(ref.name)
        return f"{self._folder}/blobs/{ref.container}/{ref.name}"

    def _staged(self, ref: BlobRef) -> str:
        return self._path(BlobRef(ref.container, _digest(ref.name))).replace("/blobs/", "/staged/", 1)

    def _list_path(self, ref: BlobRef) -> str:
        return self._path(BlobRef(ref.container, _digest(ref.name))).replace("/blobs/", "/lists/", 1)

    def _objects(self, kind: str, container: str, offset: str | None = None) -> Iterator[Mapping[str, Any]]:
        prefix = f"{self._folder}/{kind}/{container}"
        for batch in obstore.list(self._store, prefix, offset=offset, chunk_size=1000):
            yield from cast("Sequence[Mapping[str, Any]]", batch)

    def _named(self, container: str, marker: str | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Objects of a container behind a name, sorted, with the names of their blobs."""
        prefix = f"{self._folder}/blobs/{container}/"
        offset = None if marker is None else prefix + marker
        for meta in self._objects("blobs", container, offset):
            yield meta["path"][len(prefix) :], meta

    def _remove(self, prefix: str) -> None:
        with speaking():
            for batch in obstore.list(self._store, prefix, chunk_size=1000):
                obstore.delete(self._store, [meta["path"] for meta in batch])

    def _parts(self, ref: BlobRef, blocks: Sequence[Block]) -> Sequence[tuple[ObjectReader, int, int]]:
        """Where the bytes of each block are: a reader, the first byte, and how many. Raises InvalidBlockList."""
        uploaded = self._uploaded(ref)
        committed = self._committed(ref) if any(b.source is not BlockSource.UNCOMMITTED for b in blocks) else {}
        sought = {
            BlockSource.COMMITTED: committed,
            BlockSource.UNCOMMITTED: uploaded,
            BlockSource.LATEST: {**committed, **uploaded},
        }
        parts = []
        for block in blocks:
            check_block_id(block.id)
            part = sought[block.source].get(block.id)
            if part is None:
                raise InvalidBlockList(f"blob {ref.container}/{ref.name}: block {block.id!r} was never uploaded")
            parts.append(part)
        return parts

    def _uploaded(self, ref: BlobRef) -> dict[str, tuple[ObjectReader, int, int]]:
        folder = self._staged(ref)
        found = {}
        with speaking():
            for batch in obstore.list(self._store, folder, chunk_size=1000):
                for meta in batch:
                    block_id = unquote(meta["path"][len(folder) + 1 :])
                    properties = describe(block_id, meta, None)
                    reader = ObjectReader(self._store, meta["path"], raw_etag(meta), properties)
                    found[block_id] = (reader, 0, meta["size"])
        return found

    def _committed(self, ref: BlobRef) -> dict[str, tuple[ObjectReader, int, int]]:
        try:
            reader = self.open(ref)
        except BlobNotFound:
            return {}
        found = {}
        start = 0
        for block_id, size in self._read_list(ref, reader.properties.etag):
            found[block_id] = (reader, start, size)
            start += size
        return found

    def _write_list(self, ref: BlobRef, etag: str, made_of: Sequence[tuple[str, int]]) -> None:
        if made_of:
            with speaking():
                obstore.put(self._store, self._list_path(ref), json.dumps({"etag": etag, "blocks": made_of}).encode())

    def _read_list(self, ref: BlobRef, etag: str) -> Sequence[tuple[str, int]]:
        """Blocks of the version with this etag; none if it was not made of blocks."""
        with speaking():
            try:
                document = json.loads(bytes(obstore.get(self._store, self._list_path(ref)).bytes()))
            except FileNotFoundError:
                return []
        return [(block_id, size) for block_id, size in document["blocks"]] if document["etag"] == etag else []


def _key_of(store: S3Store, folder: str) -> str | None:
    """The workspace that a folder belongs to; None if it is no workspace's."""
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
