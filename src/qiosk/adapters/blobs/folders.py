"""Names of files: a workspace's folder, in a file system or a bucket, and a blob's path in it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import final
from urllib.parse import quote, quote_from_bytes, unquote, urlsplit

from qiosk.contract.blob_names import check_blob, check_container
from qiosk.errors import InvalidValue
from qiosk.service.jobs.job import BlobRef

_MAX_FOLDER_NAME = 150
_MAX_FILE_NAME = 240  # bytes; most file systems allow 255
_MAX_FILE_PATH = 3000  # bytes; Linux allows 4096, of which the home needs some


def folder_name(workspace: str) -> str:
    """A file name for any workspace key: readable, unique, and never a path out of its folder."""
    name = quote(workspace, safe=" ").replace(".", "%2E")
    if 0 < len(name) <= _MAX_FOLDER_NAME:
        return name
    return f"{name[:80]}%{hashlib.sha256(workspace.encode()).hexdigest()}"


def encode_name(ref: BlobRef) -> str:
    """Path of a blob's file in its container."""
    check_container(ref.container)
    check_blob(ref.name)
    # Earlier versions marked unfinished files by "#" and digits at the end of their names.
    encoded = ref.name.replace("%", "%25").replace("#", "%23")
    sizes = [len(segment.encode()) for segment in encoded.split("/")]
    if max(sizes) > _MAX_FILE_NAME or sum(sizes) + len(sizes) > _MAX_FILE_PATH:
        raise InvalidValue(f"blob name: too long for a file, found {ref.name!r}")
    return encoded


def decode_name(path: str) -> str:
    """The name of the blob whose file has this path."""
    return path.replace("%23", "#").replace("%25", "%")


@final
class FileLocations:
    """``file://`` URIs of the files in a workspace's folder."""

    def __init__(self, folder: Path) -> None:
        self._base = folder.as_uri()

    def uri(self, container: str, name: str | None = None) -> str:
        """URI of the file, or of the folder of a container."""
        check_container(container)
        path = container if name is None else f"{container}/{encode_name(BlobRef(container, name))}"
        return f"{self._base}/{quote_from_bytes(os.fsencode(path))}"  # lists have thousands: no Path for each

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """Container and blob of a URI that ``uri`` returned; a query is ignored."""
        base = urlsplit(self._base).path + "/"
        parts = urlsplit(uri)
        if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith(base):
            raise InvalidValue(f"blob uri: must begin with {self._base}/, found {uri!r}")
        container, separator, name = unquote(parts.path[len(base) :]).partition("/")
        check_container(container)
        if not separator or not name:
            return container, None
        name = decode_name(name)
        check_blob(name)
        return container, name
