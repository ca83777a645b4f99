"""Statistics, tables and plots of studies, beside plain loops that compute the same."""

from __future__ import annotations

import csv
import itertools
import math
import statistics as plain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.contract.jobs import TracePoint
from qiosk.contract.provenance import environment
from qiosk.errors import InvalidValue
from qiosk.studies import plots
from qiosk.studies.rows import Row, with_targets
from qiosk.studies.statistics import (
    mean_ranks,
    median_times,
    median_values,
    performance_ratios,
    profile,
    ranks,
    reached,
)
from qiosk.studies.tables import columns, frame, json_records, record, write_table

INF = math.inf


def row(instance: str, solver: str, seed: int = 0, **members: Any) -> Row:
    given = {"variables": 9, "target": "microsoft.tabu.cpu", "parameters": {}, "status": "Succeeded", **members}
    return Row(instance=instance, solver=solver, seed=seed, **given)


def rows_of(times: dict[tuple[str, str], list[float]]) -> list[Row]:
    return [
        row(instance, solver, seed, time_to_target=seconds, cost=seconds)
        for (instance, solver), some in times.items()
        for seed, seconds in enumerate(some)
    ]


TIMES = {
    ("p", "a"): [1.0, 3.0],
    ("p", "b"): [1.0, 1.0, 7.0],
    ("q", "a"): [0.0, INF],
    ("q", "b"): [4.0],
    ("r", "a"): [INF],
    ("r", "b"): [INF, INF],
    ("s", "a"): [1.0],  # b has not ended here
}


def test_medians_are_of_the_instances_that_all_solvers_have_run() -> None:
    found = median_times([*rows_of(TIMES), row("s", "b", status="Executing")])
    assert (found.solvers, found.instances) == (["a", "b"], ["p", "q", "r"])
    assert found.values.tolist() == [[2.0, 1.0], [INF, 4.0], [INF, INF]]
    with pytest.raises(InvalidValue, match="no instance has runs of all solvers that have ended"):
        median_times([row("s", "b", status="Executing")])


def test_failed_runs_are_the_worst_and_unreadable_instances_are_left_out() -> None:
    rows = [row("p", "a", cost=1.0), row("p", "b", status="Failed"), row("q", "a", status="Unreadable")]
    found = median_values([*rows, row("q", "b", status="Unreadable")])
    assert (found.instances, found.values.tolist()) == (["p"], [[1.0, INF]])


def test_a_performance_profile_is_a_distribution_of_ratios() -> None:
    medians = median_times(rows_of(TIMES))
    ratios = performance_ratios(medians.values)
    assert ratios.tolist() == [[2.0, 1.0], [INF, 1.0], [INF, INF]]
    at = np.array([1.0, 1.5, 2.0, 100.0])
    for k in range(2):
        slow = [sum(ratio <= limit for ratio in ratios[:, k]) / len(ratios) for limit in at]
        assert profile(ratios[:, k], at).tolist() == slow


def slow_ranks(values: list[float]) -> list[float]:
    """The mean of the places that a value takes in all orders of the equal ones."""
    places = []
    for value in values:
        lower = sum(other < value for other in values)
        equal = sum(other == value for other in values)
        places.append(plain.mean(range(lower + 1, lower + equal + 1)))
    return places


@given(st.lists(st.lists(st.sampled_from([-3.0, 0.0, 1.0, 2.0, INF]), min_size=3, max_size=3), min_size=1, max_size=5))
def test_ranks_are_those_of_a_plain_count(values: list[list[float]]) -> None:
    assert ranks(np.array(values)).tolist() == [slow_ranks(some) for some in values]


def test_costs_that_differ_by_rounding_share_a_rank() -> None:
    assert ranks(np.array([[-10.0, -10.0 * (1 + 1e-12), -9.0]])).tolist() == [[1.5, 1.5, 3.0]]


def test_intervals_of_mean_ranks_are_those_of_all_samples() -> None:
    """With three instances all 27 samples can be listed; the bootstrap's quantiles are near theirs."""
    times = {
        ("p", "a"): [1.0],
        ("p", "b"): [2.0],
        ("q", "a"): [1.0],
        ("q", "b"): [2.0],
        ("r", "a"): [2.0],
        ("r", "b"): [1.0],
    }
    medians = median_values(rows_of(times))
    found = mean_ranks(medians, seed=1)
    of_a = [1.0, 1.0, 2.0]
    samples = sorted(plain.mean(of_a[k] for k in drawn) for drawn in itertools.product(range(3), repeat=3))
    assert found["a"].mean == pytest.approx(4 / 3)
    assert found["b"].mean == pytest.approx(5 / 3)
    assert (found["a"].low, found["a"].high) == (samples[0], samples[-1])
    assert mean_ranks(medians, seed=1) == found
    assert found["a"].low <= found["a"].mean <= found["a"].high


def test_a_single_instance_has_no_interval() -> None:
    found = mean_ranks(median_values([row("p", "a", cost=1.0), row("p", "b", cost=2.0)]))
    assert found == {"a": (1.0, 1.0, 1.0), "b": (2.0, 2.0, 2.0)}


def test_runs_that_reach_the_target_are_counted() -> None:
    found = reached(rows_of(TIMES))
    assert [(solver, times.tolist(), runs) for solver, (times, runs) in found.items()] == [
        ("a", [0.001, 1.0, 1.0, 3.0], 6),
        ("b", [1.0, 1.0, 4.0, 7.0], 6),
    ]
    with pytest.raises(InvalidValue, match="no run with a target cost has ended"):
        reached([row("p", "a", status="Executing")])


def test_plots_show_these_numbers() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = rows_of(TIMES)
    axes = plots.plot("performance-profile", rows)
    assert [line.get_ydata()[-1] for line in axes.lines] == pytest.approx([1 / 3, 2 / 3])
    assert axes.get_ylabel() == "fraction of 3 instances"
    axes = plots.plot("time-to-target", rows)
    assert [line.get_ydata()[-1] for line in axes.lines] == pytest.approx([4 / 6, 4 / 6])
    axes = plots.plot("ranks", rows, seed=2)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    assert axes.lines[0].get_xdata().tolist() == pytest.approx([(1 + 1 + 1.5) / 3, (2 + 2 + 1.5) / 3])
    never = [row("p", "a", time_to_target=INF), row("p", "b", time_to_target=INF)]
    assert [line.get_ydata()[-1] for line in plots.plot("time-to-target", never).lines] == [0.0, 0.0]
    assert [line.get_ydata()[-1] for line in plots.plot("performance-profile", never).lines] == [0.0, 0.0]
    with pytest.raises(
        InvalidValue, match="plot: must be one of performance-profile, time-to-target, ranks, found 'x'"
    ):
        plots.plot("x", rows)
    pyplot.close("all")


def test_pictures_are_written_by_their_suffix(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plots.save("ranks", rows_of(TIMES), tmp_path / "a.svg")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    with pytest.raises(InvalidValue, match="picture: its name must end in one of"):
        plots.save("ranks", rows_of(TIMES), tmp_path / "a.doc")


TABLE = [
    row("p", "a", parameters={"sweeps": 5, "all_betas": [1, 2]}, cost=-1.5, time_to_target=INF, violated=("x", "y")),
    row("q", "b", parameters={"timeout": 1.0}, status="Unreadable", variables=None, error="wrong", is_feasible=False),
    row("q", "b", seed=1, parameters={"timeout": 1.0}, provenance=environment(threads=2), objective=3.0),
]


def test_a_table_has_a_column_for_each_parameter(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", TABLE)
    with (tmp_path / "a.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == columns(TABLE)
    assert {"parameter_sweeps", "parameter_all_betas", "parameter_timeout"} < set(columns(TABLE))
    for line, each in zip(read, TABLE, strict=True):
        assert line == {name: _text(record(each).get(name)) for name in columns(TABLE)}
    assert (read[0]["cost"], read[0]["time_to_target"], read[0]["violated"]) == ("-1.5", "inf", "x; y")
    write_table(tmp_path / "b.csv", [])
    assert (tmp_path / "b.csv").read_text().splitlines() == [",".join(columns([]))]
    with pytest.raises(InvalidValue, match=r"table file: its name must end in one of \.csv, \.parquet"):
        write_table(tmp_path / "a.xlsx", TABLE)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def test_json_has_no_infinite_numbers_and_the_whole_provenance() -> None:
    found = json_records(TABLE)
    assert found[0]["time_to_target"] is None
    assert found[2]["provenance"]["machine"]["threads"] == 2


def test_a_frame_has_the_types_of_its_columns() -> None:
    pytest.importorskip("pandas")
    found = frame(TABLE)
    assert list(found.columns) == columns(TABLE)
    assert found["cost"].tolist()[0] == -1.5
    assert found["cost"].isna().tolist() == [False, True, True]
    assert found["variables"].isna().tolist() == [False, True, False]
    assert found["threads"].tolist()[2] == 2
    assert found.groupby("solver")["objective"].max()["b"] == 3.0
    assert frame([]).dtypes["cost"] == "float64"


def test_parquet_contains_the_same(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    write_table(tmp_path / "a.parquet", TABLE)
    read = pandas.read_parquet(tmp_path / "a.parquet")
    assert read["cost"].tolist()[0] == -1.5
    assert read["parameter_all_betas"].tolist()[0] == "[1, 2]"
    assert list(read.columns) == columns(TABLE)
    mixed = [row("p", "a", parameters={"kernel": value, "rate": 0.5}) for value in ("auto", 3, True, None, [1])]
    write_table(tmp_path / "b.parquet", mixed)
    read = pandas.read_parquet(tmp_path / "b.parquet")
    assert read["parameter_kernel"].dropna().tolist() == ['"auto"', "3", "true", "[1]"]
    assert read["parameter_rate"].tolist() == [0.5] * 5
    write_table(tmp_path / "c.parquet", [row("p", "a", parameters={"kernel": "plain"}), row("p", "b")])
    assert pandas.read_parquet(tmp_path / "c.parquet")["parameter_kernel"].dropna().tolist() == ["plain"]


def test_targets_follow_from_the_best_cost() -> None:
    trace = [TracePoint(1.0, 1, -5.0), TracePoint(2.0, 2, -10.0)]
    rows = [row("p", "a", cost=-10.0, trace=trace), row("p", "b", cost=-5.0, trace=trace[:1])]
    assert [(each.target_cost, each.time_to_target) for each in with_targets(rows, 0.0)] == [(-10.0, 2.0), (-10.0, INF)]
    assert [each.time_to_target for each in with_targets(rows, 0.5)] == [1.0, 1.0]
    assert [each.best_known_gap for each in with_targets(rows, 0.5)] == [None, None]
