"""Starts a home's supervisor when there is work and nobody does it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import final

from qiosk.adapters.home.bell import ring
from qiosk.adapters.home.home import Home, SupervisorLock
from qiosk.errors import SupervisorUnavailable

PROBE_INTERVAL_S = 0.1
"""``ensure`` looks at the lock at most this often."""
LAUNCH_INTERVAL_S = 5.0
"""A supervisor that was just started has this long to take the lock before another one is started."""
MAX_LAUNCHES = 4
"""After so many supervisors in a row that never took the lock, the trouble is reported."""

STOP_PROBE_S = 0.02
"""How often ``stop`` looks whether the supervisor is gone."""

# The shell starts the supervisor in the background and ends, so that its parent is init: no zombie is left
# in this process, and nobody waits for it.
_DETACH = '"$0" "$@" </dev/null >>"$QIOSK_SUPERVISOR_LOG" 2>&1 &'


@final
class SupervisorLauncher:
    """``Executor`` that leaves the work to one detached process per home."""

    def __init__(self, home: Home, environ: Mapping[str, str], *, runner: str | None = None) -> None:
        self._home = home
        self._environ = dict(environ)
        self._runner = runner
        self._lock = SupervisorLock(home.lock)
        self._guard = threading.Lock()
        self._probed_at = float("-inf")
        self._launched_at = float("-inf")
        self._launches = 0

    def wake(self) -> None:
        """Wake the supervisor, or start one unless one lives. Raises SupervisorUnavailable if none could be started."""
        ring(self._home.bell)
        with self._guard:
            self._probe()

    def ensure(self) -> None:
        """As ``wake``, but nothing if that was done just now."""
        with self._guard:
            if time.monotonic() - self._probed_at >= PROBE_INTERVAL_S:
                self._probe()

    def stop(self, timeout_s: float) -> bool:
        """Tell the supervisor to go; its jobs wait again, with what they have saved. False if it still lives after
        ``timeout_s``.
        """
        deadline = time.monotonic() + timeout_s
        with self._guard:
            told: int | None = None
            while self._lock.is_held_by_anybody():
                holder = self._lock.holder()
                if holder is not None and holder != told:
                    told = holder
                    with suppress(ProcessLookupError):
                        os.kill(holder, signal.SIGTERM)
                if time.monotonic() >= deadline:
                    return False
                time.sleep(STOP_PROBE_S)
        return True

    def _probe(self) -> None:
        now = self._probed_at = time.monotonic()
        if self._lock.is_held_by_anybody():
            self._launches = 0
            self._launched_at = float("-inf")
            return
        if now - self._launched_at < LAUNCH_INTERVAL_S:
            return
        if self._launches == MAX_LAUNCHES:
            self._launches = 0
            raise SupervisorUnavailable(f"supervisor: {MAX_LAUNCHES} were started and none lives; see {self._home.log}")
        self._launched_at = now
        self._launches += 1
        self._launch()

    def _launch(self) -> None:
        command = [sys.executable, "-P", "-m", "qiosk.supervisor"]
        command += ["--home", str(self._home.path)]
        if self._runner is not None:
            command += ["--runner", self._runner]
        environ = {**os.environ, **self._environ, "QIOSK_SUPERVISOR_LOG": str(self._home.log)}
        if search := environ.get("PYTHONPATH"):  # relative entries mean another place from where it runs
            environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, search.split(os.pathsep)))
        try:
            subprocess.run(
                ["/bin/sh", "-c", _DETACH, *command],
                env=environ,
                cwd="/",
                start_new_session=True,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise SupervisorUnavailable(f"supervisor: cannot be started: {error}") from error
