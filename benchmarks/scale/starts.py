"""``python -m benchmarks.scale.starts [--executor ray] [--address HOST:PORT] [--runs 30]``.

How long a run takes to begin, one after the other: from the call of the executor until its process lives, until its
solver is called, and until it has ended. The first run is not counted: it waits for solvers that are being loaded.

With ``--executor ray`` and no address the cluster is one of this machine, begun for that. The token of another one has
to be in the environment.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from multiprocessing.connection import wait
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.scale.clusters import a_cluster
from benchmarks.scale.places import LOCAL, settings_of
from benchmarks.scale.runners import SLEEPING
from qiosk.adapters.blobs.local import LocalStorage
from qiosk.contract.jobs import QIO_INPUT_FORMAT, QIO_OUTPUT_FORMAT
from qiosk.service.jobs.job import BlobRef
from qiosk.service.jobs.runs import Begun, JobSpec
from qiosk.supervisor.executor import Executor
from qiosk.supervisor.executors import open_executor

POLL_S = 0.02
"""As long as a supervisor sleeps at most."""
LOADING_S = 3.0
"""How long a fork server is given to load the solvers."""
CPUS = 4


@dataclass(frozen=True)
class Run:
    """Seconds from the start of a run until its process lived, its solver was called, and the run had ended."""

    lives: float
    begun: float
    over: float


NAMES = ("its process lives", "its solver is called", "it has ended")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executor", default=LOCAL, choices=[LOCAL, "ray"])
    parser.add_argument("--address", help="of a Ray cluster that runs")
    parser.add_argument("--runs", type=int, default=30)
    given = parser.parse_args()
    with ExitStack() as stack:
        if given.executor != LOCAL:
            os.environ["QIOSK_RAY_ADDRESS"] = stack.enter_context(a_cluster(given.address, [CPUS]))
        start = stack.enter_context(an_executor(given.executor, SLEEPING, b'{"seconds": 0}'))
        times = [start() for _ in range(given.runs)]
    print(f"{given.executor}, {given.runs} runs, ms: median, 95 of 100 are faster than, longest")
    for name, column in zip(NAMES, zip(*map(astuple, times), strict=True), strict=True):
        p95 = quantiles(column, n=20)[-1]
        print(f"  {name:22s} {1e3 * median(column):7.1f} {1e3 * p95:7.1f} {1e3 * max(column):7.1f}")


@contextmanager
def an_executor(executor: str, runner: str, data: bytes, **members: Any) -> Iterator[Callable[[], Run]]:
    """A function that runs a job with such an input and such members of its ``JobSpec``; one has run already."""
    with tempfile.TemporaryDirectory(prefix="qiosk-starts-") as folder:
        settings = settings_of(Path(folder), "", executor=executor)
        opened = open_executor(settings, Path(folder).as_uri(), runner)
        blobs, count = LocalStorage(Path(folder)).blobs("w"), 0

        def start() -> Run:
            nonlocal count
            count += 1
            blobs.put(BlobRef(f"c{count}", "inputData"), data)
            return one_run(opened, _spec(count, members))

        try:
            time.sleep(LOADING_S)
            start()
            yield start
        finally:
            opened.close()


def _spec(number: int, members: dict[str, Any]) -> JobSpec:
    container = f"c{number}"
    common = {
        "target": "t",
        "input_params": None,
        "input_data_format": QIO_INPUT_FORMAT,
        "output_data_format": QIO_OUTPUT_FORMAT,
        "input": BlobRef(container, "inputData"),
        "threads": 1,
    }
    return JobSpec(workspace="w", id=f"run-{number}", fence=1, container=container, **{**common, **members})


def one_run(executor: Executor, spec: JobSpec) -> Run:
    """Run a job. Raises SystemExit if it does not begin."""
    until(lambda: not executor.trouble(), executor.wait_on)
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
    return Run(times[0], times[1], time.perf_counter() - began)


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
