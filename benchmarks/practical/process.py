"""A solver in a process of its own, so that its memory, its threads and what it leaves behind touch no other one.

The process sets the solver up for a problem, says that it is ready, and then runs one task after the other. It is
killed when that takes much longer than it was given, or when it dies; what was not run then has a note instead.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.practical.finder import Finder
from benchmarks.practical.problems.practical_problem import PracticalProblem
from qiosk.supervisor.processes.process_limits import die_with_parent, limit_memory

# Read by libraries when they are loaded: solvers have a parameter for it, but what they call may not.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
# Notes: what ended a solver.
SET_UP, STOPPED, MEMORY, FAILED = "too slow to set up", "stopped", "out of memory", "failed"

SetUp = Callable[[PracticalProblem[Any]], Finder]


@dataclass(frozen=True)
class Task:
    """A run of ``seconds``: until a cost, infinite for any feasible answer; None is as low as can be, all the time."""

    seconds: float
    until: float | None


@dataclass(frozen=True)
class Limits:
    """What a solver may take: seconds to set itself up; seconds beyond those a run was given; and bytes of memory."""

    set_up: float = 120.0
    beyond: float = 30.0
    memory: int = 0  # beyond what Python has; 0 is no limit


@dataclass(frozen=True)
class Outcome:
    """A run: the best cost of a feasible answer; when it was found [s], or how long was looked; processor time [s].

    ``share`` is the processor time divided by the time that the run took; ``note`` what ended it before its end.
    """

    cost: float | None
    wall: float
    cpu: float
    note: str = ""
    share: float | None = None


def outcomes(
    problem: PracticalProblem[Any], set_up: SetUp, tasks: Sequence[Task], seed: int, limits: Limits
) -> Iterator[Outcome]:
    """One for each task, as soon as it is known."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, problem, set_up, tasks, seed, limits.memory), daemon=True)
    with _environment(ONE_THREAD):
        process.start()
    theirs.close()
    try:
        ended = _heard(ours, limits.set_up, SET_UP)
        for task in tasks:
            if not ended.note:
                # A search that is run for twice as long each time takes up to twice the time in all.
                allowed = (1.0 if task.until is None else 2.0) * task.seconds + limits.beyond
                ended = _heard(ours, allowed, STOPPED)
            yield ended
            ended = replace(ended, cost=None, wall=0.0, cpu=0.0)  # what ends one task, ends those after it
    finally:
        process.kill()
        process.join()
        ours.close()


def _heard(connection: Connection, seconds: float, late: str) -> Outcome:
    """What the process says in so many seconds; an outcome with a note if it says nothing, or is dead."""
    began = time.perf_counter()
    try:
        if connection.poll(seconds):
            found: Outcome = connection.recv()
            return found
        note = late
    except (EOFError, OSError):
        note = FAILED  # killed, by a crash or by the machine
    return Outcome(None, time.perf_counter() - began, 0.0, note)


def _work(
    connection: Connection, problem: PracticalProblem[Any], set_up: SetUp, tasks: Sequence[Task], seed: int, memory: int
) -> None:
    """In the process."""
    die_with_parent()
    limit_memory(memory)
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where libraries print, also those in C
        finder = set_up(problem)
        connection.send(Outcome(None, 0.0, 0.0))
        for task in tasks:
            connection.send(_run(finder, task, seed))
    except MemoryError:
        connection.send(Outcome(None, 0.0, 0.0, MEMORY))
    except Exception as error:  # noqa: BLE001 - a peer may raise anything, and the others go on
        connection.send(Outcome(None, 0.0, 0.0, f"{FAILED}: {type(error).__name__}"))


def _run(finder: Finder, task: Task, seed: int) -> Outcome:
    began, cpu = time.perf_counter(), time.process_time()
    if task.until is None:
        found = next(reversed(finder.run(task.seconds, seed)), None)
    else:
        found = finder.until(task.until, task.seconds, seed)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - began
    return Outcome(found.cost if found else None, found.seconds if found else wall, cpu, share=cpu / max(wall, 1e-9))


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
