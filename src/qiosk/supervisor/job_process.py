"""A process per job, forked from a warm server, which can be killed at any moment and takes nobody along.

Nothing may outlive a killed supervisor. Two nets catch a job's process: Linux kills it when its parent, the
fork server, dies (the fork server leaves when its supervisor is gone), and a thread in it waits at the
supervisor's end of the pipe and ends the process when that closes.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import cast, final

from qiosk.bootstrap.storage import open_storage
from qiosk.contract.jobs import ErrorData
from qiosk.service.runs import JobRunner, JobSpec, RunOutcome, RunUpdate, Suspended
from qiosk.service.worker import run_job
from qiosk.supervisor.process_limits import die_with_parent, limit_memory, volunteer_for_oom

SOLVER_RUNNER = "qiosk.supervisor.solver_runner:run"
"""The runner of real jobs; by name, so that only processes that run jobs import the solvers."""
_SOLVER_WARM_UP = "qiosk.supervisor.warm_solvers"

Message = RunUpdate | RunOutcome | ErrorData | Suspended
"""What a job's process says: any number of updates, then an outcome, an error, or that it leaves."""

_CANCEL = "cancel"
_SUSPEND = "suspend"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOptions:
    """What job processes of a supervisor have in common. ``storage`` is a URL, ``memory_limit`` in bytes, 0: none."""

    storage: str
    runner: str
    memory_limit: int


def warm_context(runner: str) -> ForkServerContext:
    """A fork server that has loaded this module and the runner's, so that its children need not.

    For processes that do nothing else: children no longer import what this process was started as.
    """
    script = sys.modules["__main__"]
    script.__spec__ = None
    vars(script).pop("__file__", None)
    context = multiprocessing.get_context("forkserver")
    modules = [__name__, runner.partition(":")[0]]
    context.set_forkserver_preload([*modules, _SOLVER_WARM_UP] if runner == SOLVER_RUNNER else modules)
    forkserver.ensure_running()  # it loads while we go on; otherwise the first job would start the loading
    return context


@final
class JobProcess:
    """A running job, seen from its supervisor."""

    def __init__(self, context: ForkServerContext, spec: JobSpec, options: ProcessOptions) -> None:
        self._connection, child = context.Pipe()
        self._process = context.Process(
            target=_main, args=(child, spec, options), name=f"qiosk-job-{spec.id}", daemon=True
        )
        try:
            self._process.start()
        finally:
            child.close()  # else the end of the process would not be the end of the pipe

    @property
    def pid(self) -> int | None:
        """Process id."""
        return self._process.pid

    def wait_on(self) -> Sequence[Connection | int]:
        """What becomes ready when there is something to read, or the process has ended."""
        return (self._connection, self._process.sentinel)

    def messages(self) -> Iterator[Message]:
        """What the process has said and nobody has read yet."""
        with contextlib.suppress(EOFError, OSError):  # it ended, perhaps in the middle of a word
            while self._connection.poll():
                yield cast(Message, self._connection.recv())

    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.exitcode

    def cancel(self) -> None:
        """Ask it to stop and keep its best."""
        self._tell(_CANCEL)

    def suspend(self) -> None:
        """Ask it to save what is needed to continue, and to go."""
        self._tell(_SUSPEND)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def close(self) -> None:
        """Forget an ended process."""
        self._connection.close()
        self._process.join()
        self._process.close()

    def _tell(self, word: str) -> None:
        with contextlib.suppress(OSError):  # it has just ended
            self._connection.send(word)


def find_runner(name: str) -> JobRunner:
    """The runner of a dotted name, ``package.module:function``."""
    module, _, function = name.partition(":")
    return cast(JobRunner, getattr(importlib.import_module(module), function))


def _main(connection: Connection, spec: JobSpec, options: ProcessOptions) -> None:
    """The whole life of a job's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the supervisor to hear
    die_with_parent()
    volunteer_for_oom()
    faulthandler.enable()
    limit_memory(options.memory_limit)
    cancelled, suspending = threading.Event(), threading.Event()
    orders = {_CANCEL: cancelled, _SUSPEND: suspending}
    threading.Thread(target=_obey, args=(connection, orders), daemon=True).start()
    last_word = run_job(
        spec,
        open_storage(options.storage).blobs(spec.workspace),
        find_runner(options.runner),
        send=connection.send,
        is_cancelled=cancelled.is_set,
        is_suspending=suspending.is_set,
        monotonic=time.monotonic,
    )
    connection.send(last_word)


def _obey(connection: Connection, orders: Mapping[str, threading.Event]) -> None:
    """Wait for the supervisor's word, and end with it."""
    try:
        while True:
            orders[connection.recv()].set()
    except (EOFError, OSError):
        os._exit(1)
