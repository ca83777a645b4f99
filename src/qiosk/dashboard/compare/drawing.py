"""A profile as a picture that the server draws: steps of the share of jobs over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from qiosk.dashboard.compare.profiles import Profile
from qiosk.dashboard.job.traces import EARLIEST_S

WIDTH: Final = 640
HEIGHT: Final = 240
LEFT: Final = 76
"""Where the axis of time begins; it ends ``RIGHT`` units before the edge."""
RIGHT: Final = 24
TOP: Final = 16
BOTTOM: Final = 30
_MOST_TICKS: Final = 6


class Tick(NamedTuple):
    """A mark on the axis of time: where it is, and the time [s]."""

    x: float
    seconds: float


class Drawing(NamedTuple):
    """A path for each goal, in units of the picture, and the marks of the axis of time."""

    paths: Sequence[str]
    ticks: Sequence[Tick]


def drawing(found: Profile, *, is_log: bool) -> Drawing:
    """The picture of a profile. On a logarithmic axis all that was before ``EARLIEST_S`` is at its beginning."""
    end = max(found.end, *(step for goal in found.goals for step in goal.steps), 2 * EARLIEST_S)
    start = EARLIEST_S if is_log else 0.0

    def x_of(seconds: float) -> float:
        part = math.log(max(seconds, start) / start) / math.log(end / start) if is_log else seconds / end
        return round(LEFT + part * (WIDTH - LEFT - RIGHT), 2)

    paths = [_path([x_of(step) for step in goal.steps], len(found.jobs)) for goal in found.goals]
    return Drawing(paths, [Tick(x_of(seconds), seconds) for seconds in ticks(start, end, is_log=is_log)])


def _path(steps: Sequence[float], jobs: int) -> str:
    """Steps upwards by one job each, from the beginning of the axis to its end."""
    parts = [f"M{LEFT} {y_of(0.0)}"]
    parts += [f"H{x}V{y_of(count / jobs)}" for count, x in enumerate(steps, 1)]
    return "".join([*parts, f"H{WIDTH - RIGHT}"])


def y_of(share: float) -> float:
    """The height of a share, from 0 to 1, from the top of the picture."""
    return round(TOP + (1 - share) * (HEIGHT - TOP - BOTTOM), 2)


def ticks(start: float, end: float, *, is_log: bool) -> list[float]:
    """Round numbers from ``start`` to ``end``, at most seven: powers of ten on a logarithmic axis.

    >>> ticks(0.0, 11.0, is_log=False), ticks(0.001, 2.0, is_log=True)
    ([0.0, 2.0, 4.0, 6.0, 8.0, 10.0], [0.001, 0.01, 0.1, 1.0])
    """
    if is_log:
        first, last = math.ceil(math.log10(start) - 1e-9), math.floor(math.log10(end) + 1e-9)
        stride = -(-(last - first + 1) // _MOST_TICKS)
        return [float(f"1e{power}") for power in range(first, last + 1, stride)]
    scale = 10.0 ** math.floor(math.log10(end / _MOST_TICKS))
    step = next(scale * factor for factor in (1, 2, 5, 10) if scale * factor * _MOST_TICKS >= end * (1 - 1e-9))
    return [float(f"{k * step:.12g}") for k in range(math.floor(end / step + 1e-9) + 1)]
