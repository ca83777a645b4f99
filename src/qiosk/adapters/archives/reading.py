"""Backups that are read. Nothing of an archive becomes a path: files of a tar file are only read as streams."""

from __future__ import annotations

import gzip
import os
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, final

from qiosk.adapters.archives.writing import compression_of
from qiosk.errors import InvalidValue, UnreadableInput, extra
from qiosk.service.backups.manifest import MANIFEST, SECRET, ArchiveReader, Member

_PIECE = 1 << 20
_ERRORS: tuple[type[Exception], ...] = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)
_NAME = re.compile(rf"(rows/[a-z_]+|blobs/[0-9]+|index)/[0-9]+(\.jsonl)?|{re.escape(MANIFEST)}|{re.escape(SECRET)}")


def open_archive(path: Path) -> ArchiveReader:
    """A backup that exists. Raises InvalidValue if there is none."""
    compression = compression_of(path)
    if path.is_dir():
        return _FolderReader(path)
    if not path.is_file():
        raise InvalidValue(f"{path}: there is no such backup")
    if compression is None:
        raise InvalidValue(f"{path}: must be a folder, or end in .tar, .tar.gz, .tgz or .tar.zst")
    return _TarReader(path, compression)


def _check_name(where: Path, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UnreadableInput(f"{where}: contains {name!r}, which is not a file of a backup")


@final
class _FolderReader:
    """``ArchiveReader`` of a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def members(self) -> Iterator[Member]:
        """All files, sorted."""
        for place, folders, names in os.walk(self._path):
            folders.sort()
            for name in sorted(names):
                path = Path(place, name)
                inner = path.relative_to(self._path).as_posix()
                _check_name(self._path, inner)
                if path.is_symlink() or not path.is_file():
                    raise UnreadableInput(f"{self._path}: {inner}: must be a plain file")
                yield from self.some([inner])

    def some(self, names: Sequence[str]) -> Iterator[Member]:
        """Some files, in this order."""
        for name in names:
            with open(self._path / name, "rb") as file:
                yield Member(name, _pieces(file))


@final
class _TarReader:
    """``ArchiveReader`` of a tar file."""

    def __init__(self, path: Path, compression: str) -> None:
        self._path = path
        self._compression = compression
        self._errors = _ERRORS

    def __str__(self) -> str:
        return str(self._path)

    def members(self) -> Iterator[Member]:
        """All files, in their order."""
        with (
            self._explained(),
            open(self._path, "rb") as file,
            self._decompressed(file) as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            for info in tar:
                _check_name(self._path, info.name)
                if not info.isreg():
                    raise UnreadableInput(f"{self._path}: {info.name}: must be a plain file")
                content = tar.extractfile(info)
                assert content is not None
                yield Member(info.name, self._pieces(content))

    def some(self, names: Sequence[str]) -> Iterator[Member]:
        """Some files, in this order, which must be their order in the file."""
        following = 0
        numbers = {name: number for number, name in enumerate(names)}
        for member in self.members() if names else ():
            number = numbers.get(member.name)
            if number is None:
                continue
            if number != following:
                raise UnreadableInput(
                    f"{self._path}: {member.name}: is not in its place; unpack it, restore the folder"
                )
            yield member
            following += 1
            if following == len(names):
                return

    def _pieces(self, content: IO[bytes]) -> Iterator[bytes]:
        with self._explained():
            yield from _pieces(content)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what is wrong with the file into UnreadableInput."""
        try:
            yield
        except self._errors as error:
            raise UnreadableInput(f"{self._path}: is damaged, or no backup: {error}") from error

    @contextmanager
    def _decompressed(self, file: IO[bytes]) -> Iterator[IO[bytes]]:
        if self._compression == "gzip":
            with gzip.GzipFile(fileobj=file) as stream:
                yield stream  # type: ignore[misc]
        elif self._compression == "zstd":
            with extra("zstd", ".tar.zst"):
                import zstandard
            self._errors = (*_ERRORS, zstandard.ZstdError)
            with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as stream:
                yield stream
        else:
            yield file


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece
