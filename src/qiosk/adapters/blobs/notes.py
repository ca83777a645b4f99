"""Versions of a blob's file, and the notes beside it: headers, and the blocks that the version was made of."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple, final

import msgspec

from qiosk.adapters import private
from qiosk.contract.http.blobs import check_metadata, is_header_value
from qiosk.errors import InvalidValue
from qiosk.service.blobs.store import PLAIN, BlobHeaders, BlobProperties

_NS = 10**9
_VERSION = re.compile("[0-9a-f]{1,32}-[0-9a-f]{1,32}")

log = logging.getLogger(__name__)


class Version(NamedTuple):
    """Identifies one content of a file."""

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
    """What is stored beside a version. ``created_ns`` is None if it equals the version's own time."""

    headers: BlobHeaders = PLAIN
    created_ns: int | None = None
    blocks: Sequence[tuple[str, int]] = ()


class _Document(msgspec.Struct):
    """Notes as they are stored."""

    content_type: str
    content_encoding: str | None
    metadata: dict[str, str]
    created_ns: Annotated[int, msgspec.Meta(ge=0, le=1 << 62)] | None


@final
class NoteFolder:
    """The notes of one blob, in their own folder, which exists while there are any."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, version: Version, notes: Notes) -> None:
        """Store notes for a version whose file is not in its place yet."""
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
        if document is None and (name := self._name_without_fractions(version)) is not None:
            document = self._read(name)
        if document is None:
            return Notes()
        try:
            found = msgspec.convert(document, _Document)
            check_metadata(found.metadata)
            if not all(map(is_header_value, (found.content_type, found.content_encoding or ""))):
                raise InvalidValue("a header is not printable ASCII")
        except (msgspec.ValidationError, InvalidValue) as error:
            log.warning("%s: notes of version %s are damaged: %s", self._folder, version.text, error)
            return Notes()
        headers = BlobHeaders(
            content_type=found.content_type, content_encoding=found.content_encoding, metadata=found.metadata
        )
        return Notes(headers, found.created_ns)

    def read_blocks(self, version: Version) -> Sequence[tuple[str, int]]:
        """Blocks of a version, in order."""
        try:
            return msgspec.convert(self._read(f"{version.text}.blocks") or [], list[tuple[str, int]])
        except msgspec.ValidationError as error:
            log.warning("%s: blocks of version %s are damaged: %s", self._folder, version.text, error)
            return []

    def remove(self, version: Version) -> None:
        """Remove the notes of a version that was replaced."""
        with suppress(FileNotFoundError):
            (self._folder / version.text).unlink()
        with suppress(FileNotFoundError):
            (self._folder / f"{version.text}.blocks").unlink()
        with suppress(OSError):  # there are notes of another version, or the folder does not exist
            self._folder.rmdir()

    def _write(self, name: str, document: object) -> None:
        data = json.dumps(document)
        try:
            private.write_text(self._folder / name, data)
        except FileNotFoundError:
            private.make_folder(self._folder)
            private.write_text(self._folder / name, data)

    def _read(self, name: str) -> Any:
        """The document in a file; None if there is none, or if it is damaged: content is served without its notes."""
        try:
            return json.loads((self._folder / name).read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError, IsADirectoryError, PermissionError) as error:
            log.warning("%s cannot be read: %s", self._folder / name, error)
            return None

    def _name_without_fractions(self, version: Version) -> str | None:
        """Notes with the same size and second, for a file that was copied without the fractions of its time."""
        if version.mtime_ns % _NS:
            return None
        with suppress(FileNotFoundError):
            for name in os.listdir(self._folder):
                mtime, _, size = name.partition("-")
                if (
                    _VERSION.fullmatch(name)
                    and int(mtime, 16) // _NS == version.mtime_ns // _NS
                    and int(size, 16) == version.size
                ):
                    return name
        return None


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


def _time(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // 1000 / 1_000_000, UTC)
