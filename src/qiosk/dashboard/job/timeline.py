"""What happened to a job, in order: from its times, and from what its supervisors logged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from qiosk.contract.jobs import JobStatus, JobView
from qiosk.contract.logs import LogLine

_LOST: Final = re.compile(r"the job's process was lost: |its supervisor .* is gone|starts again from the beginning")
_BEGAN: Final = re.compile(r"attempt (\d+) runs as ")
_WAITS: Final = re.compile(r"attempt \d+ ended, the job waits again")
_CANCELLED: Final = "it was cancelled"


class Moment(NamedTuple):
    """Something that happened. ``detail`` is perhaps a user's text; ``is_bad`` if it went wrong."""

    time: datetime
    what: str
    detail: str = ""
    is_bad: bool = False


def timeline(view: JobView, lines: Sequence[LogLine]) -> list[Moment]:
    """What happened to a job, sorted by time."""
    found = [Moment(view.creation_time, "Submitted", f"by {view.submitter}" if view.submitter else "")]
    began: set[int] = set()
    for line in lines:
        if (match := _BEGAN.match(line.text)) is not None:
            began.add(int(match[1]))
            found.append(Moment(line.time, f"Attempt {match[1]} began", line.text.removeprefix(match[0])))
        elif _LOST.match(line.text):
            found.append(Moment(line.time, "Attempt lost", line.text, is_bad=True))
        elif _WAITS.match(line.text):
            found.append(Moment(line.time, "Waits again", line.text))
        elif line.text == _CANCELLED:
            found.append(Moment(line.time, "Cancellation requested"))
    if view.begin_execution_time is not None and view.attempts not in began:
        found.append(Moment(view.begin_execution_time, f"Attempt {view.attempts} claimed"))
    if view.end_execution_time is not None:
        found.append(Moment(view.end_execution_time, str(view.status), _end(view), view.status is JobStatus.FAILED))
    rank = {"Submitted": 0, str(view.status): 2}
    return sorted(found, key=lambda moment: (moment.time, rank.get(moment.what, 1)))


def _end(view: JobView) -> str:
    if view.error_data is not None:
        return view.error_data.code
    reason = None if view.provenance is None else view.provenance.stop_reason
    return f"stop reason: {reason}" if reason else ""
