"""What the pages of a job show, without HTTP: thinned traces, configurations, timelines, parameters."""

from __future__ import annotations

import doctest
import struct
import zlib
from datetime import timedelta

import numpy as np
import pytest
from msgspec import structs

from pages import NOW, job_view
from qiosk import Problem
from qiosk.contract.jobs import BoundPoint, ErrorData, JobProgress, JobStatus, TracePoint
from qiosk.contract.logs import LogLine
from qiosk.contract.provenance import environment
from qiosk.dashboard.job import configurations, kept_traces, models, problems, shown, traces
from qiosk.dashboard.job.timeline import timeline
from qiosk.dashboard.pages.errors import anchor_of, documented
from qiosk.errors import InvalidFilter
from qiosk.formats.files import by_name


def points(costs, first=0.5):
    return [TracePoint(first + k, k, float(cost)) for k, cost in enumerate(costs)]


@pytest.mark.parametrize("module", [configurations, shown, traces])
def test_the_examples_are_right(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("is_log", [False, True])
def test_a_thinned_trace_covers_the_same_pixels(is_log):
    rng = np.random.default_rng(1)
    n, buckets = 100_000, 500
    seconds = np.cumsum(rng.exponential(1e-3, n))
    costs = -np.cumsum(rng.exponential(1, n)) + 100 * (rng.random(n) < 0.001)  # it rises now and then
    kept = traces.thinned(seconds.tolist(), costs.tolist(), buckets, is_log=is_log)
    assert len(kept) <= 4 * buckets
    assert kept == sorted(set(kept))
    assert {0, n - 1, int(costs.argmin()), int(costs.argmax())} <= set(kept)
    axis = np.log(np.maximum(seconds, traces.EARLIEST_S)) if is_log else seconds
    column = np.minimum((axis - axis[0]) / (axis[-1] - axis[0]) * buckets, buckets - 1).astype(int)
    for bucket in np.unique(column):
        inside = np.flatnonzero(column == bucket)
        chosen = [k for k in kept if column[k] == bucket]
        assert {inside[0], inside[-1]} <= set(chosen)
        assert costs[chosen].min() == costs[inside].min()
        assert costs[chosen].max() == costs[inside].max()


def test_short_traces_and_those_of_one_moment_stay_as_they_are():
    assert traces.thinned([], [], 10, is_log=True) == []
    assert traces.thinned([1.0, 2.0], [2.0, 1.0], 1, is_log=False) == [0, 1]
    assert traces.thinned([1.0] * 100, list(range(100)), 3, is_log=True) == [0, 99]


def test_curves_are_steps_with_the_bound_and_end_now():
    progress = JobProgress(
        seconds=5.0, sweeps=9, best_cost=-2.0, bound=-3.0, bounds=(BoundPoint(0.2, -8.0), BoundPoint(1.0, -3.0))
    )
    found = traces.curves(points([-1, -2]), progress, buckets=100, is_log=False)
    assert found.seconds == [0.2, 0.5, 1.0, 1.5, 5.0]
    assert found.costs == [None, -1.0, -1.0, -2.0, -2.0]
    assert found.bounds == [-8.0, -8.0, -3.0, -3.0, -3.0]
    assert found.sweeps == [None, 0, None, 1, 9]
    assert found.points == 2
    assert not found.is_bound_near


@pytest.mark.parametrize(("bound", "is_near"), [(-3.0, True), (-1e9, False), (None, False)])
def test_a_bound_that_makes_the_curve_flat_is_not_near(bound, is_near):
    progress = JobProgress(seconds=2.0, bound=bound)
    assert traces.curves(points([0, -1, -2]), progress, buckets=10, is_log=True).is_bound_near == is_near


def test_logarithmic_axes_have_no_zero():
    assert min(traces.curves(points([1], first=0.0), JobProgress(), buckets=10, is_log=True).seconds) > 0


def test_the_table_of_a_long_trace_is_short_and_has_its_ends():
    rows = traces.table(points(range(0, -50_000, -1)))
    assert len(rows) <= 28
    assert (rows[0].cost, rows[-1].cost) == (0, -49_999)


def solution(n):
    return np.arange(0, 2 * n, 2), np.where(np.arange(n) % 3, 1, -1).astype(np.int8), -1.0


def test_values_are_found_by_ids_ranges_and_value_in_pages():
    found = configurations.values_by_id(solution(100_000), "", None, 3)
    assert (found.number, found.pages, found.matches, len(found.rows)) == (3, 500, 100_000, 200)
    assert found.rows[0] == (800, 1)
    assert configurations.values_by_id(solution(10), "1, 2 - 5,18", None, 1).rows == [(2, 1), (4, 1), (18, -1)]
    assert configurations.values_by_id(solution(10), "0-18", -1, 1).rows == [(0, -1), (6, -1), (12, -1), (18, -1)]
    assert configurations.values_by_id(solution(10), "7", None, 99).rows == []
    assert configurations.values_by_id(solution(10), "", 1, 99).number == 1


@pytest.mark.parametrize("text", ["x", "1-", "-3", "1;2", "1" * 30])
def test_a_search_that_is_no_ids_is_refused(text):
    with pytest.raises(InvalidFilter, match="ids and ranges"):
        configurations.values_by_id(solution(3), text, None, 1)


def test_values_are_found_by_names():
    found = configurations.values_by_name({"take[Lamp]": 1, "take[rope]": 0}, "LAMP", 1)
    assert found.rows == [("take[Lamp]", 1)]


@pytest.mark.parametrize("text", ["1", "-1", "x", "9" * 20])
def test_a_solution_that_is_not_there_is_refused(text):
    with pytest.raises(InvalidFilter, match="solution"):
        configurations.chosen([solution(1)], text)


@pytest.mark.parametrize("n", [0, 1, 8, 9, 65, 1000])
def test_a_picture_has_a_pixel_for_each_value(n):
    values = solution(n)[1]
    data = configurations.picture(values)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    start = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[start - 4 : start])
    rows = np.frombuffer(zlib.decompress(data[start + 4 : start + 4 + length]), np.uint8).reshape(height, width + 1)
    pixels = rows[:, 1:].ravel()
    assert (pixels[:n] == np.where(values < 0, 2, values)).all()
    assert (pixels[n:] == 3).all()
    assert (rows[:, 0] == 0).all()


def test_the_timeline_has_lost_attempts_and_the_end():
    texts = [
        "attempt 1 runs as process 7 on here",
        "the job's process was lost: it was killed by SIGKILL",
        "attempt 1 ended, the job waits again",
        "attempt 2 runs as process 8 on here",
        "it was cancelled",
        "seed 3",
    ]
    lines = [LogLine(time=NOW + timedelta(seconds=k), level="INFO", text=text) for k, text in enumerate(texts, start=1)]
    ended = {"begin_execution_time": NOW + timedelta(seconds=4), "end_execution_time": NOW + timedelta(seconds=9)}
    found = timeline(job_view(status=JobStatus.CANCELLED, attempts=2, submitter="me", **ended), lines)
    assert [moment.what for moment in found] == [
        "Submitted",
        "Attempt 1 began",
        "Attempt lost",
        "Waits again",
        "Attempt 2 began",
        "Cancellation requested",
        "Cancelled",
    ]
    assert [moment.is_bad for moment in found] == [False, False, True, False, False, False, False]


def test_a_timeline_without_a_log_has_the_times_of_the_job():
    error = ErrorData(code="InternalError", message="oh")
    ended = {"begin_execution_time": NOW, "end_execution_time": NOW, "error_data": error}
    found = timeline(job_view(status=JobStatus.FAILED, attempts=3, **ended), [])
    assert [moment.what for moment in found] == ["Submitted", "Attempt 3 claimed", "Failed"]


def test_parameters_tell_what_was_found():
    found = structs.replace(
        environment(), given={"seed": 2**40, "timeout": None}, parameters={"seed": 2**40, "sweeps": 7}
    )
    rows = shown.parameters(job_view(provenance=found))
    assert [(row.name, row.given, row.used, row.is_found) for row in rows] == [
        ("seed", str(2**40), str(2**40), False),
        ("timeout", "–", "–", False),
        ("sweeps", "–", "7", True),
    ]
    free = {"target": "microsoft.tabu-parameterfree.cpu", "input_params": {"params": {}}}
    assert shown.has_found_parameters(job_view(provenance=found, **free))
    assert not shown.has_found_parameters(job_view(**free))
    assert not shown.has_found_parameters(job_view(provenance=found))  # there is no such solver with sweeps
    assert not shown.has_found_parameters(job_view(provenance=found, target="microsoft.tabu.cpu"))
    assert not shown.has_found_parameters(job_view(provenance=found, target="unknown.target"))


@pytest.mark.parametrize(
    ("given", "with_seed"),
    [
        (None, {"seed": 5}),
        ({"params": {"seed": 1, "sweeps": 2}}, {"params": {"seed": 5, "sweeps": 2}}),
        ({"sweeps": 2}, {"sweeps": 2, "seed": 5}),
    ],
)
def test_another_seed_keeps_the_form_of_the_parameters(given, with_seed):
    assert shown.with_seed(given, 5) == with_seed


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a job", "a-job-01234567-x.csv"),
        ("../../etc/passwd", "etc-passwd-01234567-x.csv"),
        ('"\r\nSet-Cookie: x', "Set-Cookie-x-01234567-x.csv"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}", "job-01234567-x.csv"),
        ("x" * 5000, "x" * 60 + "-01234567-x.csv"),
    ],
)
def test_names_of_files_are_safe(name, file):
    assert problems.file_name(job_view(name=name), "x.csv") == file


def test_every_error_of_a_job_is_explained():
    names = {each.name for each in documented()}
    assert anchor_of("InvalidInputData", "_AZQ105 input: broken") == "UnreadableInput"
    assert anchor_of("InternalError", "ZeroDivisionError: x") == "QioskError"
    assert anchor_of("Unheard", "x") is None
    assert {"NotEnoughMemory", "UnreadableInput"} <= names
    assert all(each.meaning for each in documented())


class StoredTrace:
    """A job's trace, and which parts of it were read."""

    def __init__(self, stored):
        self.stored = stored
        self.read = []

    def trace(self, _job_id, after=0):
        self.read.append(after)
        return self.stored[after:]


def test_of_a_kept_trace_only_what_is_new_is_read():
    kept, jobs = kept_traces.KeptTraces(), StoredTrace(points([0, -1]))
    for n, after in [(2, 0), (2, 1), (5, 1), (5, 4)]:
        jobs.stored = points(range(0, -n, -1))
        assert list(kept.read("default", jobs, "a")) == jobs.stored
        assert jobs.read[-1] == after


@pytest.mark.parametrize("costs", [[0, -9, -10, -11], [0, -9], [0], []])
def test_a_trace_whose_end_was_replaced_is_read_again(costs):
    kept, jobs = kept_traces.KeptTraces(), StoredTrace(points([0, -1, -2]))
    kept.read("default", jobs, "a")
    jobs.stored = points(costs)
    assert list(kept.read("default", jobs, "a")) == jobs.stored


def test_no_more_points_are_kept_than_allowed(monkeypatch):
    monkeypatch.setattr(kept_traces, "KEPT_POINTS", 5)
    kept, jobs = kept_traces.KeptTraces(), StoredTrace(points([0, -1, -2]))
    for job_id in ("a", "b", "a"):
        assert len(kept.read("default", jobs, job_id)) == 3
    assert jobs.read == [0, 0, 0]


@pytest.mark.parametrize("model", [3, [], {"rounds": 3}, {"values": [1]}, {"violated": [{"name": 1}]}, None])
def test_results_that_are_no_models_are_not_read_as_one(model):
    assert models.model_of({"model": model}) is None
    assert models.model_of({}) is None
    assert models.violations_of({"violated": model}) == []


def test_constraints_of_a_model_have_their_weights_and_violations():
    found = models.model_of(
        {
            "model": {
                "violated": [{"name": "b", "violation": 2.0}],
                "rounds": [{"weights": {"a": 1.0}}, {"weights": {"a": 3.0, "b": 4.0}}],
            }
        }
    )
    assert found is not None
    assert found.constraints == [("b", 4.0, 2.0), ("a", 3.0, None)]


def test_solutions_are_compared_with_the_first():
    ids, values, cost = solution(5)
    other = values.copy()
    other[1] = -other[1]
    assert configurations.distances([(ids, values, cost), (ids, other, cost), (ids[:2], values[:2], cost)]) == [
        0,
        1,
        None,
    ]
    assert configurations.distances([]) == []


@pytest.mark.parametrize(
    ("problem_type", "form", "ids"),
    [
        ("ising", "qubo", 1 * 1 + 2 * 2 + 60 * 2**59),
        ("ising", "rudy", 0),
        ("ising", "qio", 0),
        ("pubo", "qubo", 0),
        ("pubo", "rudy", 1 * 1 + 2 * 2 + 60 * 2**59),
    ],
)
def test_what_a_conversion_expands_is_known_before(problem_type, form, ids):
    problem = Problem("wide", problem_type=problem_type)
    for members in ([0], [0, 1], list(range(60))):
        problem.add_term(1, members)
    assert problems.expanded_ids(problem.cost_function(), by_name(form)) == ids


def test_squares_that_a_conversion_multiplies_out_are_counted():
    problem = Problem("square", problem_type="pubo_grouped")
    problem.add_slc_term([(1, k) for k in range(5000)], 1)
    assert problems.expanded_ids(problem.cost_function(), by_name("qubo")) == 5000 * 5001
    assert problems.expanded_ids(problem.cost_function(), by_name("columns")) == 0
