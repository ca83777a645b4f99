"""Of several processes that need the same machine code, one compiles it, and the others wait for the file.

On a new machine many jobs begin at once, and each would compile the same kernels, for minutes together. The process
that compiles holds a lock on a file beside the one that it is going to write, which the system releases if it dies.
No process depends on a lock: where the file system has none, or after ``WAIT_S``, a process compiles for itself.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

WAIT_S = 120.0
"""How long a process waits for another one that compiles; the largest kernel takes half a minute."""
_PAUSE_S = 0.02

_held: dict[Path, int] = {}  # by file, of this process


def is_compiled_elsewhere(path: Path) -> bool:
    """Wait while another process compiles what goes into ``path``. Whether the file is there then.

    If it is not, the caller compiles, and calls ``release`` when it has written the file.
    """
    if fcntl is None or path in _held:
        return False
    deadline = time.monotonic() + WAIT_S
    try:
        handle = os.open(_lock_of(path), os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:  # such as a folder that is not there yet, or is only read
        return False
    while not (is_mine := _try_lock(handle)) and not path.exists() and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
    is_there = path.exists()
    if not is_mine:
        os.close(handle)
        return is_there
    _held[path] = handle
    if is_there:  # written between the caller's look and this one's
        release(path)
    return is_there


def release(path: Path) -> None:
    """Let others look at ``path`` again; without effect if this process does not compile it."""
    if (handle := _held.pop(path, None)) is not None:
        with suppress(OSError):
            os.unlink(_lock_of(path))
        os.close(handle)


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def _try_lock(handle: int) -> bool:
    """Whether this process has the lock; also where the file system knows no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
