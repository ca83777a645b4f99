"""Files and folders that only their owner may read, whatever the umask of the process is.

Folders that exist and are open to other users are closed when a home or a storage is opened, with a warning in the log.
Those of other users, and those that many programs share (``/tmp``, the user's home folder, ``/``), are left as they
are.
"""

from __future__ import annotations

import logging
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

FOLDER = 0o700
FILE = 0o600
_OTHERS = 0o077

log = logging.getLogger("qiosk.home")


def make_folder(path: Path) -> None:
    """Create a folder, and those above it, if they do not exist."""
    try:
        path.mkdir(FOLDER)
    except FileNotFoundError:
        make_folder(path.parent)
        path.mkdir(FOLDER, exist_ok=True)
    except FileExistsError:
        if not path.is_dir():
            raise


def write_text(path: Path, text: str) -> None:
    """Replace the text of a file, which is created if it does not exist."""
    with open(path, "w", encoding="utf-8", opener=_open) as file:
        file.write(text)


def make_database(path: Path) -> None:
    """Create an empty file, or close one that exists, and SQLite's files beside it, to others.

    Nothing happens if that is not possible. A file that exists is not opened, since closing it would release the locks
    that this process holds on it.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with suppress(OSError):
        if not path.exists():
            os.close(_open(os.fspath(draft), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
            try:
                os.link(draft, path)
            finally:
                draft.unlink()
    for suffix in ("", "-wal", "-shm"):  # SQLite gives the last two the permissions of the first
        close_to_others(path.with_name(path.name + suffix))


def check_folder(path: Path, what: str) -> None:
    """Close a folder to other users and log a warning if it was open; ``what`` is its purpose."""
    if _is_open(path):
        done = "now only its owner can" if close_to_others(path) else "change its permissions to 0700"
        log.warning("%s %s: other users could read it; %s", what, path, done)


def close_to_others(path: Path) -> bool:
    """Take permissions of other users from a file or folder; False if that is not possible or would not be right."""
    try:
        status = path.stat()
        if status.st_mode & stat.S_ISVTX or path in (Path(path.anchor), Path.home()):
            return False
        if status.st_mode & _OTHERS:
            path.chmod(stat.S_IMODE(status.st_mode) & ~_OTHERS)
    except (OSError, RuntimeError):  # another user's, a file system without permissions, or no home folder
        return False
    return not _is_open(path)


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False


def _open(path: str, flags: int) -> int:
    return os.open(path, flags, FILE)
