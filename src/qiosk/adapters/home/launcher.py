"""Starts the home's supervisor if jobs are waiting and none is running.

A supervisor that was just started needs a second or two to take the home's lock. Until then the lock looks free, so a
launcher starts no second one for ``LAUNCH_INTERVAL_S``; of two that were started by different processes, one gets the
lock and the other one exits. The supervisor is detached: it outlives the process that started it.
"""

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

from qiosk.adapters.home.home import Home, SupervisorLock
from qiosk.adapters.home.wakeup import wake
from qiosk.errors import SupervisorUnavailable

PROBE_INTERVAL_S = 0.1
"""Shortest time between two probes of the lock by ``ensure``."""
LAUNCH_INTERVAL_S = 5.0
"""How long a supervisor that was started may take to hold the lock before another one is started."""
MAX_LAUNCHES = 4
"""After so many supervisors in a row that never held the lock, an error is raised."""

STOP_PROBE_S = 0.02
"""How often ``stop`` probes the lock."""

# The shell starts the supervisor in the background and exits, so that the supervisor's parent is init: this process
# neither waits for it nor is left with a zombie.
_DETACH = '"$0" "$@" </dev/null >>"$QIOSK_SUPERVISOR_LOG" 2>&1 &'


@final
class SupervisorLauncher:
    """``Executor`` that runs jobs in one detached supervisor per home."""

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
        """Wake the supervisor, or start one. Raises SupervisorUnavailable if none could be started."""
        wake(self._home.wakeup_pipe)
        with self._guard:
            self._probe()

    def ensure(self) -> None:
        """As ``wake``, but does nothing if the lock was probed just now."""
        with self._guard:
            if time.monotonic() - self._probed_at >= PROBE_INTERVAL_S:
                self._probe()

    def stop(self, timeout_s: float) -> bool:
        """Stop the supervisor; its jobs are suspended and wait again. False if it still runs after ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        with self._guard:
            signalled: int | None = None
            while self._lock.is_held():
                holder = self._lock.holder()
                if holder is not None and holder != signalled:
                    signalled = holder
                    with suppress(ProcessLookupError):
                        os.kill(holder, signal.SIGTERM)
                if time.monotonic() >= deadline:
                    return False
                time.sleep(STOP_PROBE_S)
        return True

    def _probe(self) -> None:
        now = self._probed_at = time.monotonic()
        if self._lock.is_held():
            self._launches = 0
            self._launched_at = float("-inf")
            return
        if now - self._launched_at < LAUNCH_INTERVAL_S:
            return
        if self._launches == MAX_LAUNCHES:
            self._launches = 0
            raise SupervisorUnavailable(
                f"supervisor: {MAX_LAUNCHES} were started and none is running; see {self._home.log}"
            )
        self._launched_at = now
        self._launches += 1
        self._launch()

    def _launch(self) -> None:
        command = [sys.executable, "-P", "-m", "qiosk.supervisor"]
        command += ["--home", str(self._home.path)]
        if self._runner is not None:
            command += ["--runner", self._runner]
        environ = {**os.environ, **self._environ, "QIOSK_SUPERVISOR_LOG": str(self._home.log)}
        if search := environ.get("PYTHONPATH"):  # relative entries would mean other folders, since it runs in /
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
