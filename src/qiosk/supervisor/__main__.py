"""The supervisor's process: ``python -m qiosk.supervisor --home H``.

It runs until there has been no work for a while. There is one per home, because it holds the home's lock.

The database is imported while the fork server, started before, imports the solvers: hence imports inside functions.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qiosk.errors import ServiceUnavailable, StorageFull
from qiosk.supervisor.pauses import GrowingPause

if TYPE_CHECKING:
    from qiosk.bootstrap.stores import Stores
    from qiosk.bootstrap.supervised import SupervisedHome

MAX_LOG_BYTES = 1_000_000
"""Size above which the log is moved to a second file, whose former content is dropped."""

_CHECK_INTERVAL_S = 1.0
_LONGEST_PAUSE_S = 8.0  # between two tries to open the database

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Supervise a home in this process until it is idle, or a SIGTERM or SIGINT arrives; returns an exit status.

    Settings come from the environment; ``--home`` wins over it.
    """
    parser = argparse.ArgumentParser(prog="qiosk.supervisor", description=__doc__)
    parser.add_argument("--home", type=Path, help="folder of jobs and blobs")
    parser.add_argument("--runner", help="dotted name of the function that runs a job")
    parser.add_argument("--boot-lock", type=int, help="open file that is closed when the home's lock is taken")
    given = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(process)d %(levelname)s %(message)s"
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        supervise(given.home, given.runner, stop, boot_lock=given.boot_lock)
    except Exception:
        log.exception("the supervisor failed")
        return 1
    return 0


def supervise(
    home_path: Path | None, runner: str | None, stop: threading.Event, *, boot_lock: int | None = None
) -> None:
    """Hold the home's lock and run its jobs until it is idle or ``stop`` is set; nothing if another process does.

    ``boot_lock`` is an open file that shows others that this process is about to take the lock.
    """
    from qiosk.bootstrap.supervised import SupervisedHome
    from qiosk.settings import read_settings
    from qiosk.supervisor.executors import open_executor
    from qiosk.supervisor.processes.secret_variables import drop_secrets, take_database_password
    from qiosk.supervisor.temporary import provide_temporary_folder

    settings = take_database_password(read_settings(os.environ, home=home_path), os.environ)
    home = SupervisedHome(settings)
    drop_secrets(os.environ, home.storage_url)
    is_ours = home.lock.acquire()
    if boot_lock is not None:
        os.close(boot_lock)
    if not is_ours:
        log.info("another supervisor runs")
        return
    provide_temporary_folder(home.path)
    executor = open_executor(settings, home.storage_url, runner)  # loads solvers while this process loads the database

    from qiosk.supervisor.housekeeping import Housekeeping
    from qiosk.supervisor.supervisor import Supervisor

    watch = _Watch(home, stop)
    stores = _open_stores(home, watch)
    if stores is None:
        return
    supervisor = Supervisor(home, stores, settings, executor)
    housekeeping = Housekeeping(
        jobs=stores.jobs,
        sessions=stores.sessions,
        storage=stores.storage,
        checkpoint=stores.database.checkpoint,
        clock=stores.clock,
        retention=settings.retention,
    )
    log.info("supervising %s", home.path)
    try:
        with housekeeping:
            while True:
                supervisor.run(should_continue=partial(watch.should_step, supervisor.trouble))
                watch.beat()  # it has worked, however short it was
                # While a server runs the supervisor stays, so that a new job does not wait for its start.
                is_served = _is_served(home)  # before the release, since it takes up to PROBE_TIMEOUT_S
                home.lock.release()
                # A job that was submitted after the last poll, and before the release, found the lock taken.
                is_needed = is_served or supervisor.has_work()
                if stop.is_set() or not is_needed or not home.lock.acquire():
                    break
    finally:
        executor.close()
        stores.close()
    log.info("supervisor exits")


def _open_stores(home: SupervisedHome, watch: _Watch) -> Stores | None:
    """The home's stores, as soon as the database answers; None if the supervisor has to stop before."""
    pause = GrowingPause(_CHECK_INTERVAL_S, _LONGEST_PAUSE_S)
    while watch.should_continue():
        if not pause.is_on(time.monotonic()):
            try:
                return home.open_stores()
            except (ServiceUnavailable, StorageFull) as error:
                log.warning("trying again in %g s: %s", pause.note_failure(time.monotonic()), error)
        time.sleep(_CHECK_INTERVAL_S)
    return None


def _is_served(home: SupervisedHome) -> bool:
    try:
        return home.is_served()
    except OSError as error:  # such as too many open files
        log.warning("it is unknown whether a server runs: %s", error)
        return True


class _Watch:
    """Checks, once a second, the size of the log, whether the home still exists, and whether it asks to stop.

    The home's heart beats once a second, too, from the end of the supervisor's first step on.
    """

    def __init__(self, home: SupervisedHome, stop: threading.Event) -> None:
        self._home = home
        self._stop = stop
        self._check_at = 0.0
        self._has_stepped = False
        self._beat_at = 0.0

    def beat(self, trouble: str = "") -> None:
        """Let the home's heart beat."""
        try:
            self._home.heartbeat.beat(trouble)
        except OSError as error:
            log.warning("no heartbeat: %s", error)

    def should_step(self, trouble: Callable[[], str]) -> bool:
        """``should_continue``, asked before each step of the supervisor, whose ``trouble`` the heartbeat shows."""
        now = time.monotonic()
        if self._has_stepped and now >= self._beat_at:
            self._beat_at = now + _CHECK_INTERVAL_S
            self.beat(trouble())
        self._has_stepped = True
        return self.should_continue()

    def should_continue(self) -> bool:
        """False after a signal, or when the home was removed."""
        now = time.monotonic()
        if now >= self._check_at:
            self._check_at = now + _CHECK_INTERVAL_S
            rotate_log(self._home.log, MAX_LOG_BYTES)
            if not self._home.lock.is_still_ours():
                log.warning("the home was removed")
                self._stop.set()
            elif self._home.stop_request.is_for(self._home.lock.token):
                log.info("asked to stop through the home")
                self._stop.set()
                self._home.stop_request.clear()
        return not self._stop.is_set()


def rotate_log(path: Path, max_bytes: int) -> None:
    """Move a log's content to ``.1`` if it is larger than ``max_bytes``; processes that append to the log may go on.

    If the disk has no room for that the content is dropped: the log's size stays bounded.
    """
    try:
        if not path.exists() or path.stat().st_size <= max_bytes:
            return
        try:
            shutil.copyfile(path, path.with_name(path.name + ".1"))
        finally:
            os.truncate(path, 0)
    except OSError as error:
        log.warning("the log was not rotated: %s", error)


if __name__ == "__main__":
    sys.exit(main())
