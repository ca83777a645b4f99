"""Starts the home's supervisor if jobs are waiting and none is running.

A supervisor that was just started needs a second or two to take the home's lock. Until then the lock looks free, so a
launcher starts no second one for ``LAUNCH_INTERVAL_S``; of two that were started by different processes, one gets the
lock and the other one exits. The supervisor is detached: it outlives the process that started it.

A supervisor has come up when its heart has beaten. One that was started and is gone without a beat counts as a death,
whether it held the lock or not. After ``MAX_LAUNCHES`` deaths in a row callers get the reason; further ones are started
all the same, because the reason may go away.

A supervisor that holds the lock and whose heart does not beat was perhaps stopped by a signal (SIGSTOP): after
``STALL_S`` it is told to go on. If its heart has not beaten after ``HOPELESS_S`` callers get the reason.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import final

from qiosk.adapters.home.heartbeat import Heartbeat
from qiosk.adapters.home.holder import is_stopped, send
from qiosk.adapters.home.home import Home, StopRequest, SupervisorLock, close_lock, is_locked, share_lock
from qiosk.adapters.home.wakeup import wake
from qiosk.errors import SupervisorUnavailable
from qiosk.forks import PerProcess

PROBE_INTERVAL_S = 0.1
"""Shortest time between two probes of the lock by ``ensure``."""
LAUNCH_INTERVAL_S = 5.0
"""How long a supervisor that was started may take to hold the lock before another one is started."""
MAX_LAUNCHES = 4
"""After so many supervisors in a row that did not come up, an error is raised."""
UNREADY_DEATHS = 2
"""After so many, a server is not ready."""
STALL_S = 5.0
"""A supervisor whose heart, which beats once a second, has not beaten for so long does not work: no server is ready."""
REVIVE_S = 10.0
"""After so long it is told to go on, in case that a signal has stopped it."""
HOPELESS_S = 60.0
"""After so long without a beat, callers do not wait for it any longer."""

STOP_PROBE_S = 0.02
"""How often ``stop`` probes the lock."""
KILL_S = 5.0
"""How long ``stop`` waits for a supervisor that it has killed."""

_SEE = "; see "  # what follows it in a message is for those who may read the log
_SHORTAGES = {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT}

# The shell starts the supervisor in the background and exits, so that the supervisor's parent is init: this process
# neither waits for it nor is left with a zombie.
_DETACH = 'umask 077; "$0" "$@" </dev/null >>"$QIOSK_SUPERVISOR_LOG" 2>&1 &'

log = logging.getLogger(__name__)


@final
class SupervisorLauncher:
    """``Executor`` that runs jobs in one detached supervisor per home."""

    def __init__(
        self,
        home: Home,
        environ: Mapping[str, str],
        *,
        is_secret: Callable[[str], bool] = lambda _: False,
        runner: str | None = None,
    ) -> None:
        """``environ`` is added to the environment, whose variables that are secret the supervisor does not inherit."""
        self._home = home
        self._environ = dict(environ)
        self._runner = runner
        self._is_secret = is_secret
        self._lock = SupervisorLock(home.lock)
        self._heartbeat = Heartbeat(home.heartbeat)
        self._guard = PerProcess(threading.Lock)
        self._probed_at = float("-inf")
        self._launched_at = float("-inf")
        self._pulse_at_launch = self._heartbeat.pulse()
        self._log_size_at_launch = 0
        self._has_launched = False
        self._is_stopping = False
        self._is_revived = False
        self._deaths = 0

    def wake(self) -> None:
        """Wake the supervisor, or start one.

        Raises SupervisorUnavailable if none could be started, or the one that there is has not moved for long.
        """
        wake(self._home.wakeup_pipe)
        with self._guard.get():
            self._probe()

    def ensure(self) -> None:
        """As ``wake``, but does nothing if the lock was probed just now."""
        with self._guard.get():
            if time.monotonic() - self._probed_at >= PROBE_INTERVAL_S:
                self._probe()

    def check(self) -> None:
        """As ``wake``; raises SupervisorUnavailable also if the supervisor does not move, or can start no jobs.

        The message contains nothing of the log, since a server shows it to all that ask; its cause does.
        """
        try:
            self.wake()
            with self._guard.get():
                self._check()
        except SupervisorUnavailable as error:
            raise SupervisorUnavailable(error.message.partition(_SEE)[0]) from error

    def _check(self) -> None:
        if self._deaths >= UNREADY_DEATHS:
            raise SupervisorUnavailable(self._obituary())
        if not self._lock.is_held():
            return
        if (still_s := self._still_s()) >= STALL_S:
            holder = self._lock.described_holder()
            is_told = holder is not None and is_stopped(holder)
            cause = "a signal (SIGSTOP) has stopped it" if is_told else "it hangs, or a signal (SIGSTOP) has stopped it"
            raise SupervisorUnavailable(f"supervisor: has not moved for {still_s:.0f} s; {cause}")
        if trouble := self._heartbeat.trouble():
            raise SupervisorUnavailable(f"supervisor: {trouble}")

    def revive(self) -> None:
        """Let a supervisor go on that was stopped by a signal; one that runs does not notice."""
        holder = self._lock.described_holder() if self._lock.is_held() else None
        if holder is not None:
            send(holder, signal.SIGCONT)

    def stop(self, timeout_s: float) -> bool:
        """Stop the supervisor, and start none any more; its jobs are suspended and wait again.

        One that still runs after ``timeout_s`` is killed if it does not move. False if it runs on.
        """
        deadline = time.monotonic() + timeout_s
        with self._guard.get():
            self._is_stopping = True
            asked: str | None = None
            while self._lock.is_held() or self._is_booting():
                holder = self._lock.described_holder() if self._lock.is_held() else None
                if holder is not None and holder.token != asked:
                    asked = holder.token
                    if not send(holder, signal.SIGTERM, signal.SIGCONT):
                        StopRequest(self._home.stop_request).make(holder.token)
                        wake(self._home.wakeup_pipe)
                still_s = self._still_s()
                if time.monotonic() >= deadline:
                    return still_s >= REVIVE_S and self._kill()
                time.sleep(STOP_PROBE_S)
        return True

    def _still_s(self) -> float:
        """For how long the heart of the supervisor that holds the lock has been seen not to beat."""
        holder = self._lock.described_holder()
        return self._heartbeat.still_s("" if holder is None else holder.token)

    def _is_booting(self) -> bool:
        """Whether a process runs that was started as supervisor, and neither holds the lock nor has given up."""
        return is_locked(self._home.boot_lock, fcntl.LOCK_EX)

    def _kill(self) -> bool:
        holder = self._lock.described_holder()
        if holder is None or not send(holder, signal.SIGKILL):
            return False
        log.warning("the supervisor did not move and was killed: process %d", holder.pid)
        deadline = time.monotonic() + KILL_S
        while self._lock.is_held():
            if time.monotonic() >= deadline:
                return False
            time.sleep(STOP_PROBE_S)
        return True

    def _probe(self) -> None:
        if self._is_stopping:
            return
        now = self._probed_at = time.monotonic()
        try:
            is_held = self._lock.is_held()
            has_come_up = self._heartbeat.pulse() != self._pulse_at_launch
        except OSError as error:  # the home was removed, or cannot be written to
            raise SupervisorUnavailable(f"supervisor: {error}") from error
        if has_come_up:
            self._has_launched = False
            self._deaths = 0
        if is_held:
            self._launched_at = float("-inf")
            self._look_after(self._still_s())
        elif now - self._launched_at >= LAUNCH_INTERVAL_S:
            self._deaths += self._has_launched
            self._launched_at = now
            self._launch()
        if self._deaths >= MAX_LAUNCHES:
            raise SupervisorUnavailable(self._obituary())

    def _look_after(self, still_s: float) -> None:
        """Let a supervisor go on that has not moved for ``still_s``; SupervisorUnavailable if that is too long."""
        if still_s < REVIVE_S:
            self._is_revived = False
        elif not self._is_revived:
            log.warning("the supervisor has not moved for %.0f s and is told to go on", still_s)
            self._is_revived = True
            self.revive()
        if still_s >= HOPELESS_S:
            raise SupervisorUnavailable(
                f"supervisor: process {self._lock.holder()} has not moved for {still_s:.0f} s; jobs go on when it"
                f" moves, or is killed and started again{_SEE}{self._home.log}"
            )

    def _obituary(self) -> str:
        """What callers are told of supervisors that did not come up; the last line of the log says why."""
        try:
            with self._home.log.open("rb") as file:
                file.seek(min(self._log_size_at_launch, file.seek(0, os.SEEK_END)))
                lines = file.read().decode(errors="replace").split("\n")
        except OSError:
            lines = []
        reason = next((f": {line.strip()}" for line in reversed(lines) if line.strip()), "")
        return f"supervisor: {self._deaths} were started and none is running{_SEE}{self._home.log}{reason}"

    def _launch(self) -> None:
        command = [sys.executable, "-P", "-m", "qiosk.supervisor"]
        command += ["--home", str(self._home.path)]
        if self._runner is not None:
            command += ["--runner", self._runner]
        inherited = {name: value for name, value in os.environ.items() if not self._is_secret(name)}
        environ = {**inherited, **self._environ, "QIOSK_SUPERVISOR_LOG": str(self._home.log)}
        # Relative entries would mean other folders, since it runs in /.
        search = [os.path.abspath(entry) for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
        environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*search, *_package_folders()]))
        self._pulse_at_launch = self._heartbeat.pulse()
        if self._deaths == 0:
            self._log_size_at_launch = _size(self._home.log)
        self._has_launched = True
        try:
            boot_lock = share_lock(self._home.boot_lock)
            try:
                subprocess.run(
                    ["/bin/sh", "-c", _DETACH, *command, "--boot-lock", str(boot_lock)],
                    env=environ,
                    cwd="/",
                    start_new_session=True,
                    check=True,
                    pass_fds=(boot_lock,),
                )
            finally:
                close_lock(boot_lock)
        except (OSError, subprocess.CalledProcessError) as error:
            if isinstance(error, OSError) and error.errno in _SHORTAGES and self._deaths < MAX_LAUNCHES:
                log.warning("the supervisor cannot be started now: %s", error)
                return  # it is tried again, and counts as one that did not come up
            raise SupervisorUnavailable(f"supervisor: cannot be started: {error}") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _package_folders() -> list[str]:
    """The folders of the packages that a supervisor needs: a program may find them through ``sys.path`` alone."""
    specs = (find_spec(package) for package in ("qiosk", "msgspec", "numpy", "numba", "sqlalchemy"))
    return [str(Path(spec.origin).absolute().parents[1]) for spec in specs if spec is not None and spec.origin]
