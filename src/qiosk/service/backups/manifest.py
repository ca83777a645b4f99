"""What a backup consists of.

::

    rows/TABLE/000000.jsonl  rows of a table, one JSON array per line, in parts of a few megabytes
    blobs/0000/000000000     content of a blob, byte for byte
    index/000000.jsonl       one ``BlobEntry`` per line: where the blobs belong
    secret.key               the secret that signs links, only if it was asked for
    manifest.json            the ``Manifest``, written last: a backup without one is incomplete

The manifest has the size and the SHA-256 of every file except the blobs', the index has those of the blobs, and the
manifest has a digest of itself. So a changed byte is found wherever it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import structs

from qiosk.errors import UnreadableInput

FORMAT = "qiosk-backup"
"""What the manifest calls its format."""
VERSION = 1
"""The version of the format that this release writes and reads."""
MANIFEST = "manifest.json"
"""The name of the manifest."""
SECRET = "secret.key"
"""The name of the secret."""
PART_BYTES = 4 << 20
"""Size at which a part of the rows or the index ends."""

T = TypeVar("T")


class FileEntry(msgspec.Struct, frozen=True):
    """A file of a backup."""

    name: str
    size: int
    sha256: str


class TableEntry(msgspec.Struct, frozen=True):
    """The rows of a table, in the order of their files; tables come after those that they refer to."""

    name: str
    columns: tuple[str, ...]
    rows: int
    files: tuple[FileEntry, ...]


class BlobEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A blob and its headers. Without ``file`` a container; without ``container`` a file to skip, because the blob
    changed while it was read.
    """

    workspace: str = ""
    container: str | None = None
    name: str | None = None
    file: FileEntry | None = None
    content_type: str = ""
    content_encoding: str | None = None
    metadata: dict[str, str] = {}


class Manifest(msgspec.Struct, frozen=True):
    """What is in a backup. ``qiosk`` is the release that wrote it, ``schema`` the revision of the rows.

    ``removed`` counts blobs that were removed while the backup was made, ``unreadable`` rows without a usable key.
    """

    qiosk: str
    schema: str
    created_at: datetime
    tables: tuple[TableEntry, ...]
    index: tuple[FileEntry, ...]
    blobs: int
    bytes: int
    removed: int
    unreadable: int
    secret: FileEntry | None = None
    format: str = FORMAT
    version: int = VERSION
    digest: str = ""

    def sealed(self) -> Manifest:
        """This manifest with the digest of its other members."""
        plain = msgspec.json.encode(structs.replace(self, digest=""))
        return structs.replace(self, digest=hashlib.sha256(plain).hexdigest())

    def files(self) -> Iterator[FileEntry]:
        """All files that the manifest lists itself."""
        for table in self.tables:
            yield from table.files
        yield from self.index
        if self.secret is not None:
            yield self.secret

    def summary(self) -> Mapping[str, object]:
        """What a command prints."""
        return {
            "qiosk": self.qiosk,
            "schema": self.schema,
            "created_at": self.created_at.isoformat(),
            "rows": {table.name: table.rows for table in self.tables},
            "blobs": self.blobs,
            "bytes": self.bytes,
            "removed_blobs": self.removed,
            "unreadable_rows": self.unreadable,
            "has_secret": self.secret is not None,
        }


class _Head(msgspec.Struct):
    """What every version of the manifest has."""

    format: str
    version: int


def read_manifest(data: bytes, where: str) -> Manifest:
    """The manifest in a file. Raises UnreadableInput, naming the backup ``where``."""
    head = decoded(data, _Head, where, MANIFEST)
    if head.format != FORMAT or head.version != VERSION:
        raise UnreadableInput(
            f"{where}: {MANIFEST}: must have format {FORMAT!r} and version {VERSION}, found {head.format!r} and"
            f" {head.version}"
        )
    manifest = decoded(data, Manifest, where, MANIFEST)
    if manifest.sealed().digest != manifest.digest:
        raise damaged(where, MANIFEST)
    return manifest


def decoded(data: bytes, kind: type[T], where: str, name: str) -> T:
    """A record in the file ``name`` of a backup. Raises UnreadableInput."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableInput(f"{where}: {name}: {error}") from error


def damaged(where: str, name: str) -> UnreadableInput:
    """The error for a file whose content is not what the backup wrote."""
    return UnreadableInput(f"{where}: {name}: is damaged: its size or its SHA-256 is not that in the backup")


class Member(NamedTuple):
    """A file of a backup that is read; ``pieces`` can be read once, before the next member."""

    name: str
    pieces: Iterator[bytes]


class ArchiveWriter(Protocol):
    """A new backup, which does not exist before ``commit``."""

    def add(self, name: str, size: int, pieces: Iterator[bytes]) -> FileEntry:
        """Store a file of this size. If reading ``pieces`` raises, or they have another size, zeros are stored instead
        of the rest, and PiecesFailed is raised.
        """
        ...

    def commit(self) -> None:
        """Give the backup its name."""
        ...

    def abort(self) -> None:
        """Remove what was written; does nothing after ``commit``."""
        ...


class ArchiveReader(Protocol):
    """A backup. Its text is its path. Every method raises UnreadableInput for what is no backup, or is damaged."""

    def members(self) -> Iterator[Member]:
        """All files, in the order in which they are stored."""
        ...

    def some(self, names: Sequence[str]) -> Iterator[Member]:
        """Those of the names, which ``members`` returned, in this order."""
        ...


class PiecesFailed(Exception):
    """The content of a file could not be read; ``entry`` is the file that was stored in its place, with zeros."""

    def __init__(self, entry: FileEntry) -> None:
        super().__init__(entry.name)
        self.entry = entry
