"""A temporary folder for the supervisor: the usual one, or one in the home if that is the only place to write to.

The fork server listens on a socket in it. Paths of sockets are limited to some hundred bytes, and some file systems
have no sockets, so a folder is usable if a socket can be made in it.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
from pathlib import Path

_LONGEST_NAME = "pymp-12345678/listener-12345678"
"""What the fork server's socket adds to the path of the folder."""

log = logging.getLogger(__name__)


def provide_temporary_folder(home: Path) -> None:
    """Make a usable folder the temporary one of this process and its children. The caller holds the home's lock.

    Raises OSError if there is none.
    """
    try:
        _check(Path(tempfile.gettempdir()))
    except OSError as error:
        log.warning("the temporary folder cannot be used, the home's is: %s", error)
    else:
        return
    folder = home / "supervisor.tmp"
    shutil.rmtree(folder, ignore_errors=True)  # of a supervisor that was killed
    folder.mkdir(mode=0o700, exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        _check(folder)
    except OSError:
        # A path that is short however long the home's is. Only this process uses it, so it stays open.
        short = Path(f"/proc/self/fd/{os.open(folder, os.O_RDONLY | os.O_CLOEXEC)}")
        _check(short)
        tempfile.tempdir = str(short)


def _check(folder: Path) -> None:
    """Make a socket with the longest name and remove it. Raises OSError."""
    outer = Path(tempfile.mkdtemp(prefix="q" * (len(_LONGEST_NAME.partition("/")[0]) - 8), dir=folder))
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.fspath(outer / _LONGEST_NAME.partition("/")[2]))
    finally:
        shutil.rmtree(outer, ignore_errors=True)
