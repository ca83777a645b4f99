"""The executor of this machine: each run is a process, forked from a server that has the solvers loaded.

A fork server that meets a shortage dies, and its processes with it. A process that is found lost at that time says
nothing about its job. So how such a process ended is known only when no other one is starting: if the fork server was
lost by a start, all runs of that time are excused.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import final

from qiosk.machine import cpu_count
from qiosk.service.jobs.runs import JobSpec
from qiosk.supervisor.executor import Ended, Fate, Message
from qiosk.supervisor.processes.exits import FORK_SERVER_DIED, classify_exit, describe_exit
from qiosk.supervisor.processes.job_process import JobProcess, ProcessOptions
from qiosk.supervisor.processes.process_limits import oom_kills, peak_memory

LOADING = "loading solvers, and compiling kernels (once)…"


@final
class LocalExecutor:
    """Runs jobs as processes of this machine, ``concurrent_jobs`` at once (None: one per CPU)."""

    starts_at_once = 1
    shares_machine = True
    spans_machines = False

    def __init__(self, context: ForkServerContext, options: ProcessOptions, *, concurrent_jobs: int | None) -> None:
        self._context = context
        self._options = options
        self._concurrent_jobs = concurrent_jobs
        self._runs: list[LocalRun] = []

    def slots(self) -> int:
        """As many as the settings say."""
        return cpu_count() if self._concurrent_jobs is None else self._concurrent_jobs

    def threads(self, runs: int) -> int:
        """Each run's share of the CPUs."""
        return max(1, cpu_count() // runs)

    def start(self, spec: JobSpec) -> LocalRun:
        """Fork a process in the background. Raises OSError."""
        run = LocalRun(JobProcess(self._context, spec, self._options), self._runs)
        self._runs.append(run)
        return run

    def wait_on(self) -> Sequence[Connection | int]:
        """Nothing: the number of slots is always the same."""
        return ()

    def trouble(self) -> str:
        """None that would be known before a start is tried."""
        return ""

    def close(self) -> None:
        """Kill all runs."""
        for run in list(self._runs):
            run.kill()
            run.close()


@final
class LocalRun:
    """A run in a process of this machine; ``others`` are all open runs of its executor, to which it belongs."""

    is_waiting = False
    activity = LOADING

    def __init__(self, process: JobProcess, others: list[LocalRun]) -> None:
        self.is_excused = False
        """Whether the fork server died of a shortage, so that the loss of this process says nothing about its job."""
        self._process = process
        self._others = others
        self._exit_code: int | None = None
        self._has_sent = False
        self._oom_kills = oom_kills()
        self._peak_bytes = 0

    @property
    def is_starting(self) -> bool:
        """Whether its process does not live yet."""
        return self._process.is_starting

    @property
    def start_error(self) -> Exception | None:
        """Why its process could not be started."""
        return self._process.start_error

    @property
    def place(self) -> str:
        """The process and the name of this machine."""
        return f"as process {self._process.pid} on {socket.gethostname()}"

    def wait_on(self) -> Sequence[Connection | int]:
        """The process's pipe and what tells its exit."""
        return self._process.wait_on() if self._exit_code is None else ()

    def messages(self) -> Iterator[Message]:
        """The messages in the pipe."""
        for message in self._process.messages():
            self._has_sent = True
            yield message

    def has_ended(self) -> bool:
        """Whether the process has exited."""
        if self._exit_code is None:
            self._exit_code = self._process.exit_code()
        return self._exit_code is not None

    def end(self) -> Ended | None:
        """How the process exited; None while it is not known what the fork server died of."""
        if any(isinstance(run.start_error, (EOFError, ConnectionError)) for run in self._others):
            for run in self._others:
                run.is_excused = True
        code = self._exit_code
        if code is None or (code == FORK_SERVER_DIED and any(run.is_starting for run in self._others)):
            return None
        reason = describe_exit(code)
        if code >= 0 and not self._has_sent:
            return Ended(reason, Fate.NOT_STARTED)
        if code == FORK_SERVER_DIED and self.is_excused:
            return Ended(reason, Fate.EXCUSED)
        is_out_of_memory = oom_kills() > self._oom_kills
        return Ended(reason, classify_exit(code, is_out_of_memory=is_out_of_memory, peak_bytes=self._peak_bytes))

    def observe(self) -> None:
        """See how much memory the process uses: it matters if the machine runs out of it."""
        self._peak_bytes = max(self._peak_bytes, peak_memory(self._process.pid))

    def cancel(self) -> None:
        """Ask the process to stop and store its best solution."""
        self._process.cancel()

    def suspend(self) -> None:
        """Ask the process to store a checkpoint and exit."""
        self._process.suspend()

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def close(self) -> None:
        """Release the process, which has exited or is starting."""
        if self in self._others:
            self._others.remove(self)
        self._process.close()
