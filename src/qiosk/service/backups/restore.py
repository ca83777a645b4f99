"""Checks a backup, and restores it into an empty database and storage.

Theory of operation. All files are read and compared with the manifest before anything is changed. Then the database
notes which restore has begun; from now on no server opens it. Blobs are stored, and after them all rows in one
transaction, so that at no time a row refers to a blob that is still missing. Jobs that have not ended get fences of a
new era, so that claims of before the restore are stale. Those that ran wait again, and the note is removed. A restore
that ended early is repeated as a whole: the note allows it to overwrite what is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from qiosk.errors import Conflict, UnreadableInput
from qiosk.service.backups.backup import Counts, Report
from qiosk.service.backups.manifest import (
    MANIFEST,
    SECRET,
    ArchiveReader,
    BlobEntry,
    FileEntry,
    Manifest,
    Member,
    damaged,
    decoded,
    read_manifest,
)
from qiosk.service.blobs.store import BlobHeaders, BlobStore, Storage
from qiosk.service.jobs.attempts import Attempt
from qiosk.service.jobs.fences import new_era
from qiosk.service.jobs.job import BlobRef
from qiosk.service.ports import Clock, JobStore

_MOST_KEPT = 1 << 26
_BATCH = 500


class Rows(NamedTuple):
    """Some rows of a table."""

    table: str
    columns: Sequence[str]
    values: Sequence[Sequence[Any]]


class RowTarget(Protocol):
    """A database that rows are restored into. Its methods raise Conflict."""

    def has_begun(self, digest: str) -> bool:
        """Whether a restore of the backup with this digest has begun. Raises Conflict if another one has, if there are
        rows, or if the rows' schema is newer than that of this release.
        """
        ...

    def check_revision(self, revision: str, release: str) -> None:
        """Raise Conflict for rows of a newer schema, which ``release`` wrote."""
        ...

    def begin(self, digest: str) -> None:
        """Note that a restore has begun."""
        ...

    def load(self, revision: str, rows: Iterable[Rows], *, era: int) -> None:
        """Make the tables of a revision, insert rows, upgrade to this release's, and move the fences of jobs that have
        not ended into an era (``qiosk.service.jobs.fences``), in one transaction.
        """
        ...

    def end(self) -> None:
        """Remove the note."""
        ...


@dataclass(frozen=True)
class Checked:
    """A backup whose files are those that its manifest lists."""

    archive: ArchiveReader
    manifest: Manifest
    index: Mapping[str, BlobEntry]
    """Blobs by the names of their files."""
    containers: Sequence[BlobEntry]
    secret: bytes | None


def check(archive: ArchiveReader, report: Report = lambda _: None) -> Checked:
    """Read a whole backup. Raises UnreadableInput unless its files are those that were written, all of them."""
    where, counts = str(archive), Counts()
    found: dict[str, tuple[int, str]] = {}
    kept: dict[str, bytes] = {}
    for member in archive.members():
        if member.name in found:
            raise UnreadableInput(f"{where}: {member.name}: is there twice")
        found[member.name] = _digest(member, kept, counts, report)
        counts.blobs += member.name.startswith("blobs/")
    if MANIFEST not in kept:
        raise UnreadableInput(f"{where}: has no {MANIFEST}: it is no backup, or its end is missing")
    manifest = read_manifest(kept[MANIFEST], where)
    del found[MANIFEST]
    for file in manifest.files():
        _compare(file, found, where)
    if foreign := [file.name for file in manifest.index if file.name not in kept]:
        raise UnreadableInput(f"{where}: {foreign[0]}: is not the name of an index")
    entries = [
        decoded(line, BlobEntry, where, file.name) for file in manifest.index for line in kept[file.name].splitlines()
    ]
    for entry in entries:
        if entry.file is not None:
            _compare(entry.file, found, where)
    if found:
        raise UnreadableInput(f"{where}: {min(found)}: is not listed in the backup")
    index = {entry.file.name: entry for entry in entries if entry.file is not None and entry.container is not None}
    containers = [entry for entry in entries if entry.file is None]
    return Checked(archive, manifest, index, containers, kept.get(SECRET))


def _digest(member: Member, kept: dict[str, bytes], counts: Counts, report: Report) -> tuple[int, str]:
    """Size and SHA-256 of a file; its content is kept if it is needed before the others."""
    is_kept = member.name in (MANIFEST, SECRET) or member.name.startswith("index/")
    sha, size, parts = hashlib.sha256(), 0, []
    for piece in member.pieces:
        sha.update(piece)
        size += len(piece)
        counts.bytes += len(piece)
        report(counts)
        if is_kept and size <= _MOST_KEPT:
            parts.append(piece)
    if is_kept:
        kept[member.name] = b"".join(parts)
    return size, sha.hexdigest()


def _compare(file: FileEntry, found: dict[str, tuple[int, str]], where: str) -> None:
    if file.name not in found:
        raise UnreadableInput(f"{where}: {file.name}: is missing")
    if found.pop(file.name) != (file.size, file.sha256):
        raise damaged(where, file.name)


def restore(
    checked: Checked,
    *,
    rows: RowTarget,
    storage: Storage,
    jobs: JobStore,
    clock: Clock,
    keep_secret: Callable[[], object] = lambda: None,
    report: Report = lambda _: None,
) -> Counts:
    """Restore a backup. Raises Conflict, and changes nothing, if the database or the storage is not empty.

    ``jobs`` are those of the database, and are used only after its tables were made. ``keep_secret`` is called last.
    """
    manifest, counts = checked.manifest, Counts()
    rows.check_revision(manifest.schema, manifest.qiosk)
    if not rows.has_begun(manifest.digest):
        _check_empty(storage)
        rows.begin(manifest.digest)
    for entry in checked.containers:
        storage.blobs(entry.workspace).create(str(entry.container))
    for member in checked.archive.members():
        if (blob := checked.index.get(member.name)) is not None and blob.file is not None:
            pieces = _same(member.pieces, blob.file, str(checked.archive))
            _store(storage.blobs(blob.workspace), blob, _seen(pieces, counts, report))
            counts.blobs += 1
    rows.load(manifest.schema, _rows(checked, counts, report), era=new_era())
    for job in jobs.running():  # the claimant is gone, and the job is not to blame
        Attempt(job, jobs=jobs, blobs=storage.blobs(job.workspace), clock=clock).release()
    keep_secret()
    rows.end()
    return counts


def _check_empty(storage: Storage) -> None:
    for workspace in storage.workspaces():
        if containers := storage.blobs(workspace).containers():
            raise Conflict(
                f"storage: must be empty, found container {containers[0]!r} of workspace {workspace!r}; restore into"
                " an empty home, or name another QIOSK_STORAGE"
            )


def _store(blobs: BlobStore, entry: BlobEntry, pieces: Iterator[bytes]) -> None:
    headers = BlobHeaders(
        content_type=entry.content_type, content_encoding=entry.content_encoding, metadata=entry.metadata
    )
    writer = blobs.writer(BlobRef(str(entry.container), str(entry.name)), headers=headers)
    try:
        for piece in pieces:
            writer.write(piece)
        writer.commit()
    finally:
        writer.abort()


def _rows(checked: Checked, counts: Counts, report: Report) -> Iterator[Rows]:
    """All rows, in the order of the manifest."""
    where = str(checked.archive)
    wanted = [(table, file) for table in checked.manifest.tables for file in table.files]
    members = checked.archive.some([file.name for _, file in wanted])
    for (table, file), member in zip(wanted, members, strict=True):
        for values in _lines(_same(member.pieces, file, where), where, file.name):
            yield Rows(table.name, table.columns, values)
            counts.rows += len(values)
            report(counts)


def _lines(pieces: Iterator[bytes], where: str, name: str) -> Iterator[Sequence[Sequence[Any]]]:
    """The rows of a part, in batches."""
    lines = b"".join(pieces).splitlines()
    for start in range(0, len(lines), _BATCH):
        yield [decoded(line, list[Any], where, name) for line in lines[start : start + _BATCH]]


def _same(pieces: Iterator[bytes], file: FileEntry, where: str) -> Iterator[bytes]:
    """The pieces of a file. Raises UnreadableInput at their end if they are not those that were checked."""
    sha = hashlib.sha256()
    for piece in pieces:
        sha.update(piece)
        yield piece
    if sha.hexdigest() != file.sha256:
        raise damaged(where, file.name)


def _seen(pieces: Iterator[bytes], counts: Counts, report: Report) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        counts.bytes += len(piece)
        report(counts)
