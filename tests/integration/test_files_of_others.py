"""Files of a home that another user left: errors name the file, its owner, and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import homes
from qiosk.adapters.denied import denied, explained
from qiosk.errors import FileDenied, ServiceUnavailable

NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

PROGRAM = """
import os
import sys
import tempfile
from pathlib import Path
from qiosk.bootstrap import open_embedded, open_server
from qiosk.contract.jobs import JobQuery
from qiosk.kernels.compiler import cache_folder
from qiosk.settings import Settings

home, call, user = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
calls = {
    "open": lambda home: open_embedded(home),
    "serve": lambda home: open_server(Settings(home=home)),
    "read": lambda home: open_embedded(home).get_blob("container", "blob"),
    "write": lambda home: open_embedded(home).put_blob("container", "blob", b"new"),
    "names": lambda home: open_embedded(home).list_blobs("container"),
    "cache": lambda home: cache_folder(),
}
with tempfile.TemporaryDirectory() as other:  # imports all that is needed: Python's own files may be root's
    open_embedded(Path(other)).put_blob("container", "blob", b"content")
    calls[call](Path(other))
os.setgroups([])
os.setgid(user)
os.setuid(user)
try:
    print("done", calls[call](home))
except OSError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def left() -> Iterator[Path]:
    """A home of root, in a folder that everyone may enter."""
    outer = Path(tempfile.mkdtemp())
    outer.chmod(0o755)
    service = homes.open_home(outer / "home", idle_seconds=0.0)
    service.put_blob("container", "blob", b"content")
    service.close()
    yield outer / "home"
    shutil.rmtree(outer)


def run_as_nobody(home: Path, call: str, **environ: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(home), call, str(NOBODY)],
        env={"PATH": os.environ["PATH"], "HOME": str(home.parent), **environ},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def allow(home: Path, *, folders: bool, files: bool = False) -> None:
    """Open the home itself, with its files, and more of its blobs, to everyone."""
    home.chmod(0o777)
    for path in home.iterdir():
        path.chmod(0o777)
    for path in (home / "blobs").rglob("*"):
        if folders if path.is_dir() else files:
            path.chmod(0o777)


@needs_root
@pytest.mark.parametrize("call", ["open", "serve"])
@pytest.mark.parametrize("mode", [0o700, 0o755, 0o777])
def test_a_home_of_another_user(left: Path, call: str, mode: int) -> None:
    left.chmod(mode)
    place = left if mode == 0o700 else left / "jobs.db"
    found = run_as_nobody(left, call)
    assert found.startswith(f"FileDenied {place}: belongs to root, and this process runs as nobody")
    assert "chown" in found


@needs_root
@pytest.mark.parametrize("call", ["read", "write", "names"])
@pytest.mark.parametrize("folders", [False, True])
def test_blobs_of_another_user(left: Path, call: str, folders: bool) -> None:
    allow(left, folders=folders)
    found = run_as_nobody(left, call)
    if folders and call != "read":  # a folder that everyone may write to is enough
        assert found.startswith("done")
        return
    place = left / "blobs" / "default"
    assert found.startswith(f"FileDenied {place / 'container' / 'blob' if folders else place}: belongs to root")


@needs_root
@pytest.mark.parametrize("name", ["secret.key", "server.lock"])
def test_other_files_of_another_user(left: Path, name: str) -> None:
    (left / name).write_bytes(b"0" * 32)
    allow(left, folders=True, files=True)
    (left / name).chmod(0o600)
    assert run_as_nobody(left, "serve").startswith(f"FileDenied {left / name}: belongs to root")


@needs_root
def test_a_cache_that_may_not_be_seen_is_not_used(left: Path) -> None:
    home = left.parent / "own"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    found = run_as_nobody(left, "cache", HOME=str(left / "deeper"), QIOSK_HOME=str(home))
    assert found == f"done {home}/cache/kernels\n"


def test_an_error_names_what_is_in_the_way(tmp_path: Path) -> None:
    message = "its permissions do not let its owner use it"
    with pytest.raises(FileDenied, match=message) as raised, explained(tmp_path):
        raise PermissionError(13, "Permission denied", str(tmp_path / "missing" / "file"))
    assert str(raised.value).startswith(f"{tmp_path}: ")
    for kind in (ServiceUnavailable, PermissionError):
        assert isinstance(raised.value, kind)
    assert str(denied(Path("/"))).startswith("/: ")
