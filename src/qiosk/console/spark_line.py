"""The best cost of a search over time, in one line of small bars."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from qiosk.contract.jobs import TracePoint

EARLIEST_S: Final = 1e-3
"""Start of the time axis, which is logarithmic."""
_BARS: Final = "▁▂▃▄▅▆▇█"


def spark_line(points: Sequence[TracePoint], seconds: float, width: int) -> str:
    """Costs from the first improvement until ``seconds`` [s], in ``width`` columns; empty without a finite cost.

    The lowest bar is the best cost, the highest one the worst. Time is logarithmic, so that the many early improvements
    of a search do not all fall into the first column.

    >>> spark_line([TracePoint(1.0, 1, 8.0), TracePoint(10.0, 10, 1.0), TracePoint(100.0, 100, 0.0)], 1000.0, 4)
    '█▂▁▁'
    """
    known = [point for point in points if math.isfinite(point.cost)]
    if not known or width < 1:
        return ""
    times = [max(point.seconds, EARLIEST_S) for point in known]
    start, end = math.log(times[0]), math.log(max(seconds, times[-1]))
    step = (end - start) / max(1, width - 1)
    ends = [math.exp(start + k * step) * (1 + 1e-9) for k in range(width)]
    costs = [known[max(0, bisect_right(times, at) - 1)].cost for at in ends]
    least, most = min(costs), max(costs)
    return "".join(_bar(cost, least, most) for cost in costs)


def _bar(cost: float, least: float, most: float) -> str:
    share = (cost / 2 - least / 2) / (most / 2 - least / 2) if most > least else 0.0  # halves: no overflow
    return _BARS[min(len(_BARS) - 1, math.ceil(share * (len(_BARS) - 1)))]
