"""The supervisor's process: ``python -m qiosk.supervisor --home H``.

It works while there is work, stays a while, and goes. There is one per home, because it holds the home's lock.

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

from qiosk.errors import ServiceUnavailable

if TYPE_CHECKING:
    from qiosk.bootstrap.stores import Stores
    from qiosk.bootstrap.supervised import SupervisedHome

MAX_LOG_BYTES = 1_000_000
"""Size from which on the log is moved aside; what was aside before is dropped."""

_LOOK_S = 1.0

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Supervise a home in this process, until it is idle or a SIGTERM or SIGINT comes; returns an exit status.

    Settings come from the environment, ``--home`` wins over it.
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
    """Hold the home's lock and run its jobs until it is idle or ``stop`` is set; at once if somebody else does."""
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
                supervisor.run(may_go_on=watch.may_go_on)
                # As long as a server lives it is worth staying: a job that comes then does not wait for a start.
                is_served = home.is_served()  # which takes its time, so that nobody is missed meanwhile
                home.lock.release()
                # A job that came after the last look, and before the release, found the lock taken and left it to us.
                is_needed = is_served or supervisor.has_work()
                if stop.is_set() or not is_needed or not home.lock.acquire():
                    break
    finally:
        stores.close()
    log.info("the supervisor goes")


def _open_stores(home: SupervisedHome, watch: _Watch) -> Stores | None:
    """The home's stores, as soon as the database answers; None if there is no need for them any more."""
    while watch.may_go_on():
        try:
            return home.open_stores()
        except ServiceUnavailable as error:
            log.warning("trying again in %g s: %s", _LOOK_S, error)
            time.sleep(_LOOK_S)
    return None


class _Watch:
    """Looks now and then at what lies outside the jobs: the log's size, and whether the home is still there."""

    def __init__(self, log_path: Path, is_home_there: Callable[[], bool], stop: threading.Event) -> None:
        self._log_path = log_path
        self._is_home_there = is_home_there
        self._stop = stop
        self._look_at = 0.0

    def may_go_on(self) -> bool:
        """False once a signal came or the home was removed."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            bound_log(self._log_path, MAX_LOG_BYTES)
            if not self._is_home_there():
                log.warning("the home is gone")
                self._stop.set()
        return not self._stop.is_set()


def bound_log(path: Path, max_bytes: int) -> None:
    """Move a log's content aside once it is larger than ``max_bytes``; its writers append and notice nothing.

    What the disk has no room for is dropped: the log is bounded all the same.
    """
    try:
        if not path.exists() or path.stat().st_size <= max_bytes:
            return
        try:
            shutil.copyfile(path, path.with_name(path.name + ".1"))
        finally:
            os.truncate(path, 0)
    except OSError as error:
        log.warning("the log was not moved aside: %s", error)


if __name__ == "__main__":
    sys.exit(main())
