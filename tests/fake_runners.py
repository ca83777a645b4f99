"""Job runners that do one thing each, found by name: the input blob says what."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from qiosk.contract.jobs import BoundPoint, JobProgress, TracePoint
from qiosk.contract.provenance import Provenance, environment
from qiosk.errors import InvalidValue
from qiosk.service.jobs.members import Merge, Part
from qiosk.service.jobs.runs import ChunkReport, JobSpec

CHUNK_S = 0.01


@dataclass(frozen=True)
class FakeResult:
    cost: float
    stop_reason: str
    trace: Sequence[TracePoint]
    document: dict
    covers_earlier_runs: bool = False
    bound: float | None = None

    @property
    def provenance(self) -> Provenance:
        return structs.replace(environment(), stop_reason=self.stop_reason)

    def receipt(self) -> bytes | None:
        return self.document.get("receipt", "").encode() or None

    def to_json(self) -> str:
        return json.dumps(self.document)

    def to_bytes(self) -> bytes:
        return json.dumps({"reason": self.stop_reason, **self.document}).encode()


@dataclass(frozen=True)
class FakeReport:
    progress: JobProgress
    new_trace: Sequence[TracePoint]
    chunk: int
    is_last: bool = False

    def best(self) -> bytes:
        return json.dumps({"cost": self.progress.best_cost}).encode()

    def checkpoint(self) -> bytes:
        return str(self.chunk).encode()

    def provenance(self) -> Provenance:
        return structs.replace(environment(), seed=self.chunk)


def run(
    spec: JobSpec,
    data: bytes,
    *,
    is_cancelled: Callable[[], bool],
    on_chunk: Callable[[ChunkReport], None],
    on_activity: Callable[[str], None],
    resume: bytes | None,
    found: Mapping[int, bytes],
) -> FakeResult:
    if isinstance(spec.part, Merge):
        return _merge(spec.part, found)
    order = json.loads(data)
    if isinstance(spec.part, Part):
        order |= order.get("members", {}).get(str(spec.part.index), {})
    if "log" in order:
        logging.getLogger("a_solver").warning(order["log"])
    if "activity" in order:
        on_activity(order["activity"])
        time.sleep(order["seconds"])
    if "do" in order:
        DEEDS[order["do"]](order)
    return _count(spec, order, is_cancelled, on_chunk, resume)


def _merge(part: Merge, found: Mapping[int, bytes]) -> FakeResult:
    """The best cost of all members, and what each has written."""
    parts = {index: json.loads(data) for index, data in found.items()}
    cost = min(part["cost"] for part in parts.values())
    reason = "cancelled" if part.was_cancelled else "finished"
    document = {"cost": cost, "members": parts}
    return FakeResult(cost, reason, [TracePoint(1.0, 1, cost)], document)


def _count(spec, order, is_cancelled, on_chunk, resume) -> FakeResult:
    """Count chunks of ``CHUNK_S`` up to ``chunks``; every one is a new best: -1, -2, ...

    It stops for the reason ``ends``, if there is one. If a file ``gate`` is named it does not end before that exists.
    """
    chunks = order.get("chunks", 0)
    first = int(resume) if resume else 0
    if "gate" in order:
        first = min(first, chunks - 1)  # the last chunk waits there
    points = [TracePoint(i * CHUNK_S, i, -float(i)) for i in range(1, first + 1)]
    unsaid = list(points)
    reason = "finished"
    done = first
    for done in range(first + 1, chunks + 1):
        time.sleep(CHUNK_S)
        if not order.get("is_deaf") and is_cancelled():
            reason = "cancelled"
            break
        point = TracePoint(done * CHUNK_S, done, -float(done))
        points.append(point)
        unsaid.append(point)
        progress = JobProgress(
            fraction=done / chunks,
            sweeps=done,
            best_cost=point.cost,
            seconds=point.seconds,
            bounds=tuple(BoundPoint(*each) for each in order.get("bounds", ())),
        )
        on_chunk(FakeReport(progress, tuple(unsaid), done))
        unsaid.clear()
        while done == chunks and "gate" in order and not (Path(order["gate"]).exists() or is_cancelled()):
            time.sleep(CHUNK_S)
            on_chunk(FakeReport(progress, (), done))
    reason = order.get("ends", reason)  # "timeout" or any other
    if reason in ("timeout", "cancelled") and done:
        progress = JobProgress(fraction=1.0, sweeps=done, best_cost=-float(done), seconds=done * CHUNK_S)
        on_chunk(FakeReport(progress, tuple(unsaid), done, is_last=True))
    document = {
        "cost": -float(done),
        "resumed": first,
        "fence": spec.fence,
        "pid": os.getpid(),
        "parent": os.getppid(),
        "threads": spec.threads,
    }
    document |= {name: order[name] for name in ("receipt",) if name in order}
    return FakeResult(-float(done), reason, points, document)


def _segfault(order) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _killed_once(order) -> None:
    """Die by SIGKILL unless the marker file exists, which is made on the way."""
    try:
        os.close(os.open(order["marker"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _short_once(order) -> None:
    """Meet a shortage of files unless the marker exists, which is made on the way."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(order["marker"], os.O_CREAT | os.O_EXCL))
        raise OSError(errno.EMFILE, "Too many open files")


def _killed_always(order) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_supervisor(order) -> None:
    """Kill the parent of our parent, the fork server; and go on, if that does not end us."""
    status = Path(f"/proc/{os.getppid()}/stat").read_text()
    os.kill(int(status.rpartition(")")[2].split()[1]), signal.SIGKILL)
    time.sleep(60)


def _allocate(order) -> None:
    bytearray(order["bytes"])


def _refuse(order) -> None:
    raise InvalidValue("parameter `x`: must be greater than 0, found -1")


def _bug(order) -> None:
    raise ZeroDivisionError("division by zero")


def _exit(order) -> None:
    sys.exit(3)


def _hang(order) -> None:
    while True:
        time.sleep(60)


DEEDS = {
    "segfault": _segfault,
    "killed_once": _killed_once,
    "short_once": _short_once,
    "killed_always": _killed_always,
    "kill_supervisor": _kill_supervisor,
    "allocate": _allocate,
    "refuse": _refuse,
    "bug": _bug,
    "exit": _exit,
    "hang": _hang,
}
