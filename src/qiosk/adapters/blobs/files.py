"""Files of blobs, and the notes beside them.

::

    FOLDER/CONTAINER/NAME                        the content, byte for byte
    FOLDER/.headers/CONTAINER/DIGEST/VERSION     headers of that version, JSON; missing if all are defaults
    FOLDER/.headers/CONTAINER/DIGEST/VERSION.blocks  ids and sizes of the blocks it was made of
    FOLDER/.unfinished/CONTAINER/DIGEST/…        uploaded blocks; DIGEST is computed from NAME
    FOLDER/.unfinished/writer-…                  contents that are not committed yet

**Commits.** A writer writes to a file of its own. Its commit first sets the file's modification time, then writes the
notes of that version, and then renames the file to its place, which is atomic. Last it removes the notes of the version
that was there. A reader opens the file and reads the notes of the version that it has opened, so content and notes
always belong together; an open file stays readable when it is replaced or removed. Without overwriting, the file is
hard-linked to its place instead: of several writers one succeeds.

A **version** is the file's modification time in nanoseconds, which only commits set, and its size. Uploaded blocks are
files, too; a commit of a block list copies them, inside the kernel where possible, into one new file. Names of
containers never begin with a dot.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import cast, final

from qiosk.adapters import private
from qiosk.adapters.blobs.notes import NoteFolder, Notes, Version, describe
from qiosk.adapters.denied import explains_denials
from qiosk.errors import Conflict, StorageFull
from qiosk.service.blobs.store import PIECE, BlobProperties, already_exists
from qiosk.service.jobs.job import BlobRef

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CANNOT_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})
"""Errors for files that the kernel cannot copy by itself."""
_COPY = 1 << 30  # bytes copied at a time, at most
UNFINISHED = ".unfinished"
_MOVES = 10  # tries of a writer to put its file in its place
HEADERS = ".headers"


@final
class BlobFile:
    """Paths of a blob and of all that belongs to it."""

    def __init__(self, folder: Path, ref: BlobRef, encoded_name: str) -> None:
        self.ref = ref
        self.path = folder / ref.container / encoded_name
        digest = hashlib.sha256(encoded_name.encode()).hexdigest()[:32]
        self.notes = NoteFolder(folder / HEADERS / ref.container / digest)
        self.unfinished = folder / UNFINISHED
        self.blocks = self.unfinished / ref.container / digest


@final
@explains_denials
class FileReader:
    """``BlobReader`` of an open file, which stays readable when its name is given to another."""

    def __init__(self, descriptor: int, file: BlobFile) -> None:
        self._descriptor = descriptor
        self.version = Version.of(os.fstat(descriptor))
        self.notes = file.notes.read(self.version)
        self.properties = describe(file.ref.name, self.version, self.notes)

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes ``start`` to ``stop``."""
        end = self.version.size if stop is None else min(stop, self.version.size)
        while start < end:
            piece = os.pread(self._descriptor, min(PIECE, end - start), start)
            if not piece:
                return  # another program truncated the file
            yield piece
            start += len(piece)

    def mapped(self) -> bytes:
        """A mapping of the file, which outlives this reader and is used like bytes."""
        return cast(bytes, mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ))

    def fileno(self) -> int:
        """The file's descriptor, until this reader is closed."""
        return self._descriptor

    def touch(self, mtime_ns: int) -> None:
        """Give the opened file, even if it was replaced meanwhile, another version."""
        os.utime(self._descriptor, ns=(mtime_ns, mtime_ns))

    def close(self) -> None:
        """Close the file; nothing happens if it is closed."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


@final
@explains_denials
class FileWriter:
    """``BlobWriter`` into a file of its own, which ``commit`` puts in its place."""

    def __init__(self, file: BlobFile, target: Path, *, overwrite: bool, notes: Notes | None) -> None:
        self._file = file
        self._target = target
        self._overwrite = overwrite
        self._notes = notes
        self._draft = file.unfinished / f"writer-{os.getpid()}-{secrets.token_hex(8)}"
        self._descriptor = self._open()

    def write(self, data: bytes) -> None:
        """Append. Raises StorageFull."""
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            raise as_storage_error(error, self._file.ref) from error

    def copy(self, source: int, start: int, size: int) -> None:
        """Append bytes of another open file. Raises StorageFull; Conflict if that file is shorter."""
        end = start + size
        try:
            while start < end:
                copied = _copy_some(source, self._descriptor, start, end - start)
                if not copied:
                    raise Conflict(f"blob {self._file.ref.container}/{self._file.ref.name}: a block was cut short")
                start += copied
        except OSError as error:
            raise as_storage_error(error, self._file.ref) from error

    def commit(self, blocks: Sequence[tuple[str, int]] = ()) -> BlobProperties:
        """Put the file in its place."""
        now = time.time_ns()
        os.utime(self._descriptor, ns=(now, now))
        version = Version.of(os.fstat(self._descriptor))
        notes = (self._notes or Notes())._replace(blocks=blocks)
        try:
            self._file.notes.write(version, notes)
            former = _version_at(self._target)
            try:
                self._publish()
            except BaseException:
                self._file.notes.remove(version)
                raise
        except OSError as error:
            raise as_storage_error(error, self._file.ref) from error
        finally:
            self.abort()
        if former not in (None, version) and self._notes is not None:
            self._file.notes.remove(former)
        return describe(self._file.ref.name, version, notes)

    def abort(self) -> None:
        """Remove the file, unless it was committed."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        os.close(descriptor)
        with suppress(FileNotFoundError):
            self._draft.unlink()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(self._draft, flags, private.FILE)
        except FileNotFoundError:
            private.make_folder(self._draft.parent)
            return os.open(self._draft, flags, private.FILE)
        except OSError as error:
            raise as_storage_error(error, self._file.ref) from error

    def _publish(self) -> None:
        """Move the file to its place, while other writers may create and remove the same folders and files."""
        for _ in range(_MOVES - 1):
            try:
                self._move()
                return
            except FileNotFoundError:
                self._make_folder()
            except NotADirectoryError as error:
                raise self._conflict() from error
            except (FileExistsError, IsADirectoryError) as error:
                self._make_room(error)
        self._move()

    def _make_folder(self) -> None:
        try:
            private.make_folder(self._target.parent)
        except (FileExistsError, NotADirectoryError) as error:
            raise self._conflict() from error

    def _make_room(self, error: OSError) -> None:
        if not self._target.is_dir():
            raise already_exists(self._file.ref) from error
        if not _remove_empty_folder(self._target):
            raise self._conflict() from error

    def _move(self) -> None:
        if self._overwrite:
            os.replace(self._draft, self._target)
        else:
            os.link(self._draft, self._target)

    def _conflict(self) -> Conflict:
        ref = self._file.ref
        return Conflict(f"blob {ref.container}/{ref.name}: a name cannot be a blob and a folder of others at once")


def open_version(file: BlobFile) -> FileReader | None:
    """The current version of a blob; None if it does not exist."""
    while True:
        try:
            descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        try:
            reader = FileReader(descriptor, file)
        except BaseException:
            os.close(descriptor)
            raise
        # No notes: the version has none, or the file was replaced and they were removed before they were read.
        if reader.notes != Notes() or _version_at(file.path) == reader.version:
            return reader
        reader.close()


def touch_version(file: BlobFile, metadata: Mapping[str, str]) -> BlobProperties | None:
    """Give a blob other metadata, and with it a new version; None if it does not exist."""
    reader = open_version(file)
    if reader is None:
        return None
    try:
        former, now = reader.version, time.time_ns()
        old = reader.notes
        notes = Notes(
            replace(old.headers, metadata=dict(metadata)),
            former.mtime_ns if old.created_ns is None else old.created_ns,
            file.notes.read_blocks(former),
        )
        version = Version(now, former.size)
        file.notes.write(version, notes)
        reader.touch(now)
    except OSError as error:
        raise as_storage_error(error, file.ref) from error
    finally:
        reader.close()
    file.notes.remove(former)
    return describe(file.ref.name, version, notes)


def as_storage_error(error: OSError, ref: BlobRef) -> Exception:
    """StorageFull for an error that means so, else the error itself."""
    if error.errno in _FULL:
        return StorageFull(f"blob {ref.container}/{ref.name}: no room is left: {error.strerror}")
    return error


def remove_tree(folder: Path) -> None:
    """Remove a folder with all in it; nothing happens if there is none."""
    shutil.rmtree(folder, ignore_errors=True)


def _copy_some(source: int, target: int, start: int, size: int) -> int:
    """Append at most ``size`` bytes of a file to another, inside the kernel where possible; returns how many."""
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, target, min(size, _COPY), offset_src=start)
        except OSError as error:
            if error.errno not in _CANNOT_COPY:
                raise
    return os.write(target, os.pread(source, min(size, PIECE), start))


def _version_at(path: Path) -> Version | None:
    try:
        return Version.of(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _remove_empty_folder(folder: Path) -> bool:
    """Remove the empty folders that deleted blobs left; False if there is a file in them."""
    try:
        for inner in sorted(folder.rglob("*"), reverse=True):
            inner.rmdir()
        folder.rmdir()
    except OSError:
        return False
    return True
