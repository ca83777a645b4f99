"""The name of a workspace's folder, in a file system or a bucket."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

_MAX_FOLDER_NAME = 150


def folder_name(workspace: str) -> str:
    """A file name for any workspace key: readable, distinct, and without a way out of its folder."""
    name = quote(workspace, safe=" ").replace(".", "%2E")
    if 0 < len(name) <= _MAX_FOLDER_NAME:
        return name
    return f"{name[:80]}%{hashlib.sha256(workspace.encode()).hexdigest()}"
