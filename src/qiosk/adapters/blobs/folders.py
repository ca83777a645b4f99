"""What stores that keep blobs by name share: a workspace's folder name, and pages of sorted names."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from urllib.parse import quote

_MAX_FOLDER_NAME = 150


def folder_name(workspace: str) -> str:
    """A file name for any workspace key: readable, distinct, and without a way out of its folder."""
    name = quote(workspace, safe=" ").replace(".", "%2E")
    if 0 < len(name) <= _MAX_FOLDER_NAME:
        return name
    return f"{name[:80]}%{hashlib.sha256(workspace.encode()).hexdigest()}"


def page_names(names: Sequence[str], prefix: str, marker: str | None, limit: int) -> tuple[Sequence[str], str | None]:
    """At most ``limit`` of the sorted ``names`` with a prefix, behind the name ``marker``; and the next marker."""
    rest = names[bisect_right(names, marker) if marker is not None else 0 :]
    found = [name for name in rest if name.startswith(prefix)]
    return found[:limit], found[limit - 1] if len(found) > limit else None
