"""``PYTHONPATH=tests python -m endurance [--jobs 2000] [--seed 1] [--short]``: everything fails, and no job is lost.

Faults come one after the other while jobs are in flight. At the end every accepted job must have reached exactly one
final state, and the right one; no results may be lost or wrong; and the history of every job must be a path through the
table of states. Exits with 1 and the histories of the jobs concerned if any of that is not so.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from endurance import checks, plan, report
from endurance.disks import enter_namespace
from endurance.hosts import remaining
from endurance.traffic import Traffic
from endurance.workload import planned_jobs
from endurance.world import Options, World, opened
from patience import HANG_S

GOOD = "every job reached exactly one final state, and no results are lost"


def main() -> int:
    given = _arguments().parse_args()
    given.executor = given.executor or ("both" if find_spec("ray") and not given.short else "local")
    enter_namespace(["-m", "endurance", *sys.argv[1:]])
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that nothing of the world stays
    print(f"seed {given.seed}: {given.jobs} jobs, {given.hosts} hosts, {given.storage}, {given.executor}", flush=True)
    options = Options(
        hosts=given.hosts,
        slots=given.slots,
        storage=given.storage,
        executor=given.executor,
        settings=dict(text.split("=", 1) for text in given.setting),
    )
    with tempfile.TemporaryDirectory(prefix="qiosk-endurance-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # the user of the database's server has a folder in it
        with opened(folder, options) as world:
            is_good = _run(world, given)
            if not is_good and given.keep is not None:
                world.keep_logs(given.keep)
    print(GOOD if is_good else f"it failed; the same again: --seed {given.seed} --jobs {given.jobs}")
    return 0 if is_good else 1


def _run(world: World, given: argparse.Namespace) -> bool:
    began, start = datetime.now(UTC), time.monotonic()
    traffic = Traffic(world, planned_jobs(given.seed))
    faults = plan.planned(world, given.fault, seed=given.seed, is_short=given.short, stretch=given.stretch)
    traffic.start()
    traffic.submit(given.jobs)
    brought = faults.run(world, traffic)
    wrong = _wait_for_all(world, traffic, start + given.within)
    took_s = time.monotonic() - start
    traffic.stop()
    found = checks.read(world)
    wrong += checks.faults_of(world, traffic, found)
    traffic.close()
    wrong += [("client", fault) for fault in traffic.faults]
    for host in world.hosts:
        host.stop()
    wrong += [("process", f"left behind: {process}") for process in remaining(world.mark)]
    print(*report.lines_of_faults(brought, began), sep="\n")
    print(*report.lines_of_counts(found, faults, took_s=took_s, refusals=traffic.refusals), sep="\n")
    print(*report.lines_of_wrong(wrong, found), sep="\n")
    return not wrong


def _is_busy(world: World, traffic: Traffic) -> bool:
    return not traffic.is_done() or plan.unfinished(world) != 0


def _wait_for_all(world: World, traffic: Traffic, deadline: float) -> list[tuple[str, str]]:
    """Wait until all jobs have ended; what is wrong if they have not."""
    while _is_busy(world, traffic):
        if time.monotonic() > deadline:
            return [("all", f"{plan.unfinished(world)} jobs have not ended, {len(traffic.accepted)} were accepted")]
        time.sleep(1.0)
    return []


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m endurance", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000, help="submitted at the start; each fault adds some")
    parser.add_argument("--seed", type=int, default=1, help="of the jobs, the faults and their order")
    parser.add_argument("--hosts", type=int, default=3, help="servers, each with a home")
    parser.add_argument("--slots", type=int, default=2, help="jobs that a host runs at once")
    parser.add_argument("--storage", choices=("s3", "folder"), default="s3")
    parser.add_argument(
        "--executor",
        choices=("local", "ray", "both"),
        help="where jobs run; both: on a Ray cluster those of the last host, which is the default where Ray is",
    )
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="of all hosts")
    parser.add_argument("--short", action="store_true", help="short faults only, each for a few seconds")
    parser.add_argument(
        "--fault", action="append", default=[], choices=list(plan.ALL_FAULTS), help="these only, in this order"
    )
    parser.add_argument("--stretch", type=float, default=1.0, help="how many times as long each fault lasts")
    parser.add_argument("--within", type=float, default=HANG_S, metavar="SECONDS", help="jobs that take longer hang")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the logs go if it fails")
    return parser


if __name__ == "__main__":
    sys.exit(main())
