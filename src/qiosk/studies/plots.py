"""Plots that compare the solvers of a study, with matplotlib: ``pip install qiosk[plot]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qiosk.errors import InvalidValue, extra
from qiosk.studies.rows import Row
from qiosk.studies.statistics import mean_ranks, median_times, median_values, performance_ratios, profile, reached

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["performance_profile", "ranks", "time_to_target"]

_POINTS = 500
_SIZE = 6.4, 4.0


def performance_profile(rows: Sequence[Row], *, ax: Axes | None = None) -> Axes:
    """Plot for each solver the share of the instances on which it reaches the target within so many times the time of
    the fastest solver; returns the axes.

    Times are medians over the seeds. E. D. Dolan and J. J. Moré, Mathematical Programming 91, 201 (2002),
    doi:10.1007/s101070100263. Raises InvalidValue if there is nothing to compare; MissingExtra without matplotlib.

    >>> import qiosk
    >>> from qiosk.studies.plots import performance_profile
    >>> problem = qiosk.Problem("chain")
    >>> problem.add_terms(coefficients=[1] * 9, ids=[[i, i + 1] for i in range(9)])
    >>> targets = [{"target": "tabu", "grid": {"sweeps": [1, 20]}}]
    >>> study = qiosk.Study(qiosk.Workspace(), "chains", [problem], targets, seeds=2)
    >>> study.run()
    >>> performance_profile(study.rows()).get_ylabel()
    'fraction of 1 instances'
    """
    medians = median_times(rows)
    ratios = performance_ratios(medians.values)
    largest = float(np.max(ratios[np.isfinite(ratios)], initial=2.0))
    at = np.geomspace(1.0, largest * 1.1, _POINTS)
    axes = _axes(ax)
    for k, solver in enumerate(medians.solvers):
        axes.step(at, profile(ratios[:, k], at), where="post", label=solver)
    axes.set(xscale="log", xlabel="time to target / shortest time to target", ylim=(-0.02, 1.02))
    axes.set_ylabel(f"fraction of {len(medians.instances)} instances")
    axes.legend(frameon=False)
    return axes


def time_to_target(rows: Sequence[Row], *, ax: Axes | None = None) -> Axes:
    """Plot for each solver the fraction of its runs that have reached the target by a time; returns the axes.

    R. M. Aiex, M. G. C. Resende and C. C. Ribeiro, Optimization Letters 1, 355 (2007), doi:10.1007/s11590-006-0031-4.
    Raises InvalidValue without any run that has ended; MissingExtra without matplotlib.

    >>> import qiosk
    >>> from qiosk.studies.plots import time_to_target
    >>> problem = qiosk.Problem("chain")
    >>> problem.add_terms(coefficients=[1] * 9, ids=[[i, i + 1] for i in range(9)])
    >>> targets = [{"target": "tabu", "grid": {"sweeps": [1, 20]}}]
    >>> study = qiosk.Study(qiosk.Workspace(), "chains", [problem], targets, seeds=2)
    >>> study.run()
    >>> [text.get_text() for text in time_to_target(study.rows()).get_legend().get_texts()]
    ['tabu sweeps=1 (2)', 'tabu sweeps=20 (2)']
    """
    found = reached(rows)
    axes = _axes(ax)
    latest = max((float(times[-1]) for times, _ in found.values() if len(times)), default=1.0)
    for solver, (times, runs) in found.items():
        steps = np.arange(1, len(times) + 1) / runs
        first = times[0] if len(times) else latest
        axes.step(
            [first, *times, latest * 1.1], [0.0, *steps, len(times) / runs], where="post", label=f"{solver} ({runs})"
        )
    axes.set(xscale="log", xlabel="time [s]", ylabel="fraction of runs that reached the target", ylim=(-0.02, 1.02))
    axes.legend(frameon=False)
    return axes


def ranks(rows: Sequence[Row], *, ax: Axes | None = None, seed: int = 0) -> Axes:
    """Plot the mean rank of each solver over the instances, by median cost, with bootstrap intervals of 95 %; returns
    the axes. ``seed`` is that of the bootstrap.

    Raises InvalidValue if there is nothing to compare; MissingExtra without matplotlib.

    >>> import qiosk
    >>> from qiosk.studies.plots import ranks
    >>> problem = qiosk.Problem("chain")
    >>> problem.add_terms(coefficients=[1] * 9, ids=[[i, i + 1] for i in range(9)])
    >>> targets = [{"target": "tabu", "grid": {"sweeps": [1, 20]}}]
    >>> study = qiosk.Study(qiosk.Workspace(), "chains", [problem], targets, seeds=2)
    >>> study.run()
    >>> ranks(study.rows()).get_xlabel()
    'mean rank over 1 instances'
    """
    medians = median_values(rows)
    found = sorted(mean_ranks(medians, seed=seed).items(), key=lambda item: item[1].mean)
    axes = _axes(ax)
    places = range(len(found))
    means = [rank.mean for _, rank in found]
    errors = [[rank.mean - rank.low for _, rank in found], [rank.high - rank.mean for _, rank in found]]
    axes.errorbar(means, places, xerr=errors, fmt="o", capsize=3)
    axes.set_yticks(places, [solver for solver, _ in found])
    axes.invert_yaxis()
    axes.set(xlabel=f"mean rank over {len(medians.instances)} instances", xlim=(0.9, len(found) + 0.1))
    return axes


PLOTS: Mapping[str, Callable[..., Axes]] = {
    "performance-profile": performance_profile,
    "time-to-target": time_to_target,
    "ranks": ranks,
}
"""The plots by name."""


def plot(kind: str, rows: Sequence[Row], **options: Any) -> Axes:
    """One of the plots by name. Raises InvalidValue for another name, and as the plots."""
    if kind not in PLOTS:
        raise InvalidValue(f"plot: must be one of {', '.join(PLOTS)}, found {kind!r}")
    return PLOTS[kind](rows, **options)


def save(kind: str, rows: Sequence[Row], path: Path) -> None:
    """Draw one of the plots to a file, without a window. Raises as ``plot``; OSError; InvalidValue for a suffix that
    matplotlib cannot write.
    """
    with extra("plot", "plots"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    figure = Figure(figsize=_SIZE, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    known = canvas.get_supported_filetypes()
    if path.suffix.lower().lstrip(".") not in known:
        raise InvalidValue(f"picture: its name must end in one of {', '.join(sorted(known))}, found {str(path)!r}")
    plot(kind, rows, ax=figure.subplots())
    figure.savefig(path)


def _axes(given: Axes | None) -> Axes:
    if given is not None:
        return given
    with extra("plot", "plots"):
        from matplotlib import pyplot
    axes: Axes = pyplot.subplots(figsize=_SIZE, layout="constrained")[1]
    return axes
