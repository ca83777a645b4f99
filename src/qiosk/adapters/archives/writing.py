"""New backups: in a folder, or in a tar file. Both have the name ``DEST.part`` until they are complete."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, final

from qiosk.adapters import private
from qiosk.errors import Conflict, InvalidValue, QioskError, extra
from qiosk.service.backups.manifest import ArchiveWriter, FileEntry, PiecesFailed

TARS = {".tar": "", ".tar.gz": "gzip", ".tgz": "gzip", ".tar.zst": "zstd"}
"""Endings of the names of tar files, and their compressions."""
_OTHERS = (".zip", ".gz", ".zst", ".xz", ".bz2", ".7z", ".json")
_ZEROS = 1 << 16
_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3


def compression_of(path: Path) -> str | None:
    """The compression of a tar file (empty: none), by its name; None for a folder."""
    name = path.name.lower()
    return next((found for ending, found in TARS.items() if name.endswith(ending)), None)


def new_archive(path: Path) -> ArchiveWriter:
    """A backup to be written. Raises Conflict if there is a file, InvalidValue for a name of another format."""
    compression = compression_of(path)
    if compression is None and path.name.lower().endswith(_OTHERS):
        raise InvalidValue(f"{path}: must be a folder, or end in {', '.join(TARS)}")
    if path.exists() and (compression is not None or not path.is_dir() or any(path.iterdir())):
        raise Conflict(f"{path}: exists, and a backup overwrites nothing")
    if not path.absolute().parent.is_dir():
        raise InvalidValue(f"{path}: its folder does not exist")
    draft = path.with_name(f"{path.name}.part")
    try:
        return _FolderWriter(path, draft) if compression is None else _TarWriter(path, draft, compression)
    except FileExistsError as error:
        raise Conflict(f"{draft}: exists; a backup is being made, or was interrupted and left it: remove it") from error


@final
class _FolderWriter:
    """``ArchiveWriter`` in a folder."""

    def __init__(self, path: Path, draft: Path) -> None:
        draft.mkdir(private.FOLDER)
        self._path, self._draft = path, draft
        self._is_open = True

    def add(self, name: str, size: int, pieces: Iterator[bytes]) -> FileEntry:
        """Store a file."""
        path = self._draft / name
        private.make_folder(path.parent)
        source = _Pieces(pieces, size)
        with open(path, "xb", opener=_open_private) as file:
            while piece := source.read(1 << 20):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        return source.entry(name)

    def commit(self) -> None:
        """Give the folder its name."""
        self._draft.rename(self._path)
        self._is_open = False

    def abort(self) -> None:
        """Remove the folder."""
        if self._is_open:
            shutil.rmtree(self._draft, ignore_errors=True)


@final
class _TarWriter:
    """``ArchiveWriter`` in a tar file."""

    def __init__(self, path: Path, draft: Path, compression: str) -> None:
        open_compressed = _compressor(compression)
        self._path, self._draft = path, draft
        self._stack = ExitStack()
        file = self._stack.enter_context(open(draft, "xb", opener=_open_private))  # noqa: SIM115
        stream = self._stack.enter_context(open_compressed(file))
        self._tar = self._stack.enter_context(tarfile.open(fileobj=stream, mode="w|"))  # noqa: SIM115
        self._is_open = True

    def add(self, name: str, size: int, pieces: Iterator[bytes]) -> FileEntry:
        """Store a file."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, private.FILE
        source = _Pieces(pieces, size)
        self._tar.addfile(info, source)
        return source.entry(name)

    def commit(self) -> None:
        """Give the file its name."""
        draft = os.open(self._draft, os.O_RDONLY)
        try:
            self._stack.close()
            os.fsync(draft)
        finally:
            os.close(draft)
        if self._path.exists():
            raise Conflict(f"{self._path}: exists, and a backup overwrites nothing")
        self._draft.rename(self._path)
        self._is_open = False

    def abort(self) -> None:
        """Remove the file."""
        if self._is_open:
            with suppress(OSError):
                self._stack.close()
            self._draft.unlink(missing_ok=True)
            self._is_open = False


def _compressor(name: str) -> Callable[[IO[bytes]], IO[bytes]]:
    if name == "zstd":
        with extra("zstd", ".tar.zst"):
            import zstandard
        return lambda file: zstandard.ZstdCompressor(level=_ZSTD_LEVEL).stream_writer(file, closefd=False)
    if name == "gzip":
        return lambda file: gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0)  # type: ignore[return-value]
    return lambda file: file


@final
class _Pieces(io.RawIOBase):
    """Pieces as a file of a known size: zeros follow where they end early or cannot be read."""

    def __init__(self, pieces: Iterator[bytes], size: int) -> None:
        self._pieces = pieces
        self._size = self._left = size
        self._rest = memoryview(b"")
        self._sha = hashlib.sha256()
        self._cause: Exception | None = None

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes: as many as are asked for, or up to the end."""
        wanted = self._left if size < 0 else min(size, self._left)
        parts = []
        while wanted:
            if not self._rest:
                self._rest = memoryview(self._next())
            part = bytes(self._rest[:wanted])
            self._rest = self._rest[len(part) :]
            wanted -= len(part)
            self._left -= len(part)
            parts.append(part)
        data = b"".join(parts)
        self._sha.update(data)
        return data

    def _next(self) -> bytes:
        if self._cause is None:
            try:
                while True:
                    if piece := next(self._pieces):
                        return piece
            except StopIteration:
                self._cause = ValueError("there are fewer bytes than the size says")
            except (QioskError, OSError, MemoryError) as error:
                self._cause = error
        return bytes(_ZEROS)

    def entry(self, name: str) -> FileEntry:
        """The file, after its end. Raises PiecesFailed."""
        if self._cause is None and (self._rest or next(self._pieces, b"")):
            self._cause = ValueError("there are more bytes than the size says")
        entry = FileEntry(name, self._size, self._sha.hexdigest())
        if self._cause is not None:
            raise PiecesFailed(entry) from self._cause
        return entry


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, private.FILE)
