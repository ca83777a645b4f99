"""The steps of ``deploy/Dockerfile``, run by hand: by a user without a name and a home, then on a read-only system."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from deployed import ROOT, dockerfile, missing
from patience import HANG_S, eventually

PLACES = re.compile(r"(?<![\w/.])/(src|dist|opt/qiosk|data|tmp)\b")
NO_INDEX = re.compile(r"No matching distribution|Connection|Temporary failure|unreachable|timed out", re.I)
IS_FIT = "import ensurepip, ssl, sys; sys.exit(sys.version_info < (3, 11))"
OTHER_USER = 'mount --bind "$0" "$0"; '
READ_ONLY = "mount -o remount,ro,bind /; "
DROP = 'exec setpriv --reuid="$1" --regid="$1" --clear-groups --bounding-set=-all --no-new-privs -- '
AS_USER = """sh -c 'exec "$0" "$@"' "${@:2}\""""  # the first program still has root's rights while it is started


class Image:
    """A folder that stands for the image's ``/``, and who runs its steps: as root another user, else this one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.is_other = os.getuid() == 0
        self.user = random.randrange(200_000, 900_000) if self.is_other else os.getuid()
        for folder in ("src", "dist", "opt", "tmp", "bin"):
            (root / folder).mkdir()
        for file in [
            line.arguments.split() for line in dockerfile() if line.name == "COPY" and "--from" not in line[1]
        ]:
            for name in file[:-1]:
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                copy(ROOT / name, root / "src" / name)
        if self.is_other:
            for path in (root, *root.rglob("*")):
                os.chown(path, self.user, self.user)
        group = self.user if self.is_other else os.getgid()
        self.path = f"{root}/bin:/usr/bin:/bin"
        arguments = dict(line.arguments.split("=", 1) for line in dockerfile() if line.name == "ARG")
        self.base = {**arguments, "PATH": self.path, "APP_UID": str(self.user), "APP_GID": str(group)}
        self.base |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
        self.base |= {"TMPDIR": str(root / "tmp"), "PIP_NO_CACHE_DIR": "1"}

    def put_python(self) -> bool:
        """Let ``python`` be an interpreter that the user may run; False if there is none."""
        for python in (sys.base_prefix + "/bin/python3", "/usr/local/bin/python3", "/usr/bin/python3"):
            if os.path.exists(python) and self.run(python, "-c", IS_FIT, environ=self.base).returncode == 0:
                (self.root / "bin" / "python").write_text(f'#!/bin/sh\nexec {python} "$@"\n')
                (self.root / "bin" / "python").chmod(0o755)
                return True
        return False

    def here(self, text: str) -> str:
        """A text of the Dockerfile with its paths below this root."""
        return PLACES.sub(lambda found: f"{self.root}/{found[1]}", text)

    def command(self, *command: str, is_read_only: bool = False) -> list[str]:
        """What runs a command as the user, with all but this root read-only if wished and possible."""
        if not self.is_other:
            return list(command)
        script = OTHER_USER + (READ_ONLY if is_read_only else "") + DROP + AS_USER
        return [
            "unshare", "--mount", "bash", "-ec", script,
            str(self.root), str(self.user), *command,
        ]  # fmt: skip

    def run(self, *command: str, environ: dict[str, str], **options: bool) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*command, **options),
            env=environ, cwd=self.root / "src", capture_output=True, text=True, timeout=HANG_S, check=False,
        )  # fmt: skip

    def environ(self) -> dict[str, str]:
        """What the image sets."""
        text = next(line.arguments for line in dockerfile() if line.name == "ENV")
        pairs = (pair.split("=", 1) for pair in text.split())
        given = {name: self.here(value.replace("$PATH", self.path)) for name, value in pairs}
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        return {**given, "QIOSK_HOST": "127.0.0.1", "QIOSK_PORT": str(port), "QIOSK_ADMIN_KEY": "a key of this test"}


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image, with the steps of its Dockerfile done."""
    with tempfile.TemporaryDirectory(prefix="qiosk-image-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        image = Image(Path(folder).resolve())
        if image.is_other and image.run("true", environ=image.base).returncode:
            pytest.skip("needs the right to mount")
        if not image.put_python():
            pytest.skip("needs a Python of 3.11 or newer, with ssl and ensurepip, that other users may run")
        for line in dockerfile():
            if line.name == "RUN":
                done = image.run("sh", "-ec", image.here(line.arguments), environ=image.base)
                if done.returncode and NO_INDEX.search(done.stderr):
                    missing(f"needs a package index: {done.stderr[-500:]}")
                assert done.returncode == 0, f"{line.arguments}\n{done.stdout}\n{done.stderr}"
        if image.is_other:  # what a stage before made belongs to root in the image
            subprocess.run(["chown", "-R", "root:root", image.root / "opt", image.root / "src"], check=True)
        yield image


@contextmanager
def serving(image: Image, environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The image's command, until this context is left."""
    last = {line.name: line.arguments for line in dockerfile() if line.name in ("ENTRYPOINT", "CMD")}
    command = [*json.loads(last["ENTRYPOINT"]), *json.loads(last["CMD"])]
    log = (image.root / "log").open("w+")
    with log, subprocess.Popen(
        image.command(*command, is_read_only=True), env=environ, cwd=image.root / "data", stderr=log, text=True
    ) as server:  # fmt: skip
        try:
            yield server
        finally:
            server.terminate()
            server.wait(HANG_S)


@pytest.mark.slow
def test_the_command_is_installed(image: Image) -> None:
    done = image.run("qiosk", "--version", environ=image.environ(), is_read_only=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.slow
def test_the_server_gets_healthy_and_ready_and_stops(image: Image) -> None:
    check = next(line.arguments for line in dockerfile() if line.name == "HEALTHCHECK").split("CMD ")[1]
    environ = image.environ()

    def is_healthy() -> bool:
        return image.run(*json.loads(check), environ=environ, is_read_only=True).returncode == 0

    def is_ready() -> bool:
        try:
            return urlopen(f"http://127.0.0.1:{environ['QIOSK_PORT']}/readyz", timeout=HANG_S).status == 200
        except OSError:
            return False

    assert not is_healthy()
    with serving(image, environ) as server:
        assert eventually(lambda: is_healthy() or server.poll() is not None), (image.root / "log").read_text()
        assert eventually(lambda: is_ready() or server.poll() is not None), (image.root / "log").read_text()
        assert server.poll() is None, (image.root / "log").read_text()
    assert server.returncode in (0, -15, 143)
    assert not is_healthy()
    assert not list(image.root.glob("opt/qiosk/**/__pycache__/*.nbi"))
