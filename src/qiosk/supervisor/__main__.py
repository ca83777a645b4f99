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
from pathlib import Path
from typing import TYPE_CHECKING

from qiosk.errors import ServiceUnavailable, StorageFull

if TYPE_CHECKING:
    from qiosk.bootstrap.stores import Stores
    from qiosk.bootstrap.supervised import SupervisedHome

MAX_LOG_BYTES = 1_000_000
"""Size above which the log is moved to a second file, whose former content is dropped."""

_CHECK_INTERVAL_S = 1.0

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Supervise a home in this process until it is idle, or a SIGTERM or SIGINT arrives; returns an exit status.

    Settings come from the environment; ``--home`` wins over it.
    """
    parser = argparse.ArgumentParser(prog="qiosk.supervisor", description=__doc__)
    parser.add_argument("--home", type=Path, help="folder of jobs and blobs")
    parser.add_argument("--runner", help="dotted name of the function that runs a job")
    given = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(process)d %(levelname)s %(message)s"
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        supervise(given.home, given.runner, stop)
    except Exception:
        log.exception("the supervisor failed")
        return 1
    return 0


def supervise(home_path: Path | None, runner: str | None, stop: threading.Event) -> None:
    """Hold the home's lock and run its jobs until it is idle or ``stop`` is set; nothing if another process does."""
    from qiosk.bootstrap.supervised import SupervisedHome
    from qiosk.settings import read_settings
    from qiosk.supervisor.job_process import SOLVER_RUNNER, warm_context

    settings = read_settings(os.environ, home=home_path)
    home = SupervisedHome(settings)
    if not home.lock.acquire():
        log.info("another supervisor runs")
        return
    chosen = runner or SOLVER_RUNNER
    context = warm_context(chosen)  # loads solvers while this process loads the database

    from qiosk.supervisor.housekeeping import Housekeeping
    from qiosk.supervisor.supervisor import Supervisor

    watch = _Watch(home.log, home.lock.is_still_ours, stop)
    stores = _open_stores(home, watch)
    if stores is None:
        return
    supervisor = Supervisor(home, stores, settings, context, runner=chosen)
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
                supervisor.run(should_continue=watch.should_continue)
                # While a server runs the supervisor stays, so that a new job does not wait for its start.
                is_served = home.is_served()  # before the release, since it takes up to PROBE_TIMEOUT_S
                home.lock.release()
                # A job that was submitted after the last poll, and before the release, found the lock taken.
                is_needed = is_served or supervisor.has_work()
                if stop.is_set() or not is_needed or not home.lock.acquire():
                    break
    finally:
        stores.close()
    log.info("supervisor exits")


def _open_stores(home: SupervisedHome, watch: _Watch) -> Stores | None:
    """The home's stores, as soon as the database answers; None if the supervisor has to stop before."""
    while watch.should_continue():
        try:
            return home.open_stores()
        except (ServiceUnavailable, StorageFull) as error:
            log.warning("trying again in %g s: %s", _CHECK_INTERVAL_S, error)
            time.sleep(_CHECK_INTERVAL_S)
    return None


class _Watch:
    """Checks, once a second, the size of the log and whether the home still exists."""

    def __init__(self, log_path: Path, does_home_exist: Callable[[], bool], stop: threading.Event) -> None:
        self._log_path = log_path
        self._does_home_exist = does_home_exist
        self._stop = stop
        self._check_at = 0.0

    def should_continue(self) -> bool:
        """False after a signal, or when the home was removed."""
        now = time.monotonic()
        if now >= self._check_at:
            self._check_at = now + _CHECK_INTERVAL_S
            rotate_log(self._log_path, MAX_LOG_BYTES)
            if not self._does_home_exist():
                log.warning("the home was removed")
                self._stop.set()
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
