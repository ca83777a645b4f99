"""One process per job, forked from a preloaded server. Killing it affects no other job.

The fork server answers when it has loaded the solvers, which takes minutes where no kernel was compiled yet. So a
thread waits for it, and the supervisor sees a job's process that is starting.

No process may outlive a killed supervisor. Two mechanisms end a job's process: Linux kills it when its parent, the
fork server, dies (the fork server exits when its supervisor is gone), and a thread in it reads from the supervisor's
pipe and ends the process when the pipe is closed.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import forkserver, popen_forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any, cast, final

from qiosk.bootstrap.storage import open_storage
from qiosk.service.jobs.logs import JobLogHandler
from qiosk.service.jobs.runs import (
    Begun,
    JobRunner,
    JobSpec,
    NotStarted,
    RunResult,
    RunUpdate,
    Shortage,
)
from qiosk.service.jobs.worker import read_whole, run_job
from qiosk.settings import default_memory_limit
from qiosk.supervisor.executor import Message
from qiosk.supervisor.processes.input_cache import InputCache
from qiosk.supervisor.processes.process_limits import is_own_limit_tighter, set_limits

SOLVER_RUNNER = "qiosk.supervisor.processes.solver_runner:run"
"""The runner of real jobs; by name, so that only processes that run jobs import the solvers."""
_SOLVER_WARM_UP = "qiosk.supervisor.processes.warm_solvers"

_CANCEL = "cancel"
_SUSPEND = "suspend"


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOptions:
    """What all job processes of a supervisor share. ``storage`` is a URL, ``memory_limit`` in bytes, 0: unlimited.

    ``memory_limit`` None is a share of the memory of the machine that runs the job. ``input_cache`` is the folder of an
    ``InputCache``; None: problems are read from the storage.
    """

    storage: str
    runner: str
    memory_limit: int | None
    input_cache: str | None = None


def warm_context(runner: str) -> ForkServerContext:
    """A fork server that loads this module and the runner's, so that its children need not.

    Only for processes that are supervisors: children no longer import this process's main module.
    """
    script = sys.modules["__main__"]
    script.__spec__ = None
    vars(script).pop("__file__", None)
    context = multiprocessing.get_context("forkserver")
    modules = [__name__, runner.partition(":")[0]]
    context.set_forkserver_preload([*modules, _SOLVER_WARM_UP] if runner == SOLVER_RUNNER else modules)
    try:
        forkserver.ensure_running()  # it loads in the background; otherwise the first job would wait for it
    except OSError as error:
        log.warning("the fork server cannot be started now: %s", error)
    return context


class _Popen(popen_forkserver.Popen):
    """Several threads may ask whether the process has exited: multiprocessing does so before it starts another one."""

    def __init__(self, process: Any) -> None:
        self._lock = threading.Lock()
        super().__init__(process)

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """The exit status, which can be read only once."""
        with self._lock:
            return super().poll(flag)


class _Process(ForkServerProcess):
    @staticmethod
    def _Popen(process: Any) -> popen_forkserver.Popen:
        return _Popen(process)


@final
class JobProcess:
    """A running job, seen from its supervisor; at first it is starting.

    Raises OSError if there is nothing to start a process with.
    """

    def __init__(self, context: ForkServerContext, spec: JobSpec, options: ProcessOptions) -> None:
        self.start_error: Exception | None = None
        """Why it could not be started."""
        self.is_starting = True
        self._is_given_up = False
        self._is_silent = False  # its end of the pipe is closed
        self._connection, child = context.Pipe()
        self._process = _Process(target=_main, args=(child, spec, options), name=f"qiosk-job-{spec.id}", daemon=True)
        try:
            threading.Thread(target=self._start, args=(child,), name=self._process.name, daemon=True).start()
        except RuntimeError as error:
            child.close()
            self._connection.close()
            raise BlockingIOError(errno.EAGAIN, str(error)) from error

    def _start(self, child: Connection) -> None:
        try:
            self._process.start()
        except Exception as error:  # noqa: BLE001 - the supervisor finds it
            self.start_error = error
        finally:
            child.close()  # else the pipe would stay open when the process ends
        self.is_starting = False
        if self._is_given_up:
            self.kill()

    @property
    def pid(self) -> int | None:
        """Process id; None while it is starting."""
        return self._process.pid

    def wait_on(self) -> Sequence[Connection | int]:
        """What becomes readable when there is a message, or the process has exited or could not be started.

        A pipe whose other end is closed is always readable: then only the exit is waited for, which the fork server
        reports a little later.
        """
        pipe = () if self._is_silent else (self._connection,)
        return pipe if self.pid is None else (*pipe, self._process.sentinel)

    def messages(self) -> Iterator[Message]:
        """The messages that have arrived."""
        try:
            while self._connection.poll():
                yield cast(Message, self._connection.recv())
        except (EOFError, OSError):  # it has exited, perhaps in the middle of a message
            self._is_silent = True

    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that killed it; 1 if it could not be started."""
        if self.is_starting:
            return -signal.SIGKILL if self._is_given_up else None
        return self._process.exitcode if self.start_error is None else 1

    def cancel(self) -> None:
        """Ask it to stop and store its best solution."""
        self._send(_CANCEL)

    def suspend(self) -> None:
        """Ask it to store a checkpoint and exit."""
        self._send(_SUSPEND)

    def kill(self) -> None:
        """End it at once; if it is starting, as soon as it lives."""
        self._is_given_up = True
        if not self.is_starting and self.start_error is None:
            self._process.kill()

    def close(self) -> None:
        """Release what is held of a process that has exited; one that is still starting ends by that."""
        self._connection.close()
        if not self.is_starting and self.start_error is None:
            self._process.join()
            self._process.close()

    def _send(self, order: str) -> None:
        with contextlib.suppress(OSError):  # it has just exited
            self._connection.send(order)


def find_runner(name: str) -> JobRunner:
    """The runner of a dotted name, ``package.module:function``."""
    module, _, function = name.partition(":")
    return cast(JobRunner, getattr(importlib.import_module(module), function))


def _main(connection: Connection, spec: JobSpec, options: ProcessOptions) -> None:
    """What a job's process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the supervisor alone
    connection.send(RunUpdate())  # what ends the process from now on is its own fault, or the job's
    set_limits(default_memory_limit() if options.memory_limit is None else options.memory_limit)
    lock = threading.Lock()

    def send(message: Message) -> None:
        with lock:  # any thread of the solver may send
            connection.send(message)

    with _logged(spec.id, send):
        ended = _run(connection, send, spec, options)
    send(ended)


@contextlib.contextmanager
def _logged(job_id: str, send: Callable[[Message], None]) -> Iterator[None]:
    """Put what is logged here, and the warnings of Python, into the job's log; warnings also on standard error."""
    to_job, to_stderr = JobLogHandler(job_id, send), logging.StreamHandler()
    to_stderr.setLevel(logging.WARNING)
    for handler in (to_job, to_stderr):
        logging.getLogger().addHandler(handler)
    logging.getLogger("qiosk").setLevel(logging.INFO)
    logging.captureWarnings(True)
    yield
    to_job.flush()


def _run(connection: Connection, send: Callable[[Message], None], spec: JobSpec, options: ProcessOptions) -> Message:
    """Run the job and return the last message. Without what a run needs, such as another thread, it does not begin."""
    cancelled, suspending = threading.Event(), threading.Event()
    orders = {_CANCEL: cancelled, _SUSPEND: suspending}
    try:
        threading.Thread(target=_receive_orders, args=(connection, orders), daemon=True).start()
        blobs = open_storage(options.storage).blobs(spec.workspace)
        runner = find_runner(options.runner)
    except (OSError, MemoryError, RuntimeError) as error:  # RuntimeError: no thread can be started
        return NotStarted(f"{type(error).__name__}: {error}")

    def begin(*arguments: Any, **hooks: Any) -> RunResult:
        send(Begun())
        return runner(*arguments, **hooks)

    cache = None if options.input_cache is None else InputCache(Path(options.input_cache))
    ended = run_job(
        spec,
        blobs,
        begin,
        read_input=read_whole if cache is None else partial(cache.read, spec.workspace),
        send=send,
        is_cancelled=cancelled.is_set,
        is_suspending=suspending.is_set,
        monotonic=time.monotonic,
    )
    if isinstance(ended, Shortage) and ended.is_of_memory and is_own_limit_tighter():
        return ended.error
    return ended


def _receive_orders(connection: Connection, orders: Mapping[str, threading.Event]) -> None:
    """Receive the supervisor's orders, and end the process with the supervisor."""
    try:
        while True:
            orders[connection.recv()].set()
    except (EOFError, OSError):
        os._exit(1)
