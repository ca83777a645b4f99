"""Real servers for tests: ``qiosk serve`` in a process of its own, on the loopback."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from homes import close_home
from patience import HANG_S

RUN_BY = """
import sys
from functools import partial
import qiosk.bootstrap
qiosk.bootstrap.open_server = partial(qiosk.bootstrap.open_server, runner=sys.argv.pop(1))
from qiosk.cli import main
main()
"""
"""``qiosk``, whose server lets jobs be run by the function that the first argument names."""


class Served:
    """A server's process, and where it listens."""

    def __init__(self, process: subprocess.Popen[str], url: str, home: Path, log: Path) -> None:
        self.process = process
        self.home = home
        self.url = url
        self.log = log


@contextmanager
def served(
    home: Path,
    *options: str,
    port: int = 0,
    open_files: int | None = None,
    runner: str | None = None,
    release: Path | None = None,
    **settings: str,
) -> Iterator[Served]:
    """A server over a home; ``settings`` are variables without their prefix, ``open_files`` is how many it may have,
    ``runner`` is the dotted name of what runs jobs instead of the solvers, ``release`` the folder of another release's
    files that it is run from. Leaves no process behind.
    """
    home.mkdir(parents=True, exist_ok=True)
    names = {f"QIOSK_{name.upper()}": value for name, value in settings.items()}
    environ = {name: value for name, value in os.environ.items() if not name.startswith("QIOSK_")}
    environ |= {"QIOSK_IDLE_SECONDS": "5", "PYTHONUNBUFFERED": "1", **names}
    if release is not None:
        environ["PYTHONPATH"] = os.pathsep.join([str(release / "src"), str(release / "tests")])
    log = home.with_name(f"{home.name}-server.log")
    program = ["-m", "qiosk"] if runner is None else ["-c", RUN_BY, runner]
    command = [sys.executable, *program, "serve", "--home", str(home), "--port", str(port), *options]

    def limit() -> None:
        if open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

    with log.open("ab") as errors:
        process = subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=errors, text=True, preexec_fn=limit
        )
        try:
            yield Served(process, _url(process, log), home, log)
        finally:
            try:
                _stop(process)
            finally:
                close_home(home)


def certificate(folder: Path) -> tuple[Path, Path] | None:
    """A certificate of 127.0.0.1 that signs itself, and its key; None without openssl."""
    if shutil.which("openssl") is None:
        return None
    chain, key = folder / "server.pem", folder / "server.key"
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run([*new, *names, "-out", chain, "-keyout", key], check=True, capture_output=True)
    return chain, key


def _url(process: subprocess.Popen[str], log: Path) -> str:
    """Where the server says that it listens; what it says later is read and forgotten."""
    assert process.stdout is not None
    said: list[str] = []
    ready = threading.Event()

    def read() -> None:
        with suppress(ValueError):  # closed
            for line in process.stdout or ():
                said.append(line)
                if " at http" in line:
                    ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    assert ready.wait(HANG_S), f"the server does not say that it listens: {''.join(said)}"
    match = re.search(r" at (http\S+)", "".join(said))
    assert match, f"the server has left: {''.join(said)}{log.read_text()[-2000:]}"
    return match[1]


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(HANG_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()
