"""Where jobs run: a port. ``processes.local`` implements it with processes of this machine, ``cluster`` with Ray.

An executor starts runs and tells what becomes of them. It decides nothing about a job and remembers nothing: the row of
the job and the lease of its claim are the truth. So an executor may lose all its runs at any time, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from multiprocessing.connection import Connection
from typing import Protocol

from qiosk.contract.jobs import ErrorData
from qiosk.service.jobs.runs import Begun, JobSpec, NotStarted, RunOutcome, RunUpdate, Shortage, Suspended

Message = Begun | RunUpdate | RunOutcome | ErrorData | Suspended | Shortage | NotStarted
"""What a run sends: updates, the first one as soon as its process lives, then how it ended."""


class Fate(Enum):
    """Why a run ended that did not say so itself, where the job is not to blame."""

    NOT_STARTED = auto()
    """Its process never got as far as its first message."""
    LOST = auto()
    """Its process was lost, perhaps because of the job: the next attempt counts."""
    EXCUSED = auto()
    """Its process was lost for a reason that has nothing to do with the job."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a run, in words, and what follows from it for a job whose run sent no end of its own."""

    reason: str
    verdict: ErrorData | Shortage | Fate


class Run(Protocol):
    """A run of a job, seen from its supervisor; at first it is starting. Used by one thread."""

    @property
    def is_starting(self) -> bool:
        """Whether its process does not live yet."""
        ...

    @property
    def is_waiting(self) -> bool:
        """Whether it is starting and waits for room, which may take any time."""
        ...

    @property
    def activity(self) -> str:
        """What a run that is starting waits for, in words."""
        ...

    @property
    def start_error(self) -> Exception | None:
        """Why its process could not be started."""
        ...

    @property
    def place(self) -> str:
        """Where its process runs, such as ``as process 17 on alpha``."""
        ...

    def wait_on(self) -> Sequence[Connection | int]:
        """What becomes readable when there is a message, or the run has ended; nothing after that."""
        ...

    def messages(self) -> Iterable[Message]:
        """The messages that have arrived."""
        ...

    def has_ended(self) -> bool:
        """Whether no message will arrive after those that ``messages`` returns now."""
        ...

    def end(self) -> Ended | None:
        """How it ended, once all messages were taken; None while that is not known."""
        ...

    def observe(self) -> None:
        """Called about once a second: see how much memory the process uses."""
        ...

    def cancel(self) -> None:
        """Ask it to stop and store its best solution."""
        ...

    def suspend(self) -> None:
        """Ask it to store a checkpoint and end."""
        ...

    def kill(self) -> None:
        """End it at once; if it is starting, as soon as it lives."""
        ...

    def close(self) -> None:
        """Release what is held of it; one that is still starting ends by that."""
        ...


class Executor(Protocol):
    """Starts runs. Used by one thread."""

    @property
    def starts_at_once(self) -> int:
        """How many runs may be starting at the same time."""
        ...

    @property
    def shares_machine(self) -> bool:
        """Whether runs use the supervisor's machine, so that a job may be what killed the supervisor."""
        ...

    @property
    def spans_machines(self) -> bool:
        """Whether runs are on several machines, so that the members of a job over several nodes are runs of their own.

        Otherwise such a job is one run, which goes through its members.
        """
        ...

    def slots(self) -> int:
        """How many runs there may be at once now; 0 while none can be started."""
        ...

    def threads(self, runs: int) -> int:
        """Threads of each of so many runs, if there were only these."""
        ...

    def start(self, spec: JobSpec) -> Run:
        """Start a run. Raises OSError or MemoryError if there is nothing to start it with."""
        ...

    def wait_on(self) -> Sequence[Connection | int]:
        """What becomes readable when ``slots`` may have changed."""
        ...

    def trouble(self) -> str:
        """Why no run can be started at the moment; empty if one can."""
        ...

    def close(self) -> None:
        """Kill all runs and release everything."""
        ...
