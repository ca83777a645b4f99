"""Problems on the disk of a machine, so that each is read from the storage once for all jobs there that solve it.

A folder holds one file per version of a blob. A job that finds none takes the lock of its name, reads the blob and puts
the file there; others wait for the lock. Files are mapped into memory, so a file may be removed while it is used.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import mmap
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast, final

from qiosk.service.blobs.store import BlobReader, BlobStore, MapsBlobs
from qiosk.service.jobs.job import BlobRef

MOST_BYTES = 4 << 30
"""Files above this sum are removed, those first whose last use was longest ago."""
MAPPED_FROM = 1 << 20
"""Smaller files are read: what parses them may want bytes."""
PART_S = 3600.0
"""A file that was begun and not written to for so long is removed."""
_PART = "part-"
_LOCK = "lock-"


@final
class InputCache:
    """The files in ``folder``, of all workspaces. Usable by several processes at once."""

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def read(self, workspace: str, blobs: BlobStore, ref: BlobRef) -> bytes:
        """Content of a blob; of a large one, a mapping of the file that holds it. Raises BlobNotFound.

        If the file cannot be made, such as on a full disk or because the folder was removed, the content comes from the
        store alone, and so does that of a store whose blobs are files already.
        """
        if isinstance(blobs, MapsBlobs):
            return blobs.mapped(ref)
        key = _key(workspace, ref, blobs.properties(ref).etag)
        found = self._found(key)
        if found is not None:
            return found
        with self._locked(key):
            found = self._found(key)
            return self._fetch(workspace, blobs, ref) if found is None else found

    def _found(self, key: str) -> bytes | None:
        file = self._folder / key
        try:
            os.utime(file)
            return _mapped(file)
        except OSError:
            return None

    @contextlib.contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """Hold the lock of a name; of a folder in which there can be none, nothing."""
        try:
            lock = (self._folder / (_LOCK + key[:2])).open("wb")  # few files, which stay
        except OSError:
            yield
            return
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _fetch(self, workspace: str, blobs: BlobStore, ref: BlobRef) -> bytes:
        reader = blobs.open(ref)
        try:
            size = reader.properties.size_bytes
            if size == 0 or size > self._most_bytes:
                return b"".join(reader.pieces())
            try:
                self._make_room(size)
                part = self._write(reader)
                found = _mapped(part)  # others may remove the file as soon as it has its name
                part.replace(
                    self._folder / _key(workspace, ref, reader.properties.etag)
                )  # of the version that was read
            except OSError:
                return b"".join(reader.pieces())
            return found
        finally:
            reader.close()

    def _write(self, reader: BlobReader) -> Path:
        """A new file with the content of the blob. Raises OSError, and leaves no file then."""
        descriptor, name = tempfile.mkstemp(prefix=_PART, dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for piece in reader.pieces():
                    file.write(piece)
        except BaseException:
            os.unlink(name)
            raise
        return Path(name)

    def _make_room(self, size: int) -> None:
        files = [entry for entry in os.scandir(self._folder) if not entry.name.startswith((_LOCK, _PART))]
        now = time.time_ns()
        for entry in os.scandir(self._folder):  # of processes that were killed
            if entry.name.startswith(_PART) and now - _last_use(entry) > PART_S * 1e9:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(entry)
        total = size
        for entry in sorted(files, key=_last_use, reverse=True):
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat().st_size
                if total > self._most_bytes:
                    os.unlink(entry)


def _key(workspace: str, ref: BlobRef, etag: str) -> str:
    return hashlib.sha256("\0".join((workspace, *ref, etag)).encode()).hexdigest()


def _last_use(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _mapped(file: Path) -> bytes:
    if file.stat().st_size < MAPPED_FROM:
        return file.read_bytes()
    with file.open("rb") as opened:
        return cast(bytes, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
