"""Errors for files of a home or a storage that this process may not use, such as those that another user left.

They name the file or folder that is in the way, its owner, and what to do.
"""

from __future__ import annotations

import inspect
import os
import pwd
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from qiosk.errors import FileDenied

C = TypeVar("C", bound=type)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise FileDenied for a PermissionError; ``path`` is looked at if that names no file."""
    try:
        yield
    except FileDenied:
        raise
    except PermissionError as error:
        raise denied(Path(error.filename or path)) from error


def explains_denials(cls: C) -> C:
    """Decorator of a class: its public methods and its constructor raise FileDenied instead of PermissionError."""
    for name, member in list(vars(cls).items()):
        if inspect.isfunction(member) and (name == "__init__" or not name.startswith("_")):
            setattr(cls, name, _explaining(member))
    return cls


def _explaining(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except FileDenied:
            raise
        except PermissionError as error:
            if not error.filename:
                raise
            raise denied(Path(error.filename)) from error

    return call


def is_denied(path: Path) -> bool:
    """Whether this process may not read and write a file, or may not create it if it is missing."""
    place = _in_the_way(path)
    return not _may_use(place) if place == path else not os.access(place, os.W_OK | os.X_OK)


def denied(path: Path) -> FileDenied:
    """The error for a file or folder that cannot be used."""
    place = _in_the_way(path)
    if place == path and _may_use(path) and _owner(path) == os.geteuid():
        place = path.parent  # the file itself can be used: it is its folder that cannot be changed
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return FileDenied(f"{place}: is on a read-only file system; mount it for writing, or use another folder")
    owner, mine = _owner(place), os.geteuid()
    if owner is None or owner == mine:
        return FileDenied(f"{place}: its permissions do not let its owner use it; change them (chmod u+rwX)")
    return FileDenied(
        f"{place}: belongs to {_name(owner)}, and this process runs as {_name(mine)}, who may not use it; run as"
        f" {_name(owner)}, change the owner (chown -R), or use another folder"
    )


def _in_the_way(path: Path) -> Path:
    """The path itself, or the innermost folder above it that can be looked at."""
    place = Path(path.anchor or ".")
    for part in (*reversed(path.parents), path):
        try:
            part.lstat()
        except OSError:
            break
        place = part
    return place


def _may_use(place: Path) -> bool:
    wanted = os.R_OK | os.W_OK
    return os.access(place, wanted | os.X_OK if stat.S_ISDIR(place.stat().st_mode) else wanted)


def _owner(place: Path) -> int | None:
    try:
        return place.stat().st_uid
    except OSError:
        return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
