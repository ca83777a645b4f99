"""The runs of the members of a job as one run."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import final

from qiosk.contract.jobs import ErrorData
from qiosk.contract.logs import log_line
from qiosk.contract.provenance import ENOUGH
from qiosk.service.jobs.members import Merge, Part
from qiosk.service.jobs.runs import Begun, JobSpec, NotStarted, RunOutcome, RunUpdate, Shortage, Suspended
from qiosk.supervisor.executor import Ended, Executor, Fate, Message, Run
from qiosk.supervisor.fanned.member import MERGED, Member, Stop, take_over
from qiosk.supervisor.fanned.updates import MergedUpdates

MOST_RERUNS = 4
"""So often a member is run again in an attempt."""
REPORT_S = 0.2
"""Least time between two updates of the job."""
SIGN_S = 1.0
"""Time between two signs of life while members wait for nodes."""
EXIT_GRACE_S = 2.0
"""How long a member's process may take to exit after its last message."""


@final
class FannedRun:
    """The runs of ``nodes`` members of a job as one run.

    ``written`` are the names of blobs that members wrote in earlier attempts. A member that sends nothing for
    ``hang_seconds`` is killed. Raises OSError if there is nothing to start a run with.
    """

    def __init__(
        self, executor: Executor, spec: JobSpec, nodes: int, written: Sequence[str] = (), *, hang_seconds: float
    ) -> None:
        self.start_error: Exception | None = None
        self.place = f"as {nodes} members"
        self._executor = executor
        self._spec = spec
        self._hang_seconds = hang_seconds
        self._members = [Member(Part(index, 0)) for index in range(nodes)]
        self._merger: Member | None = None
        self._updates = MergedUpdates(spec, nodes)
        self._queue: deque[Message] = deque()
        self._stop: Stop | None = None
        self._verdict: Message | Ended | None = None
        self._end: Ended | None = None
        self._lived_at: float | None = None
        self._has_begun = False
        self._report_at = self._sign_at = 0.0
        for member, result, reason in take_over(self._members, written, spec):
            self._settle(member, result, reason)
        self._advance(time.monotonic())
        if self.start_error is not None:
            raise self.start_error

    @property
    def is_starting(self) -> bool:
        """Whether no process of a member lives yet."""
        return self._lived_at is None and self.start_error is None

    @property
    def is_waiting(self) -> bool:
        """Whether all members wait for nodes."""
        return self.is_starting and all(run.is_waiting for run in self._runs())

    @property
    def activity(self) -> str:
        """What the first member that is starting waits for."""
        return next((run.activity for run in self._runs()), "")

    def wait_on(self) -> Sequence[Connection | int]:
        """What the members wait on."""
        return [source for run in self._runs() for source in run.wait_on()]

    def messages(self) -> Iterator[Message]:
        """The messages of the job, after a look at the runs of all members."""
        if self._end is None:
            now = time.monotonic()
            for member in self._all():
                if member.run is not None:
                    self._look(member, member.run, now)
            self._advance(now)
            self._report(now)
        while self._queue:
            yield self._queue.popleft()

    def has_ended(self) -> bool:
        """Whether all has ended that the job needs."""
        return self._end is not None

    def end(self) -> Ended | None:
        """How it ended, or as which member did because of which the attempt is lost."""
        return self._end

    def observe(self) -> None:
        """See how much memory the processes use."""
        for run in self._runs():
            run.observe()

    def cancel(self) -> None:
        """Let all members stop and store what they have; it is merged."""
        self._end_members(Stop.CANCELLED)

    def suspend(self) -> None:
        """Let all members store checkpoints and end. What merges is let go on."""
        self._end_members(Stop.SUSPENDED)

    def kill(self) -> None:
        """End all members at once."""
        self._stop = Stop.KILLED
        for member in self._all():
            member.kill()

    def close(self) -> None:
        """Release what is held of all members; those that have not ended are killed."""
        for member in self._all():
            member.drop()

    def _all(self) -> Sequence[Member]:
        return self._members if self._merger is None else (*self._members, self._merger)

    def _runs(self) -> Iterator[Run]:
        return (member.run for member in self._all() if member.run is not None)

    def _look(self, member: Member, run: Run, now: float) -> None:
        if run.is_starting and not member.is_killed:
            return
        if run.start_error is not None:
            self._lose(member, Ended(f"{type(run.start_error).__name__}: {run.start_error}", Fate.NOT_STARTED), now)
            member.drop()
            return
        if not member.has_lived and not run.is_starting:
            member.has_lived, member.heard_at = True, now
            self._lived_at = now if self._lived_at is None else self._lived_at
            self._note(member, logging.INFO, f"runs {run.place}")
        has_ended = run.has_ended()
        for message in run.messages():
            member.heard_at = now
            self._take(member, message, now)
        if member.run is not run:
            return  # it is to be run again
        end = run.end() if has_ended else None
        if end is not None:
            self._lose(member, end, now)
            member.drop()
        elif now - member.heard_at >= (EXIT_GRACE_S if member.is_settled else self._hang_seconds):
            member.kill()

    def _take(self, member: Member, message: Message, now: float) -> None:
        """Take a message of a member; those of what merges are those of the job."""
        match message:
            case Begun() if not self._has_begun:
                self._has_begun = True
                self._queue.append(message)
            case RunUpdate() if isinstance(member.part, Merge):
                self._queue.append(message)
            case RunUpdate() if isinstance(member.part, Part):
                member.checkpoint = message.checkpoint_blob or member.checkpoint
                if message != RunUpdate():
                    self._updates.take(member.part.index, message)
            case RunOutcome(output_blob=blob, stop_reason=reason):
                if isinstance(member.part, Merge):
                    self._queue.append(message)
                self._settle(member, blob, reason)
            case Suspended():
                member.is_settled = True
            case ErrorData():
                self._fail(member, message)
            case Shortage(error=error):
                self._lose(member, Ended(error.message, message), now)
            case NotStarted(reason=reason):
                self._lose(member, Ended(reason, Fate.LOST if message.is_of_input else Fate.NOT_STARTED), now)

    def _settle(self, member: Member, result: str, reason: str) -> None:
        """A member has results."""
        member.is_settled, member.result = True, result
        if isinstance(member.part, Part):
            self._updates.end(member.part.index)
            if reason in ENOUGH:
                self._end_members(Stop.ENOUGH)

    def _lose(self, member: Member, end: Ended, now: float) -> None:
        """A run of a member has ended: without results, unless it is settled. It is run again, if that may help."""
        if member.is_settled:
            return
        if isinstance(end.verdict, ErrorData):
            self._fail(member, end)
        elif not self._is_wanted(member):
            member.is_settled = True
        elif member.pause.failures >= MOST_RERUNS or self._executor.trouble():
            member.is_settled = True
            self._give_up(end)
        else:
            member.number += 1
            pause_s = member.pause.note_failure(now)
            self._note(member, logging.WARNING, f"was lost, running it again in {pause_s:.1f} s: {end.reason}")
            member.drop()

    def _is_wanted(self, member: Member) -> bool:
        """Whether the job needs what a member has not found yet."""
        return self._stop is None or (member is self._merger and self._stop in MERGED)

    def _fail(self, member: Member, error: ErrorData | Ended) -> None:
        """A member ended with an error, of which another run would end as well; so does the job, if it needs it."""
        member.is_settled = True
        if self._is_wanted(member):
            self._give_up(error)
            for other in self._members:
                other.kill()

    def _give_up(self, verdict: Message | Ended) -> None:
        """End the attempt as ``verdict`` says; members store checkpoints."""
        self._verdict = verdict
        self._end_members(Stop.GIVEN_UP)

    def _end_members(self, why: Stop) -> None:
        is_late = self._stop not in (None, Stop.ENOUGH) or self._merger is not None
        if is_late and why is not Stop.GIVEN_UP:
            return
        self._stop = why
        for member in self._members:
            if not member.is_settled:
                member.stop(suspend=why in (Stop.SUSPENDED, Stop.GIVEN_UP))

    def _advance(self, now: float) -> None:
        """Start what there is room for, and end what has come to its end."""
        if self._end is not None:
            return
        if self._stop is None:
            room = max(1, self._executor.slots()) - sum(member.is_running for member in self._members)
            for member in self._members:
                if room > 0 and not member.is_settled and member.run is None:
                    room -= self._start(member, now)
        if self._merger is not None:
            self._start(self._merger, now)
        elif all(member.is_settled for member in self._members) and self._stop in MERGED and self._found():
            self._flush()
            was_cancelled = self._stop is Stop.CANCELLED and len(self._found()) < len(self._members)
            self._merger = Member(Merge(self._found(), was_cancelled))
            self._start(self._merger, now)
        if all(member.is_settled for member in self._all()):
            self._conclude()

    def _found(self) -> tuple[tuple[int, str], ...]:
        return tuple((index, each.result) for index, each in enumerate(self._members) if each.result is not None)

    def _start(self, member: Member, now: float) -> bool:
        """Start a run of a member unless there is one, or it is too early; returns whether there is one now."""
        if member.run is not None or member.is_settled or member.pause.is_on(now):
            return member.run is not None
        best_blob, best_cost = self._updates.best_blob, self._updates.best_cost
        spec = replace(self._spec, best_blob=best_blob, best_cost=best_cost, progress=self._updates.progress)
        try:
            member.run = self._executor.start(
                member.spec(spec, 0.0 if self._lived_at is None else now - self._lived_at)
            )
        except (OSError, MemoryError) as error:
            self._lose(member, Ended(f"{type(error).__name__}: {error}", Fate.EXCUSED), now)
        return member.run is not None

    def _conclude(self) -> None:
        """All members have ended, and what merges if there is any."""
        self._flush()
        if isinstance(self._verdict, Ended):
            self._end = self._verdict
        else:
            if self._verdict is not None:
                self._queue.append(self._verdict)
            elif self._stop is Stop.SUSPENDED:
                self._queue.append(Suspended())
            self._end = Ended("all its members have ended", Fate.LOST)
        if self.is_starting and self._stop is Stop.GIVEN_UP:
            self.start_error = OSError(self._end.reason)

    def _report(self, now: float) -> None:
        if now >= self._report_at:
            self._report_at = now + REPORT_S
            self._flush()
        if now >= self._sign_at:
            self._sign_at = now + SIGN_S
            if not self.is_starting and any(member.is_absent for member in self._all()):
                self._queue.append(RunUpdate())

    def _flush(self) -> None:
        """Send what members have reported; what merges reports it all at its end."""
        update = self._updates.update() if self._merger is None else None
        if update is not None:
            self._queue.append(update)

    def _note(self, member: Member, level: int, text: str) -> None:
        line = log_line(datetime.now(UTC), level, f"{member.name} {text}")
        self._queue.append(RunUpdate(log=(line,)))
