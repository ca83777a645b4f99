"""Blobs, as the service sees them: what is stored with one, and what every store of them guarantees.

Content may be larger than memory. It is read piece by piece from a ``BlobReader``, and written piece by
piece to a ``BlobWriter``, or in numbered blocks that many writers upload in any order and one ``commit_blocks``
puts together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol, runtime_checkable

from qiosk.service.jobs import BlobRef

PIECE = 1 << 20
"""Bytes that a reader yields at a time, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobHeaders:
    """What is said about a blob's bytes. ``content_encoding`` describes them as they are stored; nobody decodes them.

    ``metadata`` belongs to the blob's owner; its names are lower case.
    """

    content_type: str = "application/octet-stream"
    content_encoding: str | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


PLAIN = BlobHeaders()
"""Bytes of which nothing is said."""
JSON = BlobHeaders(content_type="application/json")
"""Documents that the service writes itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobProperties:
    """A blob without its content. Times are aware UTC.

    ``etag`` is the same as long as neither content nor headers change, and another one once the content does: 1 to
    100 characters without quotes. ``created_at`` is when the content was written, or in some stores the headers.
    ``headers`` is None in listings of stores that list names and sizes only.
    """

    name: str
    size_bytes: int
    etag: str
    modified_at: datetime
    created_at: datetime
    headers: BlobHeaders | None = PLAIN


class BlobPage(NamedTuple):
    """Part of a listing; ``marker`` continues it, and is None at its end."""

    blobs: Sequence[BlobProperties]
    marker: str | None


def page_names(names: Sequence[str], prefix: str, marker: str | None, limit: int) -> tuple[Sequence[str], str | None]:
    """At most ``limit`` of the sorted ``names`` with a prefix, after the name ``marker``; and the next marker."""
    rest = names[bisect_right(names, marker) if marker is not None else 0 :]
    found = [name for name in rest if name.startswith(prefix)]
    return found[:limit], found[limit - 1] if len(found) > limit else None


class BlockSource(StrEnum):
    """Where a block of a list is to be taken from."""

    COMMITTED = "Committed"
    """The blob as it is."""
    UNCOMMITTED = "Uncommitted"
    """What was uploaded since."""
    LATEST = "Latest"
    """What was uploaded since, else the blob as it is."""


class Block(NamedTuple):
    """A block of a list. Ids are base64 texts of at most 64 bytes."""

    source: BlockSource
    id: str


class BlobReader(Protocol):
    """A blob, opened. What it reads is one version, also while the blob is written anew or deleted.

    Stores that cannot hold on to a version raise BlobChanged instead.
    """

    @property
    def properties(self) -> BlobProperties:
        """Of the version that is read."""
        ...

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes ``start`` to ``stop`` (exclusive; None: the end), at most ``PIECE`` at a time."""
        ...

    def close(self) -> None:
        """Let go of the version."""
        ...


@runtime_checkable
class MapsBlobs(Protocol):
    """A store whose blobs are files, which need not be read into memory."""

    def mapped(self, ref: BlobRef) -> bytes:
        """Content of a blob; of a large one, a mapping of its file in the place of bytes. Raises BlobNotFound."""
        ...


class BlobWriter(Protocol):
    """A blob or block being written; nobody sees any of it before ``commit``. Used by one thread at a time."""

    def write(self, data: bytes) -> None:
        """Append."""
        ...

    def commit(self) -> BlobProperties:
        """Put what was written in its place, at once. Raises BlobAlreadyExists, Conflict."""
        ...

    def abort(self) -> None:
        """Forget what was written; nothing happens after ``commit``."""
        ...


class BlobStore(Protocol):
    """Blobs of one workspace, in containers. Raises InvalidValue for names that ``service.names`` refuses.

    Every method may raise StorageFull, and OSError when the store does not answer.
    """

    def create(self, container: str) -> bool:
        """Make a container; False, and nothing happens, if it exists."""
        ...

    def has_container(self, container: str) -> bool:
        """Whether it was made, or holds a blob."""
        ...

    def made_at(self, container: str) -> datetime | None:
        """When a container without blobs was made, or later got a block of one, as far as the store knows; aware UTC.

        None if there is no such container.
        """
        ...

    def containers(self) -> Sequence[str]:
        """Names of all containers, sorted."""
        ...

    def put(self, ref: BlobRef, data: bytes, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> BlobProperties:
        """Store a blob, and its container if need be. Readers see the old content or the new, nothing between.

        Raises BlobAlreadyExists if it exists and may not be overwritten: of several such callers one succeeds.
        """
        ...

    def get(self, ref: BlobRef) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        ...

    def properties(self, ref: BlobRef) -> BlobProperties:
        """A blob without its content. Raises BlobNotFound."""
        ...

    def open(self, ref: BlobRef) -> BlobReader:
        """A blob to read in pieces; the caller closes it. Raises BlobNotFound."""
        ...

    def writer(self, ref: BlobRef, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> BlobWriter:
        """As ``put``, in pieces; the caller commits or aborts."""
        ...

    def block_writer(self, ref: BlobRef, block_id: str) -> BlobWriter:
        """A block for a later ``commit_blocks``, in place of an earlier one of the same id; the blob does not change.

        Raises InvalidValue unless ``block_id`` is base64 of 1 to 64 bytes.
        """
        ...

    def commit_blocks(
        self, ref: BlobRef, blocks: Sequence[Block], *, overwrite: bool = True, headers: BlobHeaders = PLAIN
    ) -> BlobProperties:
        """Make a blob of the listed blocks, in their order; other uploaded blocks of it are forgotten.

        Raises InvalidBlockList, and nothing changes, if a block is not where it is sought; BlobAlreadyExists.
        """
        ...

    def set_metadata(self, ref: BlobRef, metadata: Mapping[str, str]) -> BlobProperties:
        """Replace a blob's metadata. Raises BlobNotFound."""
        ...

    def list(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted; none if the container does not exist."""
        ...

    def page(self, container: str, *, prefix: str = "", marker: str | None = None, limit: int = 5000) -> BlobPage:
        """Blobs whose names begin with ``prefix``, sorted by name, from a former page's ``marker`` on.

        Raises InvalidValue for a marker that no page returned.
        """
        ...

    def delete(self, ref: BlobRef) -> None:
        """Remove a blob; nothing happens if there is none."""
        ...

    def delete_container(self, container: str) -> None:
        """Remove a container with all its blobs and uploaded blocks; nothing happens if there is none."""
        ...

    def discard_unfinished(self, before: datetime) -> int:
        """Remove uploaded blocks, and remains of writers that died, older than ``before``; returns how many."""
        ...

    def usage(self) -> int:
        """Bytes of all blobs and uploaded blocks of the workspace. Looks at each of them: ask rarely."""
        ...

    def uri(self, container: str, name: str | None = None) -> str:
        """URI of a container or blob, whether it exists or not."""
        ...

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """Container and blob of a URI that ``uri`` could have returned; else raises InvalidValue."""
        ...


class Storage(Protocol):
    """Blobs of all workspaces."""

    def blobs(self, workspace: str) -> BlobStore:
        """Those of one workspace, named by its key. Cheap."""
        ...

    def workspaces(self) -> Sequence[str]:
        """Keys of all workspaces that have ever stored a blob."""
        ...

    def signed_uri(
        self, workspace: str, container: str, name: str | None, permissions: str, until: datetime
    ) -> str | None:
        """URI with which its holder may do what ``permissions`` say (letters of a SAS) until a time, without us.

        None if the store has no such URIs, so that clients have to ask a server of ours.
        """
        ...
