"""Time to target: the formula, and what is measured with it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.generators import wishart
from benchmarks.time_to_target.__main__ import best_of, markdown
from benchmarks.time_to_target.formula import from_run_times, success_rate, time_to_target
from benchmarks.time_to_target.measure import Measured, annealed, repeated


def test_half_the_attempts_need_seven_for_99_percent():
    assert time_to_target(2.0, 0.5) == pytest.approx(2.0 * math.log(100) / math.log(2))
    assert 1 - (1 - 0.5) ** (time_to_target(1.0, 0.5)) == pytest.approx(0.99)


@pytest.mark.parametrize(("p", "expected"), [(0.0, math.inf), (1.0, 3.0), (0.999, 3.0)])
def test_no_time_is_shorter_than_an_attempt(p, expected):
    assert time_to_target(3.0, p) == expected


def test_rates_never_claim_certainty():
    assert success_rate(0, 10) == 0
    assert success_rate(10, 10) == pytest.approx(10.5 / 11)
    with pytest.raises(ValueError, match="successes: must be 0 to the number of attempts, found 3 of 2"):
        success_rate(3, 2)


def test_restarting_early_beats_waiting_for_a_slow_run():
    fast, slow = [0.1] * 90, [100.0] * 10
    assert from_run_times([*fast, *slow]) == pytest.approx(time_to_target(0.1, 90.5 / 101))
    assert from_run_times([math.inf] * 3) == math.inf
    assert from_run_times([1.0, math.inf]) == pytest.approx(time_to_target(1.0, 0.5))


@pytest.fixture
def clock(monkeypatch):
    """Seconds that only the fakes below move."""
    now = [0.0]
    monkeypatch.setattr("benchmarks.time_to_target.measure.time.process_time", lambda: now[0])
    return now


class Lucky:
    """Reads of ``pace`` seconds a sweep; one in ``odds`` of those of at least ``enough`` sweeps finds the optimum."""

    def __init__(self, clock, best, pace, enough, odds):
        self.clock, self.best, self.pace, self.enough, self.odds = clock, best, pace, enough, odds

    def anneal(self, sweeps, reads, seed):
        self.clock[0] += self.pace * sweeps * reads
        return sweeps, reads

    def configurations(self, raw):
        sweeps, reads = raw
        found = np.ones((reads, len(self.best)), np.int8)
        if sweeps >= self.enough:
            found[:: self.odds] = self.best
        return found


@pytest.fixture(scope="module")
def planted():
    """A small problem, and a configuration of its best cost."""
    instance = wishart(10, 2.0, 0)
    best = np.array([1, *([-1] * 9)], np.int8)
    terms = instance.cost_function
    for bits in range(2**9):
        spins = np.array([1, *(2 * (bits >> k & 1) - 1 for k in range(9))], np.int8)
        pairs = spins[terms.ids.reshape(-1, 2)].prod(axis=1)
        if pairs @ terms.coefficients == instance.best_known:
            best = spins
    return instance, best


def test_the_best_length_of_anneals_is_found(clock, planted):
    instance, best = planted
    measured = annealed(Lucky(clock, best, 1e-5, 256, 2), instance, seconds=1.0, limit=10.0)
    reads = int(1.0 / (256 * 1e-5))
    p = success_rate((reads + 1) // 2, reads)
    assert measured == Measured(pytest.approx(time_to_target(256e-5, p)), "256 sweeps")


def test_what_is_never_found_takes_forever(clock, planted):
    instance, best = planted
    assert annealed(Lucky(clock, best, 1e-4, 10**9, 1), instance, seconds=1.0, limit=10.0).seconds == math.inf

    def until(cost, limit, seed):
        clock[0] += limit
        return np.ones(10, np.int8)

    assert repeated(until, instance, 1.0, 2.0) == Measured(math.inf, "0 of 3 runs")


def test_runs_that_stop_at_the_target_are_timed(clock, planted):
    instance, best = planted

    def until(cost, limit, seed):
        assert cost == instance.best_known
        clock[0] += 0.25
        return best

    measured = repeated(until, instance, 2.0, 10.0)
    assert measured.how == "8 of 8 runs"
    assert measured.seconds == pytest.approx(time_to_target(0.25, success_rate(8, 8)))


def test_the_report_gives_ratios_to_the_best_target():
    found = {
        "p": {
            "qiosk a": Measured(0.2, ""),
            "qiosk b": Measured(0.1, ""),
            "peer x": Measured(2.0, ""),
            "other y": Measured(math.inf, ""),
        }
    }
    assert best_of(found["p"], "qiosk") == ("b", Measured(0.1, ""))
    assert best_of(found["p"], "nobody") is None
    assert "| p | 100 ms | b | 2 s (x, **20 ×**) | not found |  |" in markdown(found, ["peer", "other", "nobody"])
