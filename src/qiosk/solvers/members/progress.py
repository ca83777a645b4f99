"""The progress of members as that of one solve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from qiosk.contract.jobs import BoundPoint, JobProgress, TracePoint, with_bound


def merge_progress(found: Mapping[int, JobProgress], nodes: int) -> JobProgress:
    """The progress of a solve of ``nodes`` members, of those by index that have reported; the others have not begun.

    The fraction is the mean, sweeps are added up, cost and bound are the best, seconds the most. Something is done
    instead of searching only while that is so of all members that have not come to their end.

    >>> parts = {0: JobProgress(fraction=1.0, best_cost=-3.0, seconds=2.0), 1: JobProgress(best_cost=-4.0)}
    >>> merged = merge_progress(parts, 4)
    >>> merged.fraction, merged.best_cost, merged.seconds
    (0.25, -4.0, 2.0)
    """
    parts = [found[index] for index in sorted(found)]
    costs = [part.best_cost for part in parts if part.best_cost is not None]
    bounds = [part.bound for part in parts if part.bound is not None]
    running = [part.activity for part in parts if part.fraction < 1.0]
    return JobProgress(
        fraction=min(1.0, sum(part.fraction for part in parts) / nodes),
        sweeps=sum(part.sweeps for part in parts),
        best_cost=min(costs, default=None),
        seconds=max((part.seconds for part in parts), default=0.0),
        bound=max(bounds, default=None),
        bounds=merge_bounds([part.bounds for part in parts]),
        activity=next(iter(running)) if running and all(running) else None,
    )


def merge_traces(traces: Iterable[Sequence[TracePoint]]) -> list[TracePoint]:
    """The improvements of the best cost of all, in the order of time.

    >>> merge_traces([[TracePoint(1.0, 8, -3.0), TracePoint(5.0, 64, -4.0)], [TracePoint(2.0, 4, -4.0)]])
    [TracePoint(seconds=1.0, sweep=8, cost=-3.0), TracePoint(seconds=2.0, sweep=4, cost=-4.0)]
    """
    points = sorted((point for trace in traces for point in trace), key=lambda p: (p.seconds, p.cost, p.sweep))
    merged: list[TracePoint] = []
    for point in points:
        if not merged or point.cost < merged[-1].cost:
            merged.append(point)
    return merged


def merge_bounds(curves: Iterable[Sequence[BoundPoint]]) -> tuple[BoundPoint, ...]:
    """Every better bound of all, in the order of time; of many those that changed most."""
    merged: tuple[BoundPoint, ...] = ()
    for point in sorted((p for curve in curves for p in curve), key=lambda p: (p.seconds, p.bound)):
        merged = with_bound(merged, point.seconds, point.bound)
    return merged
