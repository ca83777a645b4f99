"""The secret that signs links to blobs, in a file of the home."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from qiosk.adapters.denied import explained
from qiosk.errors import InvalidValue

SECRET_BYTES = 32
"""Size of a new secret."""
MIN_SECRET_BYTES = 16
"""Shorter ones are refused."""


def load_secret(path: Path) -> bytes:
    """The secret in a file; if it is missing it is made, readable for its owner alone.

    Processes that make it at the same time all get the same one. Raises InvalidValue if the file contains too little;
    FileDenied.
    """
    with explained(path):
        try:
            secret = path.read_bytes()
        except FileNotFoundError:
            secret = _make(path)
    if len(secret) < MIN_SECRET_BYTES:
        raise InvalidValue(f"{path}: must hold at least {MIN_SECRET_BYTES} bytes, found {len(secret)}")
    return secret


def stored_secret(path: Path) -> bytes | None:
    """The secret in a file; None if there is no such file. Raises FileDenied."""
    with explained(path):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


def restore_secret(path: Path, secret: bytes | None) -> None:
    """Store a secret in a file; nothing happens without one, or if the file exists."""
    if secret is None:
        return
    with explained(path):
        _make(path, secret)


def _make(path: Path, secret: bytes | None = None) -> bytes:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, secret or secrets.token_bytes(SECRET_BYTES))
        os.fsync(descriptor)
        with suppress(FileExistsError):  # another process was faster: its secret is used
            os.link(draft, path)
    finally:
        os.close(descriptor)
        draft.unlink()
    return path.read_bytes()
