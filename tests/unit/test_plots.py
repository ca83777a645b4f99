"""Plots show the searches that they are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import qiosk
from qiosk import plots
from qiosk.contract.jobs import BoundPoint, TracePoint
from qiosk.errors import InvalidValue
from qiosk.problem import Problem, Term

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def pages():
    """No window, and nothing left open."""
    from matplotlib import pyplot

    matplotlib.use("Agg")
    yield
    pyplot.close("all")


SLOW = [TracePoint(0.0, 1, 5.0), TracePoint(1.0, 100, -3.0)]
FAST = [TracePoint(0.01, 1, -3.0)]


def test_a_search_is_drawn_as_steps():
    axes = plots.search(SLOW, label="slow")
    line = axes.lines[0]
    assert line.get_xdata().tolist() == [plots.EARLIEST_S, 1.0, 1.0]
    assert line.get_ydata().tolist() == [5.0, -3.0, -3.0]
    assert axes.get_xscale() == "log"


def test_the_bound_is_drawn_below_the_cost():
    problem = Problem("p", [Term(c=1, indices=[0, 1])])
    result = replace(qiosk.solve(problem, seed=1), trace=SLOW, bounds=[BoundPoint(0.0, -8.0), BoundPoint(0.5, -3.0)])
    axes = result.plot(bound=True)
    dashed = axes.lines[-1]
    assert (dashed.get_linestyle(), dashed.get_color()) == ("--", axes.lines[0].get_color())
    assert dashed.get_xdata().tolist() == [plots.EARLIEST_S, 0.5, 1.0]
    assert dashed.get_ydata().tolist() == [-8.0, -3.0, -3.0]
    assert len(plots.search(SLOW, bound=True).lines) == len(plots.search(SLOW).lines)


def test_results_draw_themselves():
    problem = Problem("p", [Term(c=1, indices=[0, 1]), Term(c=2, indices=[1])])
    result = qiosk.solve(problem, seed=1, number_of_solutions=3)
    axes = result.plot()
    assert axes.lines[0].get_ydata()[-1] == result.cost
    assert [bar.get_height() for bar in plots.solutions(result).patches] == [
        s.cost - result.cost for s in result.solutions
    ]
    with pytest.raises(InvalidValue, match="no exchanges"):
        plots.ladder(result)


def test_replicas_and_rungs():
    rng = np.random.default_rng(3)
    pairs = np.array([(i, j) for i in range(40) for j in range(i) if rng.random() < 0.2])
    problem = Problem.from_arrays(rng.choice([-1, 1], len(pairs)), pairs, problem_type="ising")
    annealed = qiosk.solve(problem, "microsoft.simulatedannealing.cpu", sweeps=20, restarts=30, seed=1)
    axes = plots.replicas(annealed)
    assert sum(bar.get_height() for bar in axes.patches) == len(annealed.statistics["replica_costs"]) >= 30
    assert min(annealed.statistics["replica_costs"]) == annealed.cost
    tempered = qiosk.solve(problem, "microsoft.paralleltempering.cpu", sweeps=50, replicas=8, seed=1)
    axes = plots.ladder(tempered)
    assert len(axes.lines[0].get_ydata()) == len(tempered.parameters["all_betas"]) - 1
    assert all(0 < rate < 1 for rate in axes.lines[0].get_ydata())
    with pytest.raises(InvalidValue, match="no costs of replicas"):
        plots.replicas(tempered)


def test_comparing_reads_time_to_target_and_gaps():
    figure = plots.compare({"slow": [SLOW, SLOW, FAST], "fast": FAST})
    reached, gaps = figure.axes
    slow, fast = (line.get_ydata() for line in reached.lines)
    assert slow[-1] == fast[-1] == 1.0
    assert slow[len(slow) // 2] == pytest.approx(1 / 3)
    assert np.nanmax(gaps.lines[0].get_ydata()) == pytest.approx(8 / 3)
    assert [text.get_text() for text in reached.get_legend().get_texts()] == ["slow", "fast"]


def test_runs_name_themselves():
    problem = Problem("p", [Term(c=1, indices=[0, 1])])
    figure = plots.compare([qiosk.solve(problem, seed=1), qiosk.solve(problem, seed=2)], target=-2)
    assert len(figure.axes[0].lines) == 1
    assert figure.axes[0].lines[0].get_ydata()[-1] == 0.0


def test_nothing_to_show():
    with pytest.raises(InvalidValue, match="found nothing yet"):
        plots.search([])
    with pytest.raises(InvalidValue, match="at least one run"):
        plots.compare([])
