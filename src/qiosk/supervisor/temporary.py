"""The temporary folders of a supervisor.

The fork server listens on a socket. Programs that clean the usual temporary folder would remove it some day, so it is
in the home, if sockets can be made there: their paths are limited to some hundred bytes, and some file systems
have none.
Everything else is in the usual temporary folder, or in the home as well if there is no other place to write to.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
from multiprocessing.util import get_temp_dir
from pathlib import Path

FOLDER = "supervisor.tmp"
"""Its name in the home."""
_LONGEST_NAME = "pymp-12345678/listener-12345678"
"""What the fork server's socket adds to the path of the folder."""

log = logging.getLogger(__name__)


def provide_temporary_folder(home: Path) -> None:
    """Choose the temporary folders of this process and its children. The caller holds the home's lock.

    Raises OSError if there is none.
    """
    try:
        own = _folder_in(home)
    except OSError as error:
        log.warning("the socket of the fork server cannot be in the home: %s", error)
        _check(Path(tempfile.gettempdir()))
        return
    try:
        usual = tempfile.gettempdir()
    except OSError as error:
        log.warning("the temporary folder cannot be used, the home's is: %s", error)
        os.environ["TMPDIR"], usual = str(home / FOLDER), str(own)
    tempfile.tempdir = str(own)
    get_temp_dir()  # which multiprocessing keeps for its sockets
    tempfile.tempdir = usual


def _folder_in(home: Path) -> Path:
    """An empty folder in the home, by a path that is short enough for sockets. Raises OSError."""
    folder = home / FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # of a supervisor that was killed
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        _check(folder)
    except OSError:
        # A path that is short however long the home's is. Only this process uses it, so it stays open.
        short = Path(f"/proc/self/fd/{os.open(folder, os.O_RDONLY | os.O_CLOEXEC)}")
        _check(short)
        return short
    return folder


def _check(folder: Path) -> None:
    """Make a socket with the longest name and remove it. Raises OSError."""
    outer = Path(tempfile.mkdtemp(prefix="q" * (len(_LONGEST_NAME.partition("/")[0]) - 8), dir=folder))
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.fspath(outer / _LONGEST_NAME.partition("/")[2]))
    finally:
        shutil.rmtree(outer, ignore_errors=True)
