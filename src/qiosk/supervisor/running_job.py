"""A job that runs in a process of its own, as its supervisor follows it.

What the process says is taken from its pipe at once, and kept until the store has it: the pipe must not fill up, since
the process would stand still, and nothing may be lost while the store cannot be reached.
"""

from __future__ import annotations

import time
from collections import deque
from typing import final

from qiosk.service.attempts import Attempt
from qiosk.service.runs import RunUpdate
from qiosk.supervisor.job_process import JobProcess, Message


@final
class RunningJob:
    """An attempt, its process, and what it said that is not stored yet."""

    def __init__(self, attempt: Attempt, process: JobProcess, *, oom_kills: int, is_alone: bool) -> None:
        self.attempt = attempt
        self.process = process
        self.oom_kills = oom_kills
        self.is_alone = is_alone
        self.unstored: deque[Message] = deque()
        self.exit_code: int | None = None
        self.heard_at = self.reported_at = time.monotonic()
        self.kill_at = float("inf")
        self.is_cancelling = False
        self.is_over = False
        self.killed_because: str | None = None

    @property
    def name(self) -> tuple[object, int]:
        """What tells this claim from all others."""
        return self.attempt.job.key, self.attempt.job.fence

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended and the store knows how."""
        return self.exit_code is not None and self.is_over

    def hear(self) -> None:
        """Take what the process said from its pipe, and note whether it has ended."""
        if self.exit_code is not None:
            return
        exit_code = self.process.exit_code()  # before the messages: nothing comes after
        for message in self.process.messages():
            self.heard_at = time.monotonic()
            self._keep(message)
        self.exit_code = exit_code

    def cancel(self, grace_s: float) -> None:
        """Ask the process to stop; it is killed if it has not after ``grace_s``."""
        if not self.is_cancelling and not self.is_over:
            self.is_cancelling = True
            self.process.cancel()
            self.kill_at = time.monotonic() + grace_s

    def kill(self, reason: str) -> None:
        """End the process now."""
        if self.killed_because is None:
            self.killed_because = reason
            self.process.kill()

    def _keep(self, message: Message) -> None:
        """Updates that wait for the store become one, so that they stay few however long it takes."""
        if isinstance(message, RunUpdate) and self.unstored and isinstance(last := self.unstored[-1], RunUpdate):
            self.unstored[-1] = last.then(message)
        else:
            self.unstored.append(message)
