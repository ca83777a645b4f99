"""Blobs in memory."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import final

from qiosk.contract.blob_names import check_blob, check_container
from qiosk.forks import PerProcess
from qiosk.service.blobs.locations import BlobLocations, PrefixLocations
from qiosk.service.blobs.store import (
    LEAST_BYTES,
    PLAIN,
    BlobHeaders,
    BlobPage,
    BlobProperties,
    Block,
    BlockSource,
    already_exists,
    counted_bytes,
    never_uploaded,
    not_found,
    page_names,
)
from qiosk.service.jobs.job import BlobRef
from qiosk.service.names import check_block_id
from qiosk.testing.blob_io import MemoryBlobReader, MemoryBlobWriter


@dataclass(frozen=True, slots=True)
class _Blob:
    data: bytes
    properties: BlobProperties
    blocks: Mapping[str, bytes]


@dataclass(slots=True)
class _Container:
    blobs: dict[str, _Blob] = field(default_factory=dict)
    staged: dict[str, dict[str, tuple[bytes, datetime]]] = field(default_factory=dict)
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@final
class MemoryBlobStore:
    """``BlobStore`` of one workspace over dictionaries; its URIs are ``memory://CONTAINER/BLOB`` by default.

    >>> from qiosk.testing import MemoryBlobStore
    >>> blobs = MemoryBlobStore()
    >>> blobs.create("inputs"), blobs.containers()
    (True, ['inputs'])
    """

    def __init__(self, locations: BlobLocations | None = None) -> None:
        self._containers: dict[str, _Container] = {}
        self._versions = itertools.count(1)
        self._lock = PerProcess(threading.RLock)
        self._locations = locations or PrefixLocations("memory://")

    def create(self, container: str) -> bool:
        """Make a container; False if it exists."""
        check_container(container)
        with self._lock.get():
            is_new = container not in self._containers
            self._containers.setdefault(container, _Container())
            return is_new

    def has_container(self, container: str) -> bool:
        """Whether it was made, or holds a blob."""
        check_container(container)
        return container in self._containers

    def made_at(self, container: str) -> datetime | None:
        """When it was made, or later got a block."""
        check_container(container)
        with self._lock.get():
            found = self._containers.get(container)
            if found is None:
                return None
            staged = (at for blocks in found.staged.values() for _, at in blocks.values())
            return max((found.made_at, *staged))

    def containers(self) -> Sequence[str]:
        """Names of all containers, sorted."""
        with self._lock.get():
            return sorted(self._containers)

    def put(self, ref: BlobRef, data: bytes, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> BlobProperties:
        """Store a blob. Raises BlobAlreadyExists."""
        return self._store(ref, bytes(data), {}, overwrite, headers)

    def get(self, ref: BlobRef) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        return self._find(ref).data

    def properties(self, ref: BlobRef) -> BlobProperties:
        """A blob without its content. Raises BlobNotFound."""
        return self._find(ref).properties

    def open(self, ref: BlobRef) -> MemoryBlobReader:
        """A blob to read in pieces. Raises BlobNotFound."""
        blob = self._find(ref)
        return MemoryBlobReader(blob.data, blob.properties)

    def writer(self, ref: BlobRef, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> MemoryBlobWriter:
        """A blob to write in pieces."""
        _check(ref)
        return MemoryBlobWriter(lambda data: self._store(ref, data, {}, overwrite, headers))

    def block_writer(self, ref: BlobRef, block_id: str) -> MemoryBlobWriter:
        """A block for ``commit_blocks``."""
        _check(ref)
        check_block_id(block_id)

        def keep(data: bytes) -> BlobProperties:
            now = datetime.now(UTC)
            with self._lock.get():
                staged = self._containers.setdefault(ref.container, _Container()).staged
                staged.setdefault(ref.name, {})[block_id] = (data, now)
            return BlobProperties(name=ref.name, size_bytes=len(data), etag="block", modified_at=now, created_at=now)

        return MemoryBlobWriter(keep)

    def commit_blocks(
        self, ref: BlobRef, blocks: Sequence[Block], *, overwrite: bool = True, headers: BlobHeaders = PLAIN
    ) -> BlobProperties:
        """Make a blob of blocks. Raises InvalidBlockList, BlobAlreadyExists."""
        _check(ref)
        with self._lock.get():
            container = self._containers.get(ref.container, _Container())
            staged = {block_id: data for block_id, (data, _) in container.staged.get(ref.name, {}).items()}
            blob = container.blobs.get(ref.name)
            committed = {} if blob is None else dict(blob.blocks)
            sought = {
                BlockSource.COMMITTED: committed,
                BlockSource.UNCOMMITTED: staged,
                BlockSource.LATEST: {**committed, **staged},
            }
            try:
                parts = {block.id: sought[block.source][block.id] for block in blocks}
                data = b"".join(sought[block.source][block.id] for block in blocks)
            except KeyError as error:
                raise never_uploaded(ref, error.args[0]) from None
            properties = self._store(ref, data, parts, overwrite, headers)
            container.staged.pop(ref.name, None)
            return properties

    def set_metadata(self, ref: BlobRef, metadata: Mapping[str, str]) -> BlobProperties:
        """Replace a blob's metadata. Raises BlobNotFound."""
        with self._lock.get():
            blob = self._find(ref)
            properties = replace(
                blob.properties,
                etag=self._next_etag(),
                modified_at=datetime.now(UTC),
                headers=replace(blob.properties.headers or PLAIN, metadata=dict(metadata)),
            )
            self._containers[ref.container].blobs[ref.name] = replace(blob, properties=properties)
            return properties

    def list(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted."""
        check_container(container)
        with self._lock.get():
            return sorted(self._containers.get(container, _Container()).blobs)

    def page(self, container: str, *, prefix: str = "", marker: str | None = None, limit: int = 5000) -> BlobPage:
        """Blobs whose names begin with ``prefix``, sorted by name."""
        check_container(container)
        with self._lock.get():
            blobs = self._containers.get(container, _Container()).blobs
            names, more = page_names(sorted(blobs), prefix, marker, limit)
            return BlobPage([blobs[name].properties for name in names], more)

    def delete(self, ref: BlobRef) -> None:
        """Remove a blob."""
        _check(ref)
        with self._lock.get():
            container = self._containers.get(ref.container, _Container())
            container.blobs.pop(ref.name, None)
            container.staged.pop(ref.name, None)

    def delete_container(self, container: str) -> None:
        """Remove a container and all its blobs."""
        check_container(container)
        with self._lock.get():
            self._containers.pop(container, None)

    def discard_unfinished(self, before: datetime) -> int:
        """Remove old blocks."""
        count = 0
        with self._lock.get():
            for container in self._containers.values():
                for name, staged in list(container.staged.items()):
                    kept = {block_id: block for block_id, block in staged.items() if block[1] >= before}
                    count += len(staged) - len(kept)
                    container.staged[name] = kept
        return count

    def usage(self) -> int:
        """Bytes of all blobs, blocks and containers."""
        with self._lock.get():
            blobs = sum(counted_bytes(len(b.data)) for c in self._containers.values() for b in c.blobs.values())
            blocks = (
                block for c in self._containers.values() for staged in c.staged.values() for block in staged.values()
            )
            containers = LEAST_BYTES * len(self._containers)
            return containers + blobs + sum(counted_bytes(len(data)) for data, _ in blocks)

    def uri(self, container: str, name: str | None = None) -> str:
        """URI of a container or blob."""
        return self._locations.uri(container, name)

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """Container and blob of a URI that ``uri`` returned."""
        return self._locations.resolve(uri)

    def _find(self, ref: BlobRef) -> _Blob:
        _check(ref)
        with self._lock.get():
            try:
                return self._containers[ref.container].blobs[ref.name]
            except KeyError:
                raise not_found(ref) from None

    def _store(
        self, ref: BlobRef, data: bytes, blocks: Mapping[str, bytes], overwrite: bool, headers: BlobHeaders
    ) -> BlobProperties:
        _check(ref)
        with self._lock.get():
            blobs = self._containers.setdefault(ref.container, _Container()).blobs
            if ref.name in blobs and not overwrite:
                raise already_exists(ref)
            now = datetime.now(UTC)
            properties = BlobProperties(
                name=ref.name,
                size_bytes=len(data),
                etag=self._next_etag(),
                modified_at=now,
                created_at=now,
                headers=headers,
            )
            blobs[ref.name] = _Blob(data, properties, blocks)
            return properties

    def _next_etag(self) -> str:
        return f"{next(self._versions):x}"


@final
class MemoryStorage:
    """``Storage`` over a ``MemoryBlobStore`` for each workspace.

    >>> from qiosk.testing import MemoryStorage
    >>> storage = MemoryStorage()
    >>> storage.blobs("one") is storage.blobs("one"), storage.workspaces()
    (True, ['one'])
    """

    def __init__(self, locations: BlobLocations | None = None) -> None:
        self._stores: dict[str, MemoryBlobStore] = {}
        self._locations = locations

    def blobs(self, workspace: str) -> MemoryBlobStore:
        """Blobs of one workspace."""
        return self._stores.setdefault(workspace, MemoryBlobStore(self._locations))

    def workspaces(self) -> Sequence[str]:
        """Keys of the workspaces whose blobs were asked for."""
        return sorted(self._stores)

    def signed_uri(
        self, workspace: str, container: str, name: str | None, permissions: str, until: datetime
    ) -> str | None:
        """None: blobs in memory are reached through a server."""
        return None


def _check(ref: BlobRef) -> None:
    check_container(ref.container)
    check_blob(ref.name)
