"""How long tests wait before they call something hung, on this machine and under its load.

No test asserts how long a thing takes. A limit of time in a test only ends what would never end, so there are two
of them for the whole suite, far longer than anything takes. Both grow with the slowness, which is measured once,
when the suite begins: the workers of pytest-xdist and all programs of the tests find it in their environment. Set
``QIOSK_TEST_SLOWNESS`` to choose it: 1 is a quiet core of the server that this file's numbers are from.

As a program: ``python tests/patience.py test`` prints about how long that target of the Makefile takes here.
"""

from __future__ import annotations

import os
import sys
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

VARIABLE = "QIOSK_TEST_SLOWNESS"

PROCESSOR_S = {"check": 170, "test": 2300}
"""Processor time of the targets of the Makefile on a core of that server, where kernels are compiled already [s]."""
MOST_PROCESSES = 8
"""Of pytest-xdist, as in the Makefile."""

CALIBRATION_S = 0.22
"""Processor time of a piece of ``_calibrate`` on a core of that server [s]."""


def cores() -> int:
    """Cores that this process may use, and the suite does."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_PROCESSES)


def _calibrate() -> None:
    """A piece of work on every core at once."""
    data = b"".join(b"%d," % (i * i * 7919 % 1_000_003) for i in range(300_000))
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda _: zlib.compress(data, 9), range(cores())))  # without the interpreter's lock


def measured_slowness(
    work: Callable[[], None] = _calibrate,
    wall: Callable[[], float] = time.perf_counter,
    processor: Callable[[], float] = time.process_time,
    load: Callable[[], float] = lambda: os.getloadavg()[0],
) -> float:
    """How many times longer than on a quiet core of the server something takes here; at least 1.

    A core that is slower needs more processor time. Other processes and a quota of the container take processor time
    away: this shows in the wall time of the calibration, and in the load of the last minute.
    """
    began, began_processor = wall(), processor()
    work()
    used = max((processor() - began_processor) / cores(), 1e-3)
    waits = max(1.0, (wall() - began) / used, load() / cores())
    return waits * max(1.0, used / CALIBRATION_S)


def slowness() -> float:
    """The slowness that the environment gives, else the measured one, which is put there."""
    if not os.environ.get(VARIABLE):
        os.environ[VARIABLE] = f"{measured_slowness():.2f}"
    return float(os.environ[VARIABLE])


SLOWNESS = slowness()
HANG_S = 600.0 * SLOWNESS
"""What does not come in this time does not come at all [s]."""
TEST_S = 4.0 * HANG_S
"""A test, which may wait several times, is ended after this time [s]."""


def eventually(is_so: Callable[[], bool]) -> bool:
    """Whether something gets true. It is looked up again and again, but most of the time is left to others."""
    deadline = time.monotonic() + HANG_S
    while True:
        began = time.monotonic()
        if is_so():
            return True
        if began > deadline:
            return False
        time.sleep(min(0.2, max(0.005, 4.0 * (time.monotonic() - began))))


def forecast(target: str) -> str:
    """About how long a target of the Makefile takes."""
    minutes = PROCESSOR_S[target] * SLOWNESS / cores() / 60
    return (
        f"make {target} takes about {minutes:.0f} min: {PROCESSOR_S[target]} s of processor time on {cores()} cores,"
        f" {SLOWNESS:.1f} times as slow as those that this was measured on; more if kernels have to be compiled"
    )


if __name__ == "__main__":
    print(forecast(sys.argv[1]), flush=True)
