"""Microsoft's own clients, each in a virtual environment of its own that is made once and kept.

Folder: ``QIOSK_CONFORMANCE_CACHE``, else ``~/.cache/qiosk-conformance``. An environment is named by a digest of what
was asked for; the one with the newest client is asked for anew after a week. As a program: makes all of them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MAX_AGE_S = 7 * 24 * 3600.0
PYTEST = ("pytest>=8.3", "pytest-timeout>=2.3")


class NoIndex(Exception):
    """The packages could not be fetched."""


@dataclass(frozen=True)
class Client:
    """A client: its name here, what to install, the suite it runs, and whether a newer one may exist tomorrow."""

    name: str
    requirements: Sequence[str]
    suite: str
    is_pinned: bool


# On current Pythons, releases before 1.0 need an older protobuf and NumPy.
_AGED = ("protobuf<4", "numpy<2", "six")
CLIENTS = (
    # The last release with the optimization SDK.
    Client("azure-quantum-0.27", ("azure-quantum==0.27.258160", *_AGED), "azure_quantum_0_27", is_pinned=True),
    Client("azure-quantum-0.28", ("azure-quantum>=0.28,<0.29", *_AGED), "azure_quantum_between", is_pinned=True),
    Client("azure-quantum-1", ("azure-quantum>=1,<2",), "azure_quantum_between", is_pinned=True),
    Client("azure-quantum-3", ("azure-quantum>=3",), "azure_quantum_3", is_pinned=False),
)


def python_of(client: Client) -> Path:
    """The interpreter of a client's environment, which is made if it is missing or old. Raises NoIndex."""
    root = Path(os.environ.get("QIOSK_CONFORMANCE_CACHE") or Path.home() / ".cache" / "qiosk-conformance")
    root.mkdir(parents=True, exist_ok=True)
    wanted = "\n".join((*client.requirements, *PYTEST, sys.version))
    place = root / f"{client.name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    python = place / "bin" / "python"
    with _lock(root / f"{place.name}.lock"):
        if _is_good(place, client):
            return python
        try:
            _make(place, client)
        except NoIndex:
            if not python.exists():
                raise
            os.utime(_stamp(place))  # an old one is better than none
    return python


def _is_good(place: Path, client: Client) -> bool:
    stamp = _stamp(place)
    return stamp.exists() and (client.is_pinned or time.time() - stamp.stat().st_mtime < MAX_AGE_S)


def _make(place: Path, client: Client) -> None:
    fresh = place.with_name(f"{place.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    venv.create(fresh, with_pip=True, symlinks=True)
    command = [fresh / "bin" / "python", "-m", "pip", "install", "--quiet", *client.requirements, *PYTEST]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise NoIndex(f"{client.name} could not be installed: {done.stderr.strip()[-500:]}")
    _stamp(fresh).write_text("\n".join(client.requirements))
    shutil.rmtree(place, ignore_errors=True)
    fresh.rename(place)  # only ``python -m`` is used, which does not mind that scripts name the old folder


def _stamp(place: Path) -> Path:
    return place / "complete"


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Two runs at once make an environment once."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Make all environments; the number of those that could not be made."""
    failures = 0
    for client in CLIENTS:
        try:
            print(client.name, python_of(client))
        except NoIndex as error:
            print(error, file=sys.stderr)
            failures += 1
    return failures


if __name__ == "__main__":
    sys.exit(main())
