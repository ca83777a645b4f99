"""What the comparison of jobs computes, without HTTP: differing rows, profiles, pictures, tables as CSV."""

from __future__ import annotations

import csv
import doctest
import io
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from pages import NOW, job_view
from qiosk.contract.jobs import ErrorData, JobProgress, JobStatus, JobView, TracePoint
from qiosk.contract.provenance import environment
from qiosk.dashboard.compare import drawing, rows, tables
from qiosk.dashboard.compare.profiles import GAPS, Compared, by_problem, compared, profile
from qiosk.dashboard.compare.rows import Gap, Kind, Row, Section

VALUES = st.one_of(
    st.just(Gap.UNKNOWN), st.just(Gap.ABSENT), st.none(), st.booleans(), st.integers(0, 2), st.sampled_from([0.0, 1.0]),
    st.sampled_from(["", "a"]), st.lists(st.integers(0, 1), max_size=2),
)  # fmt: skip
TRACES = st.lists(st.tuples(st.floats(0, 10), st.integers(-50, 50)), max_size=6)


def view(number: int, **members) -> JobView:
    begun = structs.replace(environment(), problem="sha256:abc")
    members = {"begin_execution_time": NOW, "provenance": begun, "input_data_uri": f"input {number}", **members}
    return job_view(**{"id": f"job-{number}", "name": f"job {number}", **members})


def job(number: int, points=(), **members) -> Compared:
    trace = tuple(TracePoint(seconds, place, float(cost)) for place, (seconds, cost) in enumerate(points))
    return compared(number, view(number, **members), trace)


def reported(**members):
    return structs.replace(environment(), **{"problem": "sha256:abc", **members})


def row_of(sections: list[Section], label: str) -> Row:
    return next(row for section in sections for row in section.rows if row.label == label)


@pytest.mark.parametrize("module", [rows, drawing])
def test_the_examples_are_right(module):
    assert doctest.testmod(module).failed == 0


def seems_same(one, other):
    return repr(normal(one)) == repr(normal(other))


def normal(value):
    """A value whose text tells it from all values that are not equal."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return [normal(each) for each in value] if isinstance(value, list) else value
    return float(value)


@given(st.lists(VALUES, min_size=2, max_size=8))
def test_a_row_differs_if_any_two_known_values_do(values):
    known = [value for value in values if value is not Gap.UNKNOWN]
    expected = any(not seems_same(one, other) for one in known for other in known)
    assert Row("a", Kind.VALUE, tuple(values)).differs is expected


def test_only_rows_that_differ_are_kept():
    same, other = Row("same", Kind.VALUE, (1, 1.0)), Row("other", Kind.VALUE, (1, True))
    assert rows.differing([Section("a", [same]), Section("b", [same, other])]) == [Section("b", [other])]


def test_jobs_of_one_problem_are_found_by_its_digest_or_their_input():
    other = job(2, provenance=reported(problem="sha256:def"))
    waiting = job(3, provenance=None, input_data_uri="input 1")
    nothing_known = job(4, provenance=None)
    first, again = job(1), job(5)
    assert by_problem([first, other, waiting, nothing_known, again]) == (
        [[first, waiting, again], [other]],
        [nothing_known],
    )


@given(st.lists(TRACES, min_size=2, max_size=8))
def test_a_profile_counts_the_jobs_that_have_reached_a_cost(traces):
    jobs = [job(number, sorted(trace)) for number, trace in enumerate(traces, 1)]
    found = profile(jobs)
    costs = [cost for trace in traces for _, cost in trace]
    if not costs:
        assert found is None
        return
    assert found.best == min(costs)
    moments = sorted({0.0, *(seconds for trace in traces for seconds, _ in trace)})
    for gap in GAPS:
        goal = found.goal(gap)
        for moment in moments:
            is_there = [
                any(seconds <= moment and cost <= min(costs) + gap * abs(min(costs)) + 1e-6 for seconds, cost in trace)
                for trace in traces
            ]
            assert sum(step <= moment for step in goal.steps) == sum(is_there)
    for count, times in found.rows:
        assert times == [goal.steps[count - 1] if len(goal.steps) >= count else None for goal in found.goals]


def test_jobs_that_have_not_begun_are_in_no_profile():
    waiting = job(3, begin_execution_time=None)
    found = profile([job(1, [(1.0, -5)]), job(2), waiting])
    assert [each.number for each in found.jobs] == [1, 2]
    assert [list(goal.times) for goal in found.goals] == [[1.0, math.inf]] * 3
    assert profile([job(1, [(1.0, -5)]), waiting]) is None


@pytest.mark.parametrize("is_log", [False, True])
def test_the_picture_steps_up_by_a_job_each(is_log):
    found = profile([job(1, [(0.0, -10)]), job(2, [(0.5, -9.95), (4.0, -10)]), job(3, [(2.0, -5)])])
    picture = drawing.drawing(found, is_log=is_log)
    for path, goal in zip(picture.paths, found.goals, strict=True):
        places = [(float(x), float(y)) for x, y in re.findall(r"H([\d.]+)V([\d.]+)", path)]
        assert [y for _, y in places] == [drawing.y_of((k + 1) / 3) for k in range(len(goal.steps))]
        xs = [x for x, _ in places]
        assert xs == sorted(xs)
        assert all(drawing.LEFT <= x <= drawing.WIDTH - drawing.RIGHT for x in xs)
    assert all(drawing.LEFT <= tick.x <= drawing.WIDTH - drawing.RIGHT for tick in picture.ticks)


@given(st.floats(2e-3, 1e8), st.booleans())
def test_the_marks_of_an_axis_are_few_and_on_it(end, is_log):
    start = 1e-3 if is_log else 0.0
    found = drawing.ticks(start, end, is_log=is_log)
    assert 1 <= len(found) <= 7
    assert found == sorted(found)
    assert start * 0.999 <= found[0]
    assert found[-1] <= end * 1.001


def test_results_are_relative_to_the_best_of_the_same_problem():
    one = job(1, [(1.0, -10)], progress=JobProgress(best_cost=-10.0, bound=-11.0, sweeps=5, seconds=3.0))
    two = job(
        2, [(1.0, -5), (2.0, -9)], progress=JobProgress(best_cost=-9.0), provenance=reported(stop_reason="timeout")
    )
    other = job(3, [(1.0, -90)], progress=JobProgress(best_cost=-90.0), provenance=reported(problem="sha256:d"))
    failed = job(4, provenance=None, status=JobStatus.FAILED, error_data=ErrorData(code="AZQ1", message=""))
    running = job(5, status=JobStatus.EXECUTING)
    jobs = [one, two, other, failed, running]
    found = tables.results(jobs, [profile([one, two, running])])
    gone, open_ = Gap.ABSENT, Gap.UNKNOWN
    assert row_of(found, "Best cost").values == (-10.0, -9.0, -90.0, gone, open_)
    assert row_of(found, "Above the best of these jobs").values == (0.0, 0.1, gone, gone, open_)
    assert row_of(found, "Lower bound").values == (-11.0, gone, gone, gone, open_)
    assert row_of(found, "Gap to its bound").values == (0.1, gone, gone, gone, open_)
    assert row_of(found, "Time to its best").values == (1.0, 2.0, 1.0, gone, open_)
    assert row_of(found, "Time to the best of these jobs").values == (1.0, gone, gone, gone, open_)
    assert row_of(found, "Sweeps to its best").values == (0, 1, 0, gone, open_)
    assert row_of(found, "Stop reason").values[1] == "timeout"
    assert row_of(found, "Error").values == (gone, gone, gone, "AZQ1", open_)


def test_parameters_are_those_in_effect_else_those_given():
    ran = job(
        1, provenance=reported(given={"sweeps": 5, "seed": 1, "beta": None}, parameters={"sweeps": 4, "beta": 2.0})
    )
    other = job(2, provenance=reported(given={"sweeps": 4, "seed": 1, "replicas": None}))
    waiting = job(3, provenance=None, status=JobStatus.WAITING, input_params={"params": {"sweeps": 4}})
    found = tables.settings([ran, other, waiting])
    sweeps = row_of(found, "sweeps")
    assert sweeps.values == (4, 4, 4)
    assert sweeps.notes == ("given 5", "", "")
    assert not sweeps.differs
    assert row_of(found, "beta").values == (2.0, Gap.ABSENT, Gap.UNKNOWN)
    assert row_of(found, "beta").differs
    assert row_of(found, "replicas").values == (Gap.ABSENT, Gap.ABSENT, Gap.UNKNOWN)
    assert not any(row.label == "seed" for row in found[1].rows)


def test_a_table_as_csv_has_values_that_no_spreadsheet_computes():
    section = Section("a, b", [
        Row("=1+1", Kind.VALUE, (-0.1, "@x", [1, {"a": None}])),
        Row("rest", Kind.COST, (Gap.UNKNOWN, None, math.inf)),
    ])  # fmt: skip
    text = "".join(rows.as_csv(["one", "two", "three"], ["+1", 'a "name"\n', "c"], [section]))
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["section", "property", "differs", "one", "two", "three"],
        ["", "Name", "", "'+1", 'a "name"\n', "c"],
        ["a, b", "'=1+1", "yes", "-0.1", "'@x", '[1,{"a":null}]'],
        ["a, b", "rest", "yes", "", "", ""],
    ]
