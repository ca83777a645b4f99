"""Files of blobs: written aside and put in place at once, with what is said about them beside.

::

    FOLDER/CONTAINER/NAME                        the content, byte for byte
    FOLDER/.headers/CONTAINER/DIGEST/VERSION     headers of that version, JSON; missing if there is nothing to say
    FOLDER/.headers/CONTAINER/DIGEST/VERSION.blocks  ids and sizes of the blocks it was made of
    FOLDER/.unfinished/CONTAINER/DIGEST/…        uploaded blocks; DIGEST is that of NAME
    FOLDER/.unfinished/writer-…                  what writers write

A **version** is the file's modification time in nanoseconds, which we set ourselves, and its size. Headers of a new
version are written before the file takes its place, and those of the old one are removed afterwards, so that headers
and content that are read together belong together. Names of containers never begin with a dot.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import mmap
import os
import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, cast, final

from qiosk.errors import BlobAlreadyExists, Conflict, StorageFull
from qiosk.service.blobs import PIECE, PLAIN, BlobHeaders, BlobProperties
from qiosk.service.jobs import BlobRef

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CANNOT_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})
"""What a kernel says of files that it cannot copy by itself."""
_COPY = 1 << 30  # bytes copied at a time, at most
_NS = 10**9
UNFINISHED = ".unfinished"
_MOVES = 10  # to its place, at most, that a writer tries
HEADERS = ".headers"
_numbers = itertools.count()


class Version(NamedTuple):
    """What tells one content of a file from another."""

    mtime_ns: int
    size: int

    @property
    def text(self) -> str:
        """As part of a file name, and as an ETag."""
        return f"{self.mtime_ns:x}-{self.size:x}"

    @classmethod
    def of(cls, status: os.stat_result) -> Version:
        """The version that a file has."""
        return cls(status.st_mtime_ns, status.st_size)


class Notes(NamedTuple):
    """What is stored beside a version. ``created_ns`` is None if that is its own time."""

    headers: BlobHeaders = PLAIN
    created_ns: int | None = None
    blocks: Sequence[tuple[str, int]] = ()


@final
class NoteFolder:
    """Notes of one blob, in a folder of their own that exists while there are any."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, version: Version, notes: Notes) -> None:
        """Keep notes for a version that nobody has seen yet."""
        if notes.blocks:
            self._write(f"{version.text}.blocks", notes.blocks)
        headers = notes.headers
        if headers == PLAIN and notes.created_ns is None:
            return
        document = {
            "content_type": headers.content_type,
            "content_encoding": headers.content_encoding,
            "metadata": dict(headers.metadata),
            "created_ns": notes.created_ns,
        }
        self._write(version.text, document)

    def read(self, version: Version) -> Notes:
        """Notes of a version, without its blocks."""
        document = self._read(version.text)
        if document is None and (twin := self._twin(version)) is not None:
            document = self._read(twin)
        if document is None:
            return Notes()
        headers = BlobHeaders(
            content_type=document["content_type"],
            content_encoding=document["content_encoding"],
            metadata=document["metadata"],
        )
        return Notes(headers, document["created_ns"])

    def read_blocks(self, version: Version) -> Sequence[tuple[str, int]]:
        """Blocks of a version, in order."""
        return [(block_id, size) for block_id, size in self._read(f"{version.text}.blocks") or ()]

    def remove(self, version: Version) -> None:
        """Forget a version that is gone."""
        with suppress(FileNotFoundError):
            (self._folder / version.text).unlink()
        with suppress(FileNotFoundError):
            (self._folder / f"{version.text}.blocks").unlink()
        with suppress(OSError):  # there are notes of another version, or none at all
            self._folder.rmdir()

    def _write(self, name: str, document: object) -> None:
        data = json.dumps(document)
        try:
            (self._folder / name).write_text(data)
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / name).write_text(data)

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self._folder / name).read_bytes())
        except FileNotFoundError:
            return None

    def _twin(self, version: Version) -> str | None:
        """Notes of the same size and second, for a copy that has kept no fractions of seconds: we never write such."""
        if version.mtime_ns % _NS:
            return None
        with suppress(FileNotFoundError):
            for name in os.listdir(self._folder):
                mtime, _, size = name.partition("-")
                if (
                    "." not in name
                    and int(mtime, 16) // _NS == version.mtime_ns // _NS
                    and int(size, 16) == version.size
                ):
                    return name
        return None


@final
class BlobFile:
    """Where a blob and all that belongs to it lies."""

    def __init__(self, folder: Path, ref: BlobRef, encoded_name: str) -> None:
        self.ref = ref
        self.path = folder / ref.container / encoded_name
        digest = hashlib.sha256(encoded_name.encode()).hexdigest()[:32]
        self.notes = NoteFolder(folder / HEADERS / ref.container / digest)
        self.unfinished = folder / UNFINISHED
        self.blocks = self.unfinished / ref.container / digest


def describe(name: str, version: Version, notes: Notes) -> BlobProperties:
    """Properties of a version of the blob ``name``."""
    created_ns = version.mtime_ns if notes.created_ns is None else notes.created_ns
    return BlobProperties(
        name=name,
        size_bytes=version.size,
        etag=version.text,
        modified_at=_time(version.mtime_ns),
        created_at=_time(created_ns),
        headers=notes.headers,
    )


@final
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
                return  # somebody else cut the file short
            yield piece
            start += len(piece)

    def mapped(self) -> bytes:
        """A mapping of the file, which outlives this reader; it does all that readers ask of bytes."""
        return cast(bytes, mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ))

    def fileno(self) -> int:
        """The file's descriptor, until this reader is closed."""
        return self._descriptor

    def touch(self, mtime_ns: int) -> None:
        """Make the opened file, and no other that has taken its name since, another version."""
        os.utime(self._descriptor, ns=(mtime_ns, mtime_ns))

    def close(self) -> None:
        """Close the file; nothing happens if it is closed."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


@final
class FileWriter:
    """``BlobWriter`` into a file aside; ``commit`` gives it its version and its name."""

    def __init__(self, file: BlobFile, target: Path, *, overwrite: bool, notes: Notes | None) -> None:
        self._file = file
        self._target = target
        self._overwrite = overwrite
        self._notes = notes
        self._aside = file.unfinished / f"writer-{os.getpid()}-{time.time_ns()}-{next(_numbers)}"
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
        """Append bytes of another open file. Raises StorageFull; Conflict if that has fewer."""
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
        """Remove what was written, unless it was committed."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        os.close(descriptor)
        with suppress(FileNotFoundError):
            self._aside.unlink()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(self._aside, flags, 0o666)
        except FileNotFoundError:
            self._aside.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self._aside, flags, 0o666)
        except OSError as error:
            raise as_storage_error(error, self._file.ref) from error

    def _publish(self) -> None:
        """Move what was written to its place; others may make and remove the same folders and files meanwhile."""
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
            self._target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise self._conflict() from error

    def _make_room(self, error: OSError) -> None:
        if not self._target.is_dir():
            raise BlobAlreadyExists(f"blob {self._file.ref.container}/{self._file.ref.name} exists") from error
        if not _remove_empty_folder(self._target):
            raise self._conflict() from error

    def _move(self) -> None:
        if self._overwrite:
            os.replace(self._aside, self._target)
        else:
            os.link(self._aside, self._target)

    def _conflict(self) -> Conflict:
        ref = self._file.ref
        return Conflict(f"blob {ref.container}/{ref.name}: a name cannot be a blob and a folder of others at once")


def open_version(file: BlobFile) -> FileReader | None:
    """The blob as it is; None if there is none."""
    while True:
        try:
            descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        reader = FileReader(descriptor, file)
        # No notes: there never were any, or the file was replaced and they were removed before we looked.
        if reader.notes != Notes() or _version_at(file.path) == reader.version:
            return reader
        reader.close()


def touch_version(file: BlobFile, metadata: Mapping[str, str]) -> BlobProperties | None:
    """Give a blob other metadata, and with that a new version; None if there is no blob."""
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
    """StorageFull if that is what it means, else the error itself."""
    if error.errno in _FULL:
        return StorageFull(f"blob {ref.container}/{ref.name}: no room is left: {error.strerror}")
    return error


def remove_tree(folder: Path) -> None:
    """Remove a folder with all in it; nothing happens if there is none."""
    shutil.rmtree(folder, ignore_errors=True)


def _copy_some(source: int, target: int, start: int, size: int) -> int:
    """Append at most ``size`` bytes of a file to another, inside the kernel where it can do that; returns how many."""
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
    """Remove what deleted blobs left; False if there is a file in it."""
    try:
        for inner in sorted(folder.rglob("*"), reverse=True):
            inner.rmdir()
        folder.rmdir()
    except OSError:
        return False
    return True


def _time(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // 1000 / 1_000_000, UTC)
