"""``python -m benchmarks.scale.starts [--executor ray --address HOST:PORT] [--runs 30]``.

How long a run takes to begin, one after the other: from the call of the executor until its process lives, until its
solver is called, and until it has ended. The first run is not counted: it waits for solvers that are being loaded.

With ``--executor ray`` the cluster is one that runs, whose token is in the environment.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from statistics import median, quantiles

from benchmarks.scale.places import LOCAL
from benchmarks.scale.runners import SLEEPING
from qiosk.adapters.blobs.local import LocalStorage
from qiosk.service.jobs.job import BlobRef
from qiosk.service.jobs.runs import Begun, JobSpec
from qiosk.settings import Settings
from qiosk.supervisor.executor import Executor
from qiosk.supervisor.executors import open_executor

POLL_S = 0.02
"""As long as a supervisor sleeps at most."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executor", default=LOCAL, choices=[LOCAL, "ray"])
    parser.add_argument("--address", default="auto", help="of the Ray cluster")
    parser.add_argument("--runs", type=int, default=30)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qiosk-starts-") as folder:
        settings = Settings(home=Path(folder), executor=given.executor, ray_address=given.address, threads=1)
        executor = open_executor(settings, Path(folder).as_uri(), SLEEPING)
        LocalStorage(Path(folder)).blobs("w").put(BlobRef("c", "inputData"), b'{"seconds": 0}')
        try:
            times = [one_run(executor, number) for number in range(given.runs + 1)][1:]
        finally:
            executor.close()
    print(f"{given.executor}, {given.runs} runs, ms: median, and 95 of 100 are faster than")
    for which, name in enumerate(("its process lives", "its solver is called", "it has ended")):
        column = [each[which] for each in times]
        print(f"  {name:22s} {1e3 * median(column):7.1f} {1e3 * quantiles(column, n=20)[-1]:7.1f}")


def one_run(executor: Executor, number: int) -> tuple[float, float, float]:
    """Seconds from the start of a run until its process lived, its solver was called, and it had ended."""
    until(lambda: not executor.trouble(), executor.wait_on)
    spec = JobSpec(
        workspace="w",
        id=f"run-{number}",
        fence=1,
        container="c",
        input=BlobRef("c", "inputData"),
        target="t",
        input_params=None,
        input_data_format="",
        output_data_format="",
        threads=1,
    )
    began = time.perf_counter()
    run = executor.start(spec)
    times: list[float] = []

    def look() -> bool:
        has_ended = run.has_ended()
        if not run.is_starting and not times:
            times.append(time.perf_counter() - began)
        if Begun() in run.messages():
            times.append(time.perf_counter() - began)
        return has_ended and run.end() is not None

    until(look, lambda: [*executor.wait_on(), *run.wait_on()])
    if len(times) != 2:
        raise SystemExit(f"the run did not begin: {run.end()}, {run.start_error}")
    run.close()
    return times[0], times[1], time.perf_counter() - began


def until(is_so: Callable[[], bool], sources: Callable[[], list]) -> None:
    """Look again whenever there may be news, as a supervisor does."""
    while not is_so():
        found = sources()
        if found:
            wait(found, POLL_S)
        else:
            time.sleep(POLL_S)


if __name__ == "__main__":
    main()
