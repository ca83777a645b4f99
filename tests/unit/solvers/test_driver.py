"""The driver ends runs in time, by how long sweeps have taken."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from qiosk.kernels.announcements import record_loading
from qiosk.solvers.driver import LATE_SECONDS, Limits, Run, drive
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.stopping import StopReason


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Slow:
    """A solver whose sweeps take so many seconds."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds

    context = SimpleNamespace(problem=None)

    def step(self, state, n_sweeps, parallel, budget):
        self.clock.now += self.seconds * n_sweeps
        state.sweeps_done += n_sweeps
        state.spin_updates += n_sweeps

    def outcome(self, state):
        return None

    def fraction(self, state):
        return 0.0

    def offer_replicas(self, state):
        pass


class BoundsThatCompile:
    """Bounds whose kernels take so many seconds to compile, when they begin."""

    share, best = 0.15, SimpleNamespace(value=0.0)

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds

    def outcome(self, found):
        return None

    def left_to_search(self, left, seconds):
        return left

    def offer(self, found, problem):
        pass

    def advance(self, found, problem, seconds, is_over):
        self.clock.now += self.seconds
        record_loading(self.seconds)
        self.seconds = 0.0


def run_for(limit, seconds, compiling=None):
    """Sweeps that were done, and the time that passed."""
    clock = Clock()
    state = SimpleNamespace(incumbents=Incumbents(1), sweeps_done=0, spin_updates=0)
    run = Run(Slow(clock, seconds), state, Limits(deadline=clock.now + limit), clock.now, clock.now)
    if compiling is not None:
        run.bounding = BoundsThatCompile(clock, compiling)
    reason = drive(run, Parallel(1), clock=clock, is_cancelled=lambda: False, on_chunk=lambda run: None)
    assert reason is StopReason.TIMEOUT
    return state.sweeps_done, clock.now - 100.0


@pytest.mark.parametrize("seconds", [1e-5, 1e-3, 0.03, 0.04, 0.3, 0.9])
def test_runs_end_in_time(seconds):
    sweeps, passed = run_for(2.0, seconds)
    assert passed <= 2.0 + LATE_SECONDS
    assert sweeps >= 2.0 / seconds - 1 - 1e-6


def test_a_sweep_is_done_however_short_the_time_is():
    assert run_for(0.1, 7.0) == (1, 7.0)


def test_a_search_has_all_of_its_time_where_bounds_compile_kernels_beside_it():
    sweeps, passed = run_for(2.0, 1e-3, compiling=0.0)
    assert run_for(2.0, 1e-3, compiling=50.0) == pytest.approx((sweeps, passed + 50.0))
