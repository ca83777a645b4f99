"""Writes a backup, while servers and jobs run.

Theory of operation. The rows are read in one transaction, so they are of one moment. The blobs are read after the rows:
a job's row is stored after its input, so the blobs that rows refer to exist. What is removed between the two moments is
missing: the data of a job that a user removed, or the checkpoint of a running job that has a newer one. Such a job
starts from the beginning after a restore.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol, final

import msgspec

from qiosk.errors import BlobChanged, BlobNotFound, Conflict
from qiosk.service.backups.manifest import (
    MANIFEST,
    PART_BYTES,
    SECRET,
    ArchiveWriter,
    BlobEntry,
    FileEntry,
    Manifest,
    PiecesFailed,
    TableEntry,
)
from qiosk.service.blobs.store import PLAIN, BlobStore, Storage
from qiosk.service.jobs.job import BlobRef

_TRIES = 3


@dataclass
class Counts:
    """How far a backup or a restore is."""

    rows: int = 0
    blobs: int = 0
    bytes: int = 0


Report = Callable[[Counts], object]
"""Is called often, with the same object."""


class Table(NamedTuple):
    """A table of a snapshot; its rows can be read once, in batches of values in the order of ``columns``."""

    name: str
    columns: Sequence[str]
    batches: Iterator[Sequence[Sequence[Any]]]


class Snapshot(Protocol):
    """The rows of all tables at one moment."""

    @property
    def revision(self) -> str:
        """The revision of the schema."""
        ...

    @property
    def unreadable(self) -> int:
        """Rows that were left out so far, because their keys are damaged."""
        ...

    def tables(self) -> Iterator[Table]:
        """All tables, each after those that it refers to."""
        ...


class RowSource(Protocol):
    """A database that can be read as of one moment."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Its rows. Raises Conflict if it has no tables, or if a newer release wrote it."""
        ...


def back_up(
    *,
    rows: RowSource,
    storage: Storage,
    archive: ArchiveWriter,
    release: str,
    now: datetime,
    secret: bytes | None = None,
    report: Report = lambda _: None,
) -> Manifest:
    """Write all rows and blobs to an archive, and its manifest at the end; the caller commits or aborts it."""
    counts = Counts()
    with rows.snapshot() as snapshot:
        tables = [_add_table(archive, table, counts, report) for table in snapshot.tables()]
        revision, unreadable = snapshot.revision, snapshot.unreadable
    blobs = _Blobs(archive, counts, report)
    for workspace in storage.workspaces():
        blobs.add_workspace(workspace, storage.blobs(workspace))
    manifest = Manifest(
        qiosk=release,
        schema=revision,
        created_at=now,
        tables=tuple(tables),
        index=blobs.index.close(),
        blobs=counts.blobs,
        bytes=counts.bytes,
        removed=blobs.removed,
        unreadable=unreadable,
        secret=None if secret is None else archive.add(SECRET, len(secret), iter([secret])),
    ).sealed()
    data = msgspec.json.encode(manifest)
    archive.add(MANIFEST, len(data), iter([data]))
    return manifest


def _add_table(archive: ArchiveWriter, table: Table, counts: Counts, report: Report) -> TableEntry:
    parts = _Parts(archive, f"rows/{table.name}")
    count = 0
    for batch in table.batches:
        for row in batch:
            parts.add(msgspec.json.encode(row))
        count += len(batch)
        counts.rows += len(batch)
        report(counts)
    return TableEntry(table.name, tuple(table.columns), count, parts.close())


@final
class _Parts:
    """Lines that are stored in files of ``PART_BYTES``."""

    def __init__(self, archive: ArchiveWriter, folder: str) -> None:
        self._archive = archive
        self._folder = folder
        self._lines: list[bytes] = []
        self._size = 0
        self._files: list[FileEntry] = []

    def add(self, line: bytes) -> None:
        self._lines += (line, b"\n")
        self._size += len(line) + 1
        if self._size >= PART_BYTES:
            self._store()

    def close(self) -> tuple[FileEntry, ...]:
        """The files, after the last line."""
        if self._lines:
            self._store()
        return tuple(self._files)

    def _store(self) -> None:
        name = f"{self._folder}/{len(self._files):06d}.jsonl"
        self._files.append(self._archive.add(name, self._size, iter([b"".join(self._lines)])))
        self._lines, self._size = [], 0


@final
class _Blobs:
    """Stores blobs and their index."""

    def __init__(self, archive: ArchiveWriter, counts: Counts, report: Report) -> None:
        self.index = _Parts(archive, "index")
        self.removed = 0
        self._archive = archive
        self._counts = counts
        self._report = report
        self._files = 0

    def add_workspace(self, workspace: str, blobs: BlobStore) -> None:
        """All containers and blobs of a workspace; uploads that are not finished are left out."""
        for container in blobs.containers():
            self._note(BlobEntry(workspace, container))
            for name in blobs.list(container):
                self._add(workspace, blobs, BlobRef(container, name))

    def _add(self, workspace: str, blobs: BlobStore, ref: BlobRef) -> None:
        for _ in range(_TRIES):
            try:
                if self._is_added(workspace, blobs, ref):
                    return
            except BlobNotFound:
                self.removed += 1
                return
        raise Conflict(f"blob {ref.container}/{ref.name}: was changed {_TRIES} times while it was read; try again")

    def _is_added(self, workspace: str, blobs: BlobStore, ref: BlobRef) -> bool:
        reader = blobs.open(ref)
        try:
            size, headers = reader.properties.size_bytes, reader.properties.headers or PLAIN
            name = f"blobs/{self._files // 1000:04d}/{self._files:09d}"
            self._files += 1
            file = self._archive.add(name, size, self._seen(reader.pieces()))
        except PiecesFailed as error:
            self._note(BlobEntry(file=error.entry))
            if isinstance(error.__cause__, (BlobChanged, ValueError)):
                return False
            raise error.__cause__ or error from None
        finally:
            reader.close()
        metadata: Mapping[str, str] = headers.metadata
        described = (headers.content_type, headers.content_encoding, dict(metadata))
        self._note(BlobEntry(workspace, ref.container, ref.name, file, *described))
        self._counts.blobs += 1
        self._report(self._counts)
        return True

    def _note(self, entry: BlobEntry) -> None:
        self.index.add(msgspec.json.encode(entry))

    def _seen(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            self._counts.bytes += len(piece)
            self._report(self._counts)
