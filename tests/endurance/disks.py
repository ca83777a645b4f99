"""Small file systems that a fault can fill, where this process may mount: in a mount namespace of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_NAMESPACE = "QIOSK_ENDURANCE_NAMESPACE"
_FILL = "filled"


def enter_namespace(arguments: Sequence[str]) -> None:
    """Begin this program again in a mount namespace of its own, where that is allowed and has not happened yet."""
    if may_mount():
        return
    unshare = ["unshare", "--mount", "--propagation", "private"]
    with suppress(FileNotFoundError):
        if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0:
            os.environ[_NAMESPACE] = str(os.getpid())
            os.execvp(unshare[0], [*unshare, sys.executable, *arguments])


def may_mount() -> bool:
    """Whether this process is in a mount namespace of its own."""
    return os.environ.get(_NAMESPACE) == str(os.getpid())


class Disks:
    """Folders in ``folder``; each is a file system of its own if this process ``may_mount``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mounted: list[Path] = []

    def make(self, name: str, megabytes: int) -> Path:
        """A new folder, with room for so much at most."""
        path = self._folder / name
        path.mkdir(mode=0o755)
        if may_mount():
            options = f"size={megabytes}m,mode=755"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "endurance", path], check=True)
            self._mounted.append(path)
        return path

    def unmount(self) -> None:
        """Give all of them up, with what is on them."""
        for path in self._mounted:
            subprocess.run(["umount", "--lazy", path], check=True)


def fill(disk: Path) -> int:
    """Write to a disk until it is full; returns the bytes written."""
    written = 0
    with suppress(OSError), (disk / _FILL).open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while True:
                    written += file.write(bytes(size))
    return written


def free(disk: Path) -> None:
    """Remove what ``fill`` wrote."""
    (disk / _FILL).unlink(missing_ok=True)
