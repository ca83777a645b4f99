"""Blobs in a folder of this machine, or one that several machines share.

A blob of a workspace is the file ``ROOT/WORKSPACE/CONTAINER/NAME``, byte for byte; see ``files`` for what is stored
beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import final
from urllib.parse import unquote

from qiosk.adapters import private
from qiosk.adapters.blobs.blocks import BlockFiles, block_path
from qiosk.adapters.blobs.files import (
    HEADERS,
    UNFINISHED,
    BlobFile,
    FileReader,
    FileWriter,
    open_version,
    remove_tree,
    touch_version,
)
from qiosk.adapters.blobs.folders import FileLocations, decode_name, encode_name, folder_name
from qiosk.adapters.blobs.notes import Notes
from qiosk.adapters.denied import explains_denials
from qiosk.contract.blob_names import check_container
from qiosk.errors import BlobNotFound, ServiceUnavailable
from qiosk.service.blobs.locations import BlobLocations
from qiosk.service.blobs.store import (
    LEAST_BYTES,
    PLAIN,
    BlobHeaders,
    BlobPage,
    BlobProperties,
    Block,
    counted_bytes,
    not_found,
    page_names,
    write_whole,
)
from qiosk.service.jobs.job import BlobRef
from qiosk.service.names import check_block_id

_KEY_FILE = ".workspace"
_OPEN_STORES = 1024
MAPPED_FROM = 1 << 24
"""Size in bytes from which a blob is mapped rather than read."""


@final
@explains_denials
class LocalBlobStore:
    """``BlobStore`` of one workspace in a folder; several processes may share it.

    ``locations`` gives blobs their URIs; by default they are ``file://`` URIs of their files. Without the folder
    ``outer``, if one is given, nothing is written: its owner has removed it.
    """

    def __init__(
        self, root: Path, workspace: str, locations: BlobLocations | None = None, *, outer: Path | None = None
    ) -> None:
        self._outer = outer
        self._folder = root.resolve() / folder_name(workspace)
        private.close_to_others(self._folder)
        self._key = workspace
        self._is_key_stored = unquote(self._folder.name) == workspace
        self._locations = locations or FileLocations(self._folder)

    def create(self, container: str) -> bool:
        """Create a container; False if it exists."""
        check_container(container)
        self._check_place()
        path = self._folder / container
        is_new = not path.is_dir()
        private.make_folder(path)
        self._store_key()
        return is_new

    def has_container(self, container: str) -> bool:
        """Whether it was created, or contains a blob."""
        check_container(container)
        return (self._folder / container).is_dir()

    def made_at(self, container: str) -> datetime | None:
        """When it was created or last changed, or a block was uploaded for a blob without others."""
        check_container(container)
        try:
            made = (self._folder / container).stat().st_mtime
        except FileNotFoundError:
            return None
        with suppress(FileNotFoundError):
            made = max(made, (self._folder / UNFINISHED / container).stat().st_mtime)
        return datetime.fromtimestamp(made, UTC)

    def containers(self) -> Sequence[str]:
        """Names of all containers, sorted."""
        try:
            with os.scandir(self._folder) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
        except FileNotFoundError:
            return []

    def put(self, ref: BlobRef, data: bytes, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> BlobProperties:
        """Store a blob. Raises BlobAlreadyExists; Conflict if its name is a folder of other blobs, or the reverse."""
        return write_whole(self.writer(ref, overwrite=overwrite, headers=headers), data)

    def get(self, ref: BlobRef) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        reader = self.open(ref)
        try:
            return b"".join(reader.pieces())
        finally:
            reader.close()

    def mapped(self, ref: BlobRef) -> bytes:
        """Content of a blob; from ``MAPPED_FROM`` bytes on, a mapping of its file. Raises BlobNotFound."""
        reader = self.open(ref)
        try:
            return reader.mapped() if reader.properties.size_bytes >= MAPPED_FROM else b"".join(reader.pieces())
        finally:
            reader.close()

    def properties(self, ref: BlobRef) -> BlobProperties:
        """A blob without its content. Raises BlobNotFound."""
        reader = self.open(ref)
        try:
            return reader.properties
        finally:
            reader.close()

    def open(self, ref: BlobRef) -> FileReader:
        """A blob to read in pieces. Raises BlobNotFound."""
        reader = open_version(self._file(ref))
        if reader is None:
            raise not_found(ref)
        return reader

    def writer(self, ref: BlobRef, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> FileWriter:
        """A blob to write in pieces."""
        self._check_place()
        file = self._file(ref)
        self._store_key()
        return FileWriter(file, file.path, overwrite=overwrite, notes=Notes(headers))

    def block_writer(self, ref: BlobRef, block_id: str) -> FileWriter:
        """A block for ``commit_blocks``."""
        check_block_id(block_id)
        self._check_place()
        file = self._file(ref)
        return FileWriter(file, block_path(file, block_id), overwrite=True, notes=None)

    def commit_blocks(
        self, ref: BlobRef, blocks: Sequence[Block], *, overwrite: bool = True, headers: BlobHeaders = PLAIN
    ) -> BlobProperties:
        """Make a blob of blocks, by copying them. Raises InvalidBlockList, BlobAlreadyExists."""
        file = self._file(ref)
        writer = self.writer(ref, overwrite=overwrite, headers=headers)
        try:
            with BlockFiles(file) as sources:
                parts = [sources.find(block) for block in blocks]
                for part in parts:
                    part.copy_to(writer)
            properties = writer.commit([(block.id, part.size) for block, part in zip(blocks, parts, strict=True)])
        finally:
            writer.abort()
        remove_tree(file.blocks)
        return properties

    def set_metadata(self, ref: BlobRef, metadata: Mapping[str, str]) -> BlobProperties:
        """Replace a blob's metadata. Raises BlobNotFound."""
        properties = touch_version(self._file(ref), metadata)
        if properties is None:
            raise not_found(ref)
        return properties

    def list(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted."""
        check_container(container)
        return sorted(map(decode_name, _files_below(self._folder / container)))

    def page(self, container: str, *, prefix: str = "", marker: str | None = None, limit: int = 5000) -> BlobPage:
        """Blobs whose names begin with ``prefix``, sorted by name; every page lists the whole container."""
        names, more = page_names(self.list(container), prefix, marker, limit)
        blobs = []
        for name in names:
            with suppress(BlobNotFound):  # deleted meanwhile
                blobs.append(self.properties(BlobRef(container, name)))
        return BlobPage(blobs, more)

    def delete(self, ref: BlobRef) -> None:
        """Remove a blob."""
        file = self._file(ref)
        with suppress(BlobNotFound, FileNotFoundError):
            reader = self.open(ref)
            reader.close()
            file.path.unlink()
            file.notes.remove(reader.version)

    def delete_container(self, container: str) -> None:
        """Remove a container and all its blobs."""
        check_container(container)
        remove_tree(self._folder / container)
        remove_tree(self._folder / HEADERS / container)
        remove_tree(self._folder / UNFINISHED / container)
        for name in self.list(container):  # written while the folder was being removed
            self.delete(BlobRef(container, name))

    def discard_unfinished(self, before: datetime) -> int:
        """Remove old blocks, and files of writers that died."""
        folder = self._folder / UNFINISHED
        count = 0
        for name in _files_below(folder):
            with suppress(FileNotFoundError):
                if (folder / name).stat().st_mtime < before.timestamp():
                    (folder / name).unlink()
                    count += 1
        return count

    def usage(self) -> int:
        """Bytes of all files of the workspace; those of headers are counted as they are."""
        total = LEAST_BYTES * len(self.containers())
        for name in _files_below(self._folder):
            if name == _KEY_FILE:
                continue
            with suppress(FileNotFoundError):
                size = (self._folder / name).stat().st_size
                total += size if name.startswith(HEADERS) else counted_bytes(size)
        return total

    def uri(self, container: str, name: str | None = None) -> str:
        """URI of a container or blob."""
        return self._locations.uri(container, name)

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """Container and blob of a URI that ``uri`` returned."""
        return self._locations.resolve(uri)

    def _check_place(self) -> None:
        if self._outer is not None and not self._outer.is_dir():
            raise ServiceUnavailable(f"storage: {self._outer} was removed")

    def _store_key(self) -> None:
        """Store the workspace's key in a file, if it is too long for the folder's name."""
        if not self._is_key_stored:
            private.make_folder(self._folder)
            private.write_text(self._folder / _KEY_FILE, self._key)
            self._is_key_stored = True

    def _file(self, ref: BlobRef) -> BlobFile:
        return BlobFile(self._folder, ref, encode_name(ref))


@final
@explains_denials
class LocalStorage:
    """``Storage`` in a folder. With ``served``, URIs of blobs are paths below a server, else those of files."""

    def __init__(self, root: Path, served: BlobLocations | None = None) -> None:
        self._root = root.resolve()
        outer = self._root.parent if self._root.parent.is_dir() else None  # such as the home
        self._blobs = lru_cache(_OPEN_STORES)(
            lambda workspace: LocalBlobStore(self._root, workspace, served, outer=outer)
        )
        private.check_folder(self._root, "storage")

    def blobs(self, workspace: str) -> LocalBlobStore:
        """Blobs of one workspace."""
        return self._blobs(workspace)

    def workspaces(self) -> Sequence[str]:
        """Keys of workspaces that have a folder."""
        if not self._root.is_dir():
            return []
        return sorted(key for path in self._root.iterdir() if (key := _key_of(path)) is not None)

    def signed_uri(
        self, workspace: str, container: str, name: str | None, permissions: str, until: datetime
    ) -> str | None:
        """None: clients read and write files through a Qiosk server."""
        return None


def _key_of(folder: Path) -> str | None:
    """The key of the workspace that a folder belongs to; None if it belongs to none."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return (folder / _KEY_FILE).read_text("utf-8")
    key = unquote(folder.name)
    return key if folder_name(key) == folder.name else None


def _check_denied(error: OSError) -> None:
    """Raise for a folder that may not be read; others are being removed."""
    if isinstance(error, PermissionError):
        raise error


def _files_below(folder: Path) -> Iterator[str]:
    """Relative paths of all files in a folder, in no order; unfinished ones of earlier versions are left out."""
    prefix = len(str(folder)) + 1
    for place, _, names in os.walk(folder, onerror=_check_denied):
        relative = place[prefix:]
        for name in names:
            if "#" not in name:
                yield f"{relative}/{name}" if relative else name
