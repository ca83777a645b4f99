"""Names of containers and blobs that clients may give.

Every blob store accepts an allowed name, and as a path it cannot lead out of its folder, nor to another blob.
"""

from __future__ import annotations

import re

from qiosk.errors import InvalidValue

_CONTAINER = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]{0,127}")
_MAX_BLOB_NAME = 1024
_MAX_SEGMENT = 200  # bytes; file systems allow 255, of which temporary files need some


def check_container(container: str) -> None:
    """Raise InvalidValue unless ``container`` is 1 to 128 letters, digits, ``-``, ``_`` and inner dots."""
    if not _CONTAINER.fullmatch(container) or ".." in container or container.endswith("."):
        raise InvalidValue(
            f"container name: 1 to 128 letters, digits, '-', '_' or inner '.' allowed, found {container!r}"
        )


def check_blob(name: str) -> None:
    """Raise InvalidValue unless ``name`` is a relative path of plain segments."""
    if not 0 < len(name) <= _MAX_BLOB_NAME:
        raise InvalidValue(f"blob name: 1 to {_MAX_BLOB_NAME} characters are allowed, found {len(name)}")
    for segment in name.split("/"):
        if segment in ("", ".", ".."):
            raise InvalidValue(f"blob name: segments may not be empty, '.' or '..', found {name!r}")
        if len(segment.encode("utf-8", "surrogatepass")) > _MAX_SEGMENT:
            raise InvalidValue(f"blob name: a segment has at most {_MAX_SEGMENT} bytes, found {name!r}")
    if not name.isprintable() or "\\" in name:
        raise InvalidValue(f"blob name: control characters and backslashes are not allowed, found {name!r}")
