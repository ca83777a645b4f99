"""A member of a job, seen from its supervisor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from qiosk.contract.jobs import JobProgress
from qiosk.service.jobs.members import Merge, Part
from qiosk.service.jobs.runs import JobSpec
from qiosk.service.names import CHECKPOINT_BLOB, MEMBER_RESULT, member_blob
from qiosk.supervisor.executor import Run
from qiosk.supervisor.pauses import GrowingPause

RERUN_PAUSES_S = (0.1, 10.0)
"""First and longest pause before a member is run again."""


class Stop(Enum):
    """Why no further member of a job is started."""

    ENOUGH = auto()
    CANCELLED = auto()
    SUSPENDED = auto()
    GIVEN_UP = auto()
    KILLED = auto()


MERGED = (None, Stop.ENOUGH, Stop.CANCELLED)
"""After these, what the members have found is merged."""


@dataclass(slots=True)
class Member:
    """A member, or what merges the members, and its present run; ``number`` counts its runs in this attempt.

    It is *settled* when nothing is expected of it any more: it has a ``result``, or ends without one.
    """

    part: Part | Merge
    run: Run | None = None
    number: int = 0
    checkpoint: str | None = None
    result: str | None = None
    is_settled: bool = False
    is_killed: bool = False
    has_lived: bool = False
    heard_at: float = 0.0
    pause: GrowingPause = field(default_factory=lambda: GrowingPause(*RERUN_PAUSES_S))

    @property
    def name(self) -> str:
        """What it is called in logs."""
        return f"member {self.part.index}" if isinstance(self.part, Part) else "what merges the members"

    @property
    def is_running(self) -> bool:
        """Whether there is a run of it that has not told its end."""
        return self.run is not None and not self.is_settled

    @property
    def is_absent(self) -> bool:
        """Whether it is to run, and no process of it lives."""
        return not self.is_settled and (self.run is None or self.run.is_starting)

    def spec(self, job: JobSpec, seconds: float) -> JobSpec:
        """The description of its next run, of the job's; the job has run for some ``seconds``."""
        if isinstance(self.part, Merge):
            return replace(job, checkpoint_blob=None, is_extension=False, max_seconds=None, part=self.part)
        return replace(
            job,
            checkpoint_blob=self.checkpoint,
            is_extension=False,
            max_seconds=None if job.max_seconds is None else max(0.0, job.max_seconds - seconds),
            progress=JobProgress(),
            part=replace(self.part, run=self.number),
        )

    def stop(self, *, suspend: bool) -> None:
        """Let it end early; one that is starting is withdrawn."""
        if self.run is None or self.run.is_starting:
            self.drop()
            self.is_settled = True
        elif suspend:
            self.run.suspend()
        else:
            self.run.cancel()

    def kill(self) -> None:
        """End its run at once."""
        if self.run is None:
            self.is_settled = True
        elif not self.is_killed:
            self.is_killed = True
            self.run.kill()

    def drop(self) -> None:
        """Release its run; one that has not ended is killed."""
        if self.run is not None:
            self.run.close()
        self.run = None
        self.has_lived = self.is_killed = False


def take_over(members: Sequence[Member], written: Sequence[str], job: JobSpec) -> Iterator[tuple[Member, str, str]]:
    """Let members go on from their checkpoints in earlier attempts, which have ``written`` blobs of these names.

    Yields those that have ended, with the names of their results and the reasons why they ended.
    """
    found = [blob for name in written if (blob := member_blob(name, job.id, job.container))]
    for blob in sorted(found):
        if blob.member >= len(members):
            continue
        member, name = members[blob.member], blob.name(job.id, job.container)
        if blob.kind == CHECKPOINT_BLOB:
            member.checkpoint = name
        elif blob.kind.startswith(f"{MEMBER_RESULT}-"):
            yield member, name, blob.kind.partition("-")[2]
