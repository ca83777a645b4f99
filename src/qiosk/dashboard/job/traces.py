"""The convergence of a job for a chart and a table: fewer points, with the same steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from qiosk.contract.jobs import JobProgress, TracePoint

EARLIEST_S: Final = 1e-3
"""Start of logarithmic time axes; what was found earlier is drawn here."""
TABLE_BUCKETS: Final = 7
"""Buckets of the table, which has at most four rows for each."""
NEAR: Final = 4.0
"""A bound is drawn by default if with it the axis of costs is at most this many times as long."""


class Curves(Struct, rename="camel", frozen=True, kw_only=True):
    """Columns of equal length: at each time [s] the sweeps done, the best cost and the bound; None before the first.

    Sweeps are None as well where only the bound became better. ``points`` is the number of points before thinning;
    ``is_bound_near``, whether the bound can be drawn on the axis of the costs without making their curve flat.
    """

    seconds: list[float]
    sweeps: list[int | None]
    costs: list[float | None]
    bounds: list[float | None]
    points: int
    is_bound_near: bool


def curves(points: Sequence[TracePoint], progress: JobProgress, *, buckets: int, is_log: bool) -> Curves:
    """The curves of a job's trace, of which each of ``buckets`` parts of the time axis keeps at most four points."""
    kept = [points[k] for k in thinned([p.seconds for p in points], [p.cost for p in points], buckets, is_log=is_log)]
    bounds = [(point.seconds, point.bound) for point in progress.bounds]
    if not bounds and progress.bound is not None:
        bounds = [(0.0, progress.bound)]
    times = sorted({point.seconds for point in kept} | {at for at, _ in bounds} | {progress.seconds} - {0.0})
    seconds, sweeps, costs, lower = [], [], [], []
    done = known = 0
    for at in times:
        before = done
        while done < len(kept) and kept[done].seconds <= at:
            done += 1
        while known < len(bounds) and bounds[known][0] <= at:
            known += 1
        seconds.append(max(at, EARLIEST_S) if is_log else at)
        is_last = at == times[-1] and at >= progress.seconds
        is_known = done and (done > before or is_last)
        sweeps.append(max(kept[done - 1].sweep, progress.sweeps if is_last else 0) if is_known else None)
        costs.append(kept[done - 1].cost if done else None)
        lower.append(bounds[known - 1][1] if known else None)
    return Curves(
        seconds=seconds,
        sweeps=sweeps,
        costs=costs,
        bounds=lower,
        points=len(points),
        is_bound_near=_is_near(costs, lower),
    )


def _is_near(costs: Sequence[float | None], bounds: Sequence[float | None]) -> bool:
    """Whether bounds leave the curve of the costs at least a part 1 / ``NEAR`` of the axis."""
    found = [cost for cost in costs if cost is not None]
    lower = [bound for bound in bounds if bound is not None]
    if not found or not lower:
        return bool(lower)
    return max(found) - min(lower) <= NEAR * (max(found) - min(found))


def thinned(seconds: Sequence[float], costs: Sequence[float], buckets: int, *, is_log: bool) -> list[int]:
    """The places of the points that a chart of ``buckets`` pixels needs, in order.

    ``seconds`` must not decrease. Of the points in each bucket of the time axis the first, the last, and those of the
    lowest and the highest cost are kept: with these the drawn steps cover the same pixels.

    >>> thinned([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 5, 1, 2, -9, 3, 3, 3, 3, 3], 1, is_log=False)
    [0, 1, 4, 9]
    """
    if len(seconds) <= 4 * buckets:
        return list(range(len(seconds)))
    times = np.maximum.accumulate(np.asarray(seconds, np.float64))
    values = np.asarray(costs, np.float64)
    axis = np.log(np.maximum(times, EARLIEST_S)) if is_log else times
    length = axis[-1] - axis[0]
    bucket = np.zeros(len(axis)) if length <= 0 else np.minimum((axis - axis[0]) / length * buckets, buckets - 1)
    starts: NDArray[np.intp] = np.flatnonzero(np.diff(bucket.astype(np.int64), prepend=-1))
    kept: set[int] = set()
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(axis)], strict=True):
        part = values[start:stop]
        kept |= {start, start + int(part.argmin()), start + int(part.argmax()), stop - 1}
    return sorted(kept)


def table(points: Sequence[TracePoint]) -> list[TracePoint]:
    """The points that tell how a search converged, for people who read a table: at most 28."""
    places = thinned([p.seconds for p in points], [p.cost for p in points], TABLE_BUCKETS, is_log=True)
    return [points[k] for k in places]
