"""Blobs in a folder of this machine, written through obstore.

A blob of a workspace is the file ``ROOT/WORKSPACE/CONTAINER/NAME``; its URI is that file's ``file://`` URI.
Files appear under their name when they are complete.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, final
from urllib.parse import quote, unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, GenericError
from obstore.store import LocalStore

from qiosk.errors import BlobAlreadyExists, BlobNotFound, Conflict, InvalidValue
from qiosk.service.jobs import BlobRef
from qiosk.service.names import check_blob, check_container

_MAX_FOLDER_NAME = 150
_MAX_FILE_NAME = 240  # bytes; most file systems allow 255, and unfinished files carry a suffix


@final
class LocalBlobStore:
    """``BlobStore`` of one workspace in a folder; several processes may share it."""

    def __init__(self, root: Path, workspace: str) -> None:
        self._folder = root.resolve() / folder_name(workspace)
        self._store = LocalStore(self._folder, mkdir=True)

    def create(self, container: str) -> None:
        """Make a container."""
        check_container(container)
        (self._folder / container).mkdir(parents=True, exist_ok=True)

    def put(self, ref: BlobRef, data: bytes, *, overwrite: bool = True) -> None:
        """Store a blob. Raises BlobAlreadyExists; Conflict if its name is a folder of others, or the other
        way.
        """
        path = _path(ref)
        try:
            self._put(path, data, overwrite)
        except (AlreadyExistsError, GenericError) as error:
            place = self._folder / path
            if place.is_dir() and _remove_empty_folder(place):
                self._put(path, data, overwrite)
            elif place.is_dir() or any(parent.is_file() for parent in place.parents):
                raise Conflict(
                    f"blob {ref.container}/{ref.name}: a name cannot be a blob and a folder of others at once"
                ) from error
            elif isinstance(error, AlreadyExistsError):
                raise BlobAlreadyExists(f"blob {ref.container}/{ref.name} exists") from error
            else:
                raise

    def _put(self, path: str, data: bytes, overwrite: bool) -> None:
        mode: Literal["overwrite", "create"] = "overwrite" if overwrite else "create"
        # Several parts cannot be written with "create", and the whole content is in memory anyway.
        obstore.put(self._store, path, data, mode=mode, use_multipart=False)

    def get(self, ref: BlobRef) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        path = _path(ref)
        try:
            return bytes(obstore.get(self._store, path).bytes())
        except (FileNotFoundError, GenericError) as error:
            if (self._folder / path).is_file():
                raise
            raise BlobNotFound(f"blob {ref.container}/{ref.name} was not found") from error

    def list(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted."""
        check_container(container)
        paths = [entry["path"] for batch in obstore.list(self._store, prefix=container) for entry in batch]
        return sorted(_decode(path.partition("/")[2]) for path in paths)

    def delete(self, ref: BlobRef) -> None:
        """Remove a blob."""
        path = _path(ref)
        try:
            obstore.delete(self._store, path)
        except (FileNotFoundError, GenericError):
            if (self._folder / path).is_file():
                raise

    def delete_container(self, container: str) -> None:
        """Remove a container and all its blobs."""
        check_container(container)
        shutil.rmtree(self._folder / container, ignore_errors=True)
        for name in self.list(container):  # written while the folder was being removed
            self.delete(BlobRef(container, name))

    def uri(self, container: str, name: str | None = None) -> str:
        """``file://`` URI of a container or blob."""
        check_container(container)
        path = container if name is None else _path(BlobRef(container, name))
        return (self._folder / path).as_uri()

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """Container and blob of one of our URIs; a query is ignored."""
        base = urlsplit(self._folder.as_uri()).path + "/"
        parts = urlsplit(uri)
        if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith(base):
            raise InvalidValue(f"blob uri: must begin with {self._folder.as_uri()}/, found {uri!r}")
        container, separator, name = unquote(parts.path[len(base) :]).partition("/")
        check_container(container)
        if not separator or not name:
            return container, None
        name = _decode(name)
        check_blob(name)
        return container, name


def folder_name(workspace: str) -> str:
    """A file name for any workspace key: readable, distinct, and without a way out of its folder."""
    name = quote(workspace, safe=" ").replace(".", "%2E")
    if 0 < len(name) <= _MAX_FOLDER_NAME:
        return name
    return f"{name[:80]}%{hashlib.sha256(workspace.encode()).hexdigest()}"


def _path(ref: BlobRef) -> str:
    check_container(ref.container)
    check_blob(ref.name)
    # The store reserves names that end in "#" and digits for unfinished files.
    encoded = ref.name.replace("%", "%25").replace("#", "%23")
    if max(len(segment.encode()) for segment in encoded.split("/")) > _MAX_FILE_NAME:
        raise InvalidValue(f"blob name: too long for a file, found {ref.name!r}")
    return f"{ref.container}/{encoded}"


def _decode(path: str) -> str:
    return path.replace("%23", "#").replace("%25", "%")


def _remove_empty_folder(folder: Path) -> bool:
    """Remove what deleted blobs left; False if there is a file in it."""
    try:
        for inner in sorted(folder.rglob("*"), reverse=True):
            inner.rmdir()
        folder.rmdir()
    except OSError:
        return False
    return True
