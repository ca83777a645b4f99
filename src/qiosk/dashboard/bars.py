"""Jobs that ended, hour by hour, as bars of a picture that the server draws."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from qiosk.service.jobs.job import JobState
from qiosk.service.jobs.statistics import EndedJobs

HEIGHT: Final = 100.0
"""Height of the highest bar, in units of the picture."""
STEP: Final = 20.0
"""Distance of the bars."""
WIDTH: Final = 16.0
_ORDER: Final = (JobState.SUCCEEDED, JobState.CANCELLED, JobState.FAILED)  # from the bottom
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a bar: the jobs of one state. The origin is the upper left corner."""

    state: JobState
    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """The jobs of one hour."""

    hour: datetime
    jobs: Counter[JobState]
    pieces: Sequence[Piece]

    @property
    def total(self) -> int:
        """How many jobs ended."""
        return self.jobs.total()


@dataclass(frozen=True, slots=True)
class Bars:
    """All bars. ``most`` is the number of jobs of the highest one."""

    bars: Sequence[Bar]
    most: int

    @property
    def width(self) -> float:
        """Width of the picture."""
        return STEP * len(self.bars)

    @property
    def total(self) -> int:
        """How many jobs ended in all hours."""
        return sum(bar.total for bar in self.bars)


def hourly_bars(ended: Sequence[EndedJobs], now: datetime, span: timedelta) -> Bars:
    """A bar for every hour of the last ``span``, the current one last."""
    counts: defaultdict[datetime, Counter[JobState]] = defaultdict(Counter)
    for row in ended:
        counts[row.hour][row.state] += row.jobs
    last = now.replace(minute=0, second=0, microsecond=0)
    hours = [last - n * _HOUR for n in reversed(range(int(span / _HOUR)))]
    most = max((counts[hour].total() for hour in hours), default=0)
    return Bars([_bar(hour, counts[hour], number, most) for number, hour in enumerate(hours)], most)


def _bar(hour: datetime, jobs: Counter[JobState], number: int, most: int) -> Bar:
    pieces: list[Piece] = []
    top = HEIGHT
    for state in _ORDER:
        if jobs[state]:
            height = HEIGHT * jobs[state] / most
            top -= height
            pieces.append(Piece(state, number * STEP + (STEP - WIDTH) / 2, round(top, 3), round(height, 3)))
    return Bar(hour, jobs, pieces)
