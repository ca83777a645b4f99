"""The recipe for a Ray cluster under Slurm, run by bash with Slurm's variables and stand-ins for its commands."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from deployed import DEPLOY
from patience import HANG_S, eventually
from qiosk import Problem, Workspace
from qiosk.client.solvers import Tabu
from qiosk.optimization import Term
from ray_clusters import HOST, OBJECT_STORE_BYTES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs loopback addresses of Linux"),
]
BIN = Path(sys.executable).parent
KEY = "a-key-of-this-test-only"
NAMES = {"subscription_id": "sub", "resource_group": "group", "name": "cluster"}
COMMANDS = {
    "scontrol": 'echo "$3" | tr , "\\n"',  # show hostnames LIST
    "srun": 'while [ "${1#--}" != "$1" ]; do echo "$1" >>"$SRUN_LOG"; shift; done\nexec "$@"',
}
"""What stands for Slurm's commands: all nodes are this machine."""


class Recipe:
    """The recipe while it runs, for two nodes of two CPUs each."""

    def __init__(self, folder: Path, **changes: str) -> None:
        self.folder = folder
        self.port, self.head_port = free_port("127.0.0.1"), free_port(HOST)
        for name in ("bin", "disk", "blobs"):
            (folder / name).mkdir()
        for name, text in COMMANDS.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / "bin" / name).chmod(0o755)
        foreign = ("QIOSK_", "RAY_")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        environ |= {
            "PATH": f"{folder / 'bin'}:{BIN}:{environ['PATH']}",
            "SRUN_LOG": str(folder / "srun"),
            "SLURM_JOB_ID": "4711",
            "SLURM_JOB_NODELIST": "first,second",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "2",
            "SLURM_TMPDIR": str(folder / "disk"),
            "HEAD_IP": HOST,
            "HEAD_PORT": str(self.head_port),
            "RAY_OPTIONS": f"--node-ip-address={HOST} --object-store-memory={OBJECT_STORE_BYTES}",
            "QIOSK_PORT": str(self.port),
            "QIOSK_ADMIN_KEY": KEY,
            "QIOSK_DATABASE": f"sqlite:///{folder / 'jobs.db'}",
            "QIOSK_STORAGE": (folder / "blobs").as_uri(),
        }
        self.environ = {name: value for name, value in (environ | changes).items() if value}
        self.command = ["bash", str(DEPLOY / "slurm" / "cluster.sbatch")]

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """The recipe's process; nothing of it remains."""
        with self.log.open("ab") as log:
            recipe = subprocess.Popen(
                self.command, env=self.environ, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield recipe
        finally:
            for process in [*psutil.Process(recipe.pid).children(recursive=True)] if recipe.poll() is None else []:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            recipe.kill()
            recipe.wait(HANG_S)

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.folder / "log"

    def is_ready(self) -> bool:
        """Whether the server takes jobs."""
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=HANG_S).status_code == 200
        return False


def free_port(host: str) -> int:
    with socket.socket() as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])


@pytest.mark.long
def test_the_server_runs_jobs_on_the_nodes_and_all_ends_with_the_slurm_job(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    recipe = Recipe(tmp_path)
    with recipe.running() as process:
        assert eventually(lambda: recipe.is_ready() or process.poll() is not None), recipe.log.read_text()
        assert process.poll() is None, recipe.log.read_text()
        workspace = Workspace(f"http://127.0.0.1:{recipe.port}", api_key=KEY, **NAMES)
        problem = Problem("ring", [Term(c=1.0, indices=[n, (n + 1) % 6]) for n in range(6)])
        job = Tabu(workspace, sweeps=2).submit(problem)
        assert job.get_results(timeout_secs=int(HANG_S))["solutions"][0]["cost"] == -6
        place = rf"attempt 1 runs as process \d+ on {socket.gethostname()}"
        assert any(re.search(place, line.text) for line in job.logs())
        inside = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, signal.SIGTERM)  # to the batch shell alone, as --signal=B: says
        assert process.wait(HANG_S) == 143
        _, alive = psutil.wait_procs(inside, HANG_S)
        assert not alive, alive
    assert not list((tmp_path / "disk").iterdir())
    assert (tmp_path / "srun").read_text().split() == [
        "--nodes=1", "--ntasks=1", "--exclude=first", "--cpus-per-task=2",
    ]  # fmt: skip


def test_without_a_key_nothing_is_started(tmp_path: Path) -> None:
    recipe = Recipe(tmp_path, QIOSK_ADMIN_KEY="")
    done = subprocess.run(
        recipe.command, env=recipe.environ, capture_output=True, text=True, timeout=HANG_S, check=False
    )
    assert (done.returncode, "QIOSK_ADMIN_KEY: set it to a secret" in done.stderr) == (1, True)
    assert not list((tmp_path / "disk").iterdir())
