"""Why a job's process ended without a last word, and whether it is worth another try."""

from __future__ import annotations

import signal

from qiosk.contract.jobs import ErrorData
from qiosk.errors import NotEnoughMemory

_MISTAKES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS})
_FORK_SERVER_DIED = 255  # what multiprocessing reports when there is nobody left to ask


def judge_exit(exit_code: int, *, is_out_of_memory: bool) -> ErrorData | str:
    """An error if the job is to blame, so that another try would not help; else the reason why its run was lost.

    ``exit_code`` is negative for a signal; ``is_out_of_memory`` says that the kernel killed for memory meanwhile.
    """
    reason = describe_exit(exit_code)
    if exit_code == -signal.SIGKILL and is_out_of_memory:
        error = NotEnoughMemory("the machine ran out of memory and killed the job's process")
        return ErrorData(**error.error_data())
    if exit_code == _FORK_SERVER_DIED or (exit_code < 0 and -exit_code not in _MISTAKES):
        return reason
    return ErrorData(code="InternalError", message=f"the job's process ended without results: {reason}")


def describe_exit(exit_code: int) -> str:
    """An exit code in words."""
    if exit_code == _FORK_SERVER_DIED:
        return "the fork server died"
    if exit_code >= 0:
        return f"exit status {exit_code}"
    try:
        return f"signal {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"signal {-exit_code}"
