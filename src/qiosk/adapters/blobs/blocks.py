"""Blocks of blobs in files: the paths of uploaded ones, and the search for those of a list."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol, Self, final
from urllib.parse import quote

from qiosk.adapters.blobs.files import BlobFile, FileReader, FileWriter, open_version
from qiosk.service.blobs.store import Block, BlockSource, never_uploaded
from qiosk.service.names import check_block_id


def block_path(file: BlobFile, block_id: str) -> Path:
    """The file of an uploaded block."""
    return file.blocks / quote(block_id, safe="")


class Part(Protocol):
    """Content of a block."""

    @property
    def size(self) -> int:
        """Its bytes."""
        ...

    def copy_to(self, writer: FileWriter) -> None:
        """Append the content to a file."""
        ...


@final
class UploadedPart:
    """A block in its own file, which is opened only when it is read: a list may contain 50 000."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = path.stat().st_size

    def copy_to(self, writer: FileWriter) -> None:
        """Append the content to a file."""
        with self._path.open("rb", buffering=0) as file:
            self.size = os.fstat(file.fileno()).st_size  # it may have been uploaded again
            writer.copy(file.fileno(), 0, self.size)


@final
class CommittedPart:
    """A block of the current version."""

    def __init__(self, reader: FileReader, start: int, size: int) -> None:
        self._reader = reader
        self._start = start
        self.size = size

    def copy_to(self, writer: FileWriter) -> None:
        """Append the content to a file."""
        writer.copy(self._reader.fileno(), self._start, self.size)


@final
class BlockFiles:
    """Finds the blocks of a list among those uploaded for a blob, and in its current version."""

    def __init__(self, file: BlobFile) -> None:
        self._file = file
        self._uploaded = set(os.listdir(file.blocks)) if file.blocks.is_dir() else set()
        self._reader = open_version(file)
        self._committed: dict[str, CommittedPart] = {}
        if self._reader is not None:
            start = 0
            for block_id, size in file.notes.read_blocks(self._reader.version):
                self._committed[block_id] = CommittedPart(self._reader, start, size)
                start += size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.close()

    def find(self, block: Block) -> Part:
        """Where a block is. Raises InvalidBlockList."""
        check_block_id(block.id)
        path = block_path(self._file, block.id)
        if block.source is not BlockSource.COMMITTED and path.name in self._uploaded:
            return UploadedPart(path)
        if block.source is not BlockSource.UNCOMMITTED and block.id in self._committed:
            return self._committed[block.id]
        raise never_uploaded(self._file.ref, block.id)
