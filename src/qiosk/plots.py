"""Plots of searches, with matplotlib: ``pip install qiosk[plot]``.

A *run* is a job, a result, or a sequence of trace points. ``job.plot()`` and ``result.plot()`` call :func:`search` for
one run; :func:`compare` shows several runs in one figure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qiosk.contract.jobs import BoundPoint, TracePoint
from qiosk.errors import InvalidValue, extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMALLEST_GAP = 1e-6
"""Gaps below this are drawn on a linear scale, down to 0."""
EARLIEST_S = 1e-3
"""Start of logarithmic time axes; solutions that were found earlier are drawn here."""


def search(
    run: Any, *, ax: Axes | None = None, label: str | None = None, log_time: bool = True, bound: bool = False
) -> Axes:
    """Plot the best cost over time, as steps; returns the axes.

    Args:
        run: a job, a result, or trace points.
        ax: axes to draw in; None creates a figure.
        label: label of the line in a legend.
        log_time: whether the time axis is logarithmic.
        bound: whether to draw the lower bound, too, as a dashed line; trace points have none.

    Raises InvalidValue for a run without solutions, MissingExtra without matplotlib.

    >>> import qiosk
    >>> from qiosk.plots import search
    >>> problem = qiosk.Problem("chain")
    >>> problem.add_terms(coefficients=[1] * 9, ids=[[i, i + 1] for i in range(9)])
    >>> search(qiosk.solve(problem, timeout=1)).get_ylabel()
    'best cost'
    """
    seconds, costs = _steps(run)
    end = max(_end(run), float(seconds[-1]))
    axes = _axes() if ax is None else ax
    axes.step([*seconds, end], [*costs, costs[-1]], where="post", label=label)
    axes.plot(seconds, costs, ".", color=axes.lines[-1].get_color())
    axes.set(xlabel="time [s]", ylabel="best cost", title=None if label else _name(run))
    if bound and (points := _bounds(run)):
        times = [max(point.seconds, EARLIEST_S) for point in points]
        values = [point.bound for point in points]
        color = axes.lines[-1].get_color()
        axes.step([*times, max(end, times[-1])], [*values, values[-1]], where="post", linestyle="--", color=color)
        axes.set(ylabel="best cost, bound (dashed)")
    if log_time:
        axes.set_xscale("log")
    return axes


def compare(runs: Mapping[str, Iterable[Any] | Any] | Sequence[Any], *, target: float | None = None) -> Figure:
    """Compare solvers: the fraction of their runs that have reached a cost by a time, and the gap to that cost.

    Args:
        runs: one run or several (with different seeds) by name; or a sequence of runs, named by their targets.
        target: the cost to be reached; by default the best of all runs.

    The left axes show the fraction of runs that have reached the target (the distribution of time to target), the right
    axes the median gap (cost - target) / max(1, |target|). Raises InvalidValue without runs, MissingExtra without
    matplotlib.

    >>> import qiosk
    >>> from qiosk.plots import compare
    >>> problem = qiosk.Problem("chain")
    >>> problem.add_terms(coefficients=[1] * 9, ids=[[i, i + 1] for i in range(9)])
    >>> def solve(solver):
    ...     return [qiosk.solve(problem, solver, sweeps=10, seed=seed) for seed in range(3)]
    >>> runs = {"annealing": solve("microsoft.simulatedannealing.cpu"), "tabu": solve("microsoft.tabu.cpu")}
    >>> len(compare(runs).axes)
    2
    """
    groups = _groups(runs)
    goal = min(costs[-1] for some in groups.values() for _, costs in some) if target is None else target
    latest = max(float(seconds[-1]) for some in groups.values() for seconds, _ in some)
    first = min(float(seconds[0]) for some in groups.values() for seconds, _ in some)
    decades = math.floor(math.log10(first)), math.floor(math.log10(latest)) + 1
    times = np.logspace(*decades, 200 * (decades[1] - decades[0]) + 1)
    figure = _figure(2)
    reached, gaps = figure.axes
    for name, some in groups.items():
        costs = np.array([_at(times, *steps) for steps in some])
        tolerance = 1e-9 * max(1.0, abs(goal))
        reached.step(times, (costs <= goal + tolerance).mean(axis=0), where="post", label=name)
        gap = np.median(costs, axis=0) - goal
        gaps.step(times, np.where(np.isfinite(gap), gap, np.nan) / max(1.0, abs(goal)), where="post", label=name)
    for axes in figure.axes:
        axes.set(xscale="log", xlabel="time [s]", xlim=(times[0], times[-1]))
        axes.xaxis.set_minor_formatter("")
    reached.set(ylabel=f"fraction of runs that reached {goal:g}", ylim=(-0.02, 1.02))
    gaps.set(ylabel=f"median of (cost - target) / {max(1.0, abs(goal)):g}")
    gaps.set_yscale("symlog", linthresh=SMALLEST_GAP)
    gaps.set_ylim(bottom=min(-SMALLEST_GAP / 4, gaps.dataLim.y0))
    reached.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return figure


def solutions(run: Any, *, ax: Axes | None = None) -> Axes:
    """Plot the costs of the solutions of a result or a job, best first; ``ax`` as for :func:`search`.

    >>> import qiosk
    >>> from qiosk.plots import solutions
    >>> problem = qiosk.Problem("chain")
    >>> problem.add_terms(coefficients=[1] * 9, ids=[[i, i + 1] for i in range(9)])
    >>> result = qiosk.solve(problem, timeout=1, number_of_solutions=4)
    >>> len(solutions(result).patches)
    4
    """
    found = run.get_results() if hasattr(run, "get_results") else run
    listed = found.solutions if hasattr(found, "solutions") else found["solutions"]
    costs = [item["cost"] if isinstance(item, Mapping) else item.cost for item in listed]
    axes = _axes() if ax is None else ax
    axes.bar(range(1, len(costs) + 1), np.array(costs) - min(costs, default=0.0))
    axes.set(xlabel="solution, best first", ylabel=f"cost above {min(costs, default=0.0):g}")
    axes.set_xticks(range(1, len(costs) + 1))
    return axes


def replicas(result: Any, *, ax: Axes | None = None, label: str | None = None) -> Axes:
    """Plot a histogram of the costs of an annealing run's replicas after the last sweep.

    ``ax`` and ``label`` as for :func:`search`. Raises InvalidValue for the result of another solver.

    >>> import qiosk
    >>> from qiosk.plots import replicas
    >>> problem = qiosk.Problem("chain")
    >>> problem.add_terms(coefficients=[1] * 9, ids=[[i, i + 1] for i in range(9)])
    >>> result = qiosk.solve(problem, "microsoft.simulatedannealing.cpu", sweeps=10, restarts=50, seed=1)
    >>> replicas(result).get_ylabel()
    'replicas'
    """
    costs = result.statistics.get("replica_costs")
    if not costs:
        raise InvalidValue(f"result of {result.target}: has no costs of replicas to show")
    axes = _axes() if ax is None else ax
    axes.hist(costs, bins="auto", label=label, alpha=0.8)
    axes.set(xlabel="cost after the last sweep", ylabel="replicas")
    return axes


def ladder(result: Any, *, ax: Axes | None = None, label: str | None = None) -> Axes:
    """Plot the acceptance rate of exchanges between neighbouring temperatures of parallel tempering, against beta.

    ``ax`` and ``label`` as for :func:`search`. Raises InvalidValue for the result of another solver.

    >>> import qiosk
    >>> from qiosk.plots import ladder
    >>> problem = qiosk.Problem("chain")
    >>> problem.add_terms(coefficients=[1] * 9, ids=[[i, i + 1] for i in range(9)])
    >>> result = qiosk.solve(
    ...     problem, "microsoft.paralleltempering.cpu", sweeps=10, all_betas=[0.1, 0.5, 1, 2], seed=1
    ... )
    >>> len(ladder(result).lines[0].get_xdata())
    3
    """
    rates = result.statistics.get("exchange_rates")
    betas = result.parameters.get("all_betas")
    if not rates or not betas:
        raise InvalidValue(f"result of {result.target}: has no exchanges between temperatures to show")
    axes = _axes() if ax is None else ax
    middles = (np.array(betas[1:]) + np.array(betas[:-1])) / 2
    axes.plot(middles[: len(rates)], rates, ".-", label=label)
    axes.set(xlabel="beta [1/cost]", ylabel="fraction of exchanges accepted", ylim=(0, 1))
    return axes


def _groups(runs: Any) -> dict[str, list[tuple[NDArray[Any], NDArray[Any]]]]:
    named: dict[str, list[Any]] = {}
    if isinstance(runs, Mapping):
        named = {name: _several(given) for name, given in runs.items()}
    else:
        for number, run in enumerate(runs):
            named.setdefault(_name(run) or f"run {number}", []).append(run)
    groups = {name: [_steps(run) for run in some] for name, some in named.items() if some}
    if not groups:
        raise InvalidValue("compare: needs at least one run")
    return groups


def _several(given: Any) -> list[Any]:
    is_one = hasattr(given, "trace") or (isinstance(given, Sequence) and all(isinstance(p, TracePoint) for p in given))
    return [given] if is_one else list(given)


def _steps(run: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Times [s] and costs of every new best solution."""
    trace = run.trace if hasattr(run, "trace") else run
    if not len(trace):
        raise InvalidValue(f"{_name(run) or 'run'}: has found nothing yet")
    seconds = np.maximum([point.seconds for point in trace], EARLIEST_S)
    return seconds, np.array([point.cost for point in trace])


def _bounds(run: Any) -> Sequence[BoundPoint]:
    """How the bound of a job or a result became better."""
    points: Sequence[BoundPoint] = run.progress.bounds if hasattr(run, "progress") else getattr(run, "bounds", ())
    return points


def _at(times: NDArray[Any], seconds: NDArray[Any], costs: NDArray[Any]) -> NDArray[Any]:
    """The best cost at each time; infinite before the first solution."""
    return np.concatenate([[np.inf], costs])[np.searchsorted(seconds, times, side="right")]


def _end(run: Any) -> float:
    """Time at which the run ended [s]; 0 if it is unknown."""
    if hasattr(run, "statistics"):
        return float(run.statistics["seconds"])
    return float(run.progress.seconds) if hasattr(run, "progress") else 0.0


def _name(run: Any) -> str | None:
    details = getattr(run, "details", None)
    if details is not None:
        return f"{details.name} ({details.target})"
    name: str | None = getattr(run, "target", None)
    return name


def _axes() -> Axes:
    axes: Axes = _figure(1).axes[0]
    return axes


def _figure(columns: int) -> Figure:
    with extra("plot", "plots"):
        from matplotlib import pyplot
    figure, _ = pyplot.subplots(1, columns, figsize=(5.2 * columns, 3.6), layout="constrained")
    return figure
