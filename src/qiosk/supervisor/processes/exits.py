"""Classifies the exit of a job process that sent no outcome: fail the job or retry it."""

from __future__ import annotations

import signal

from qiosk.contract.jobs import ErrorData
from qiosk.errors import NotEnoughMemory
from qiosk.machine import physical_memory
from qiosk.service.jobs.runs import Shortage
from qiosk.settings import MEMORY_SHARE
from qiosk.supervisor.executor import Fate

_CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS})
FORK_SERVER_DIED = 255  # what multiprocessing reports when the fork server cannot be asked any more


def classify_exit(exit_code: int, *, is_out_of_memory: bool, peak_bytes: int = 0) -> ErrorData | Shortage | Fate:
    """An error if the job is to blame, so that a retry would not help; else that its process was lost.

    ``exit_code`` is negative for a signal; with ``is_out_of_memory``, the kernel has killed processes for memory
    meanwhile. That is a shortage, which may pass because other programs took the memory, unless the process itself had
    used more than ``MEMORY_SHARE`` of the machine's; ``peak_bytes`` is the most that it was seen to use.
    """
    reason = describe_exit(exit_code)
    if exit_code == -signal.SIGKILL and is_out_of_memory:
        text, machine = "the machine ran out of memory and killed the job's process", physical_memory()
        if peak_bytes > MEMORY_SHARE * machine:
            text += f", which alone had used {peak_bytes / 1e9:.3g} of {machine / 1e9:.3g} GB"
        error = ErrorData(**NotEnoughMemory(text).error_data())
        return error if peak_bytes > MEMORY_SHARE * machine else Shortage(error, is_of_memory=True)
    if exit_code == FORK_SERVER_DIED or (exit_code < 0 and -exit_code not in _CRASHES):
        return Fate.LOST
    return ErrorData(code="InternalError", message=f"the job's process ended without results: {reason}")


def describe_exit(exit_code: int) -> str:
    """An exit code in words."""
    if exit_code == FORK_SERVER_DIED:
        return "the fork server died"
    if exit_code >= 0:
        return f"exit status {exit_code}"
    try:
        return f"signal {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"signal {-exit_code}"
