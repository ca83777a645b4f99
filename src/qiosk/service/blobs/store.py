"""The blob store: what is stored with a blob, and what every implementation guarantees.

Content may be larger than memory. It is read piece by piece from a ``BlobReader``, and written piece by piece to a
``BlobWriter``; or in blocks, which several writers upload in any order and ``commit_blocks`` joins.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol, runtime_checkable

from qiosk.errors import BlobAlreadyExists, BlobNotFound, InvalidBlockList
from qiosk.service.jobs.job import BlobRef

PIECE = 1 << 20
"""Most bytes of a piece that a reader yields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobHeaders:
    """Description of a blob's bytes. ``content_encoding`` is that of the stored bytes, which no store decodes.

    ``metadata`` is the user's; its names are in lower case.
    """

    content_type: str = "application/octet-stream"
    content_encoding: str | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


LEAST_BYTES = 4096
"""What an item (a blob, an uploaded block or a container) counts in the usage of a workspace if it has fewer bytes.

Empty ones would else be free, and could be stored in any number. It is the size of a block in usual file systems.
"""


def counted_bytes(size: int) -> int:
    """What a blob or an uploaded block of this many bytes counts in the usage of a workspace."""
    return max(size, LEAST_BYTES)


PLAIN = BlobHeaders()
"""Headers of bytes of an unknown type."""
JSON = BlobHeaders(content_type="application/json")
"""Headers of documents that the service writes itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobProperties:
    """A blob without its content. Times are in UTC.

    ``etag`` (1 to 100 characters without quotes) is the same while neither content nor headers change, and different
    after the content has changed. ``created_at`` is when the content was written, or in some stores the headers.
    ``headers`` is None in listings of stores that list only names and sizes.
    """

    name: str
    size_bytes: int
    etag: str
    modified_at: datetime
    created_at: datetime
    headers: BlobHeaders | None = PLAIN


class BlobPage(NamedTuple):
    """Part of a listing; ``marker`` is that of the next part, None at the end."""

    blobs: Sequence[BlobProperties]
    marker: str | None


def page_names(names: Sequence[str], prefix: str, marker: str | None, limit: int) -> tuple[Sequence[str], str | None]:
    """At most ``limit`` of the sorted ``names`` with a prefix, after the name ``marker``, and the next marker."""
    rest = names[bisect_right(names, marker) if marker is not None else 0 :]
    found = [name for name in rest if name.startswith(prefix)]
    return found[:limit], found[limit - 1] if len(found) > limit else None


def write_whole(writer: BlobWriter, data: bytes) -> BlobProperties:
    """Write and commit the whole content of a blob."""
    try:
        writer.write(data)
        return writer.commit()
    finally:
        writer.abort()


def not_found(ref: BlobRef) -> BlobNotFound:
    """The error for a blob that does not exist."""
    return BlobNotFound(f"blob {ref.container}/{ref.name} was not found")


def already_exists(ref: BlobRef) -> BlobAlreadyExists:
    """The error for a blob that exists and may not be overwritten."""
    return BlobAlreadyExists(f"blob {ref.container}/{ref.name} exists")


def never_uploaded(ref: BlobRef, block_id: str) -> InvalidBlockList:
    """The error for a listed block that is not where it is sought."""
    return InvalidBlockList(f"blob {ref.container}/{ref.name}: block {block_id!r} was never uploaded")


class BlockSource(StrEnum):
    """Where ``commit_blocks`` takes a block from."""

    COMMITTED = "Committed"
    """The committed blob."""
    UNCOMMITTED = "Uncommitted"
    """The blocks uploaded since."""
    LATEST = "Latest"
    """The blocks uploaded since; if it is not there, the committed blob."""


class Block(NamedTuple):
    """A block for ``commit_blocks``. Ids are base64 texts of at most 64 bytes."""

    source: BlockSource
    id: str


class BlobReader(Protocol):
    """An open blob. It reads one version, even if the blob is replaced or deleted meanwhile.

    Stores that cannot keep a version raise BlobChanged then.
    """

    @property
    def properties(self) -> BlobProperties:
        """Properties of the version that is read."""
        ...

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes ``start`` to ``stop`` (exclusive; None: the end), at most ``PIECE`` at a time."""
        ...

    def close(self) -> None:
        """Release the version."""
        ...


@runtime_checkable
class MapsBlobs(Protocol):
    """A store whose blobs are files, which can be mapped into memory."""

    def mapped(self, ref: BlobRef) -> bytes:
        """Content of a blob; of a large one, a mapping of its file instead of bytes. Raises BlobNotFound."""
        ...


class BlobWriter(Protocol):
    """A blob or block that is written piece by piece; ``commit`` makes it visible. Used by one thread at a time."""

    def write(self, data: bytes) -> None:
        """Append."""
        ...

    def commit(self) -> BlobProperties:
        """Make the whole blob visible at once. Raises BlobAlreadyExists, Conflict."""
        ...

    def abort(self) -> None:
        """Discard what was written; does nothing after ``commit``."""
        ...


class BlobStore(Protocol):
    """Blobs of one workspace, in containers. Raises InvalidValue for names that ``service.names`` does not allow.

    Every method may raise StorageFull, and OSError if the store does not respond.
    """

    def create(self, container: str) -> bool:
        """Create a container; False, and nothing changed, if it exists."""
        ...

    def has_container(self, container: str) -> bool:
        """Whether the container was created or contains a blob."""
        ...

    def made_at(self, container: str) -> datetime | None:
        """When a container without blobs was created, or last got a block, as far as the store knows, in UTC.

        None if there is no such container.
        """
        ...

    def containers(self) -> Sequence[str]:
        """Names of all containers, sorted."""
        ...

    def put(self, ref: BlobRef, data: bytes, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> BlobProperties:
        """Store a blob, and create its container if necessary. Readers see either the old content or the new.

        Raises BlobAlreadyExists if it exists and may not be overwritten; of several simultaneous calls one succeeds.
        """
        ...

    def get(self, ref: BlobRef) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        ...

    def properties(self, ref: BlobRef) -> BlobProperties:
        """Properties of a blob. Raises BlobNotFound."""
        ...

    def open(self, ref: BlobRef) -> BlobReader:
        """A reader of a blob, which the caller closes. Raises BlobNotFound."""
        ...

    def writer(self, ref: BlobRef, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> BlobWriter:
        """A writer that does what ``put`` does, piece by piece; the caller commits or aborts it."""
        ...

    def block_writer(self, ref: BlobRef, block_id: str) -> BlobWriter:
        """A writer of a block for a later ``commit_blocks``, which replaces an earlier block of the same id.

        Raises InvalidValue unless ``block_id`` is base64 of 1 to 64 bytes.
        """
        ...

    def commit_blocks(
        self, ref: BlobRef, blocks: Sequence[Block], *, overwrite: bool = True, headers: BlobHeaders = PLAIN
    ) -> BlobProperties:
        """Make a blob of the listed blocks, in their order; removes its other uploaded blocks.

        Raises InvalidBlockList, and changes nothing, if a block is not in its source; BlobAlreadyExists.
        """
        ...

    def set_metadata(self, ref: BlobRef, metadata: Mapping[str, str]) -> BlobProperties:
        """Replace a blob's metadata. Raises BlobNotFound."""
        ...

    def list(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted; empty if the container does not exist."""
        ...

    def page(self, container: str, *, prefix: str = "", marker: str | None = None, limit: int = 5000) -> BlobPage:
        """Blobs whose names begin with ``prefix``, sorted by name, from the ``marker`` of the previous page on.

        Raises InvalidValue for a marker that no page returned.
        """
        ...

    def delete(self, ref: BlobRef) -> None:
        """Remove a blob; does nothing if there is none."""
        ...

    def delete_container(self, container: str) -> None:
        """Remove a container with all its blobs and uploaded blocks; does nothing if there is none."""
        ...

    def discard_unfinished(self, before: datetime) -> int:
        """Remove uploaded blocks, and files of writers that died, older than ``before``; returns how many."""
        ...

    def usage(self) -> int:
        """Bytes of all blobs, uploaded blocks and containers of the workspace, for each at least ``LEAST_BYTES``.

        Slow: it lists all of them.
        """
        ...

    def uri(self, container: str, name: str | None = None) -> str:
        """URI of a container or blob, even if it does not exist."""
        ...

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """Container and blob of a URI that ``uri`` can return. Raises InvalidValue for others."""
        ...


class Storage(Protocol):
    """Blobs of all workspaces."""

    def blobs(self, workspace: str) -> BlobStore:
        """The blobs of the workspace of this key. Cheap."""
        ...

    def workspaces(self) -> Sequence[str]:
        """Keys of all workspaces that have stored a blob."""
        ...

    def signed_uri(
        self, workspace: str, container: str, name: str | None, permissions: str, until: datetime
    ) -> str | None:
        """URI of the store itself that grants ``permissions`` (letters of a SAS) until a time.

        None if the store has no such URIs; then clients use the blobs of a Qiosk server.
        """
        ...
