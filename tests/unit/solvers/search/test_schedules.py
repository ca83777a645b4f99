"""Schedules: their ends, their shape, and that values depend on the index alone."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.solvers.search.schedules import Schedule

LINEAR = {"type": "linear", "initial": 1.0, "final": 0.0}
GEOMETRIC = {"type": "geometric", "initial": 0.5, "final": 8.0}


@pytest.mark.parametrize("value", [LINEAR, GEOMETRIC])
def test_a_schedule_goes_from_end_to_end_and_back_to_its_parameter(value):
    schedule = Schedule.from_parameter(value)
    assert schedule.to_parameter() == value
    found = schedule.values(0, 9, 9)
    npt.assert_allclose(found[[0, -1]], [value["initial"], value["final"]], atol=1e-15)
    steps = np.diff(np.log(found) if schedule.is_geometric else found)
    npt.assert_allclose(steps, steps[0])


@pytest.mark.parametrize("value", [LINEAR, GEOMETRIC])
@given(steps=st.integers(1, 50), cut=st.integers(0, 50))
def test_values_depend_on_the_index_alone(value, steps, cut):
    schedule, cut = Schedule.from_parameter(value), min(cut, steps)
    parts = np.concatenate([schedule.values(0, cut, steps), schedule.values(cut, steps - cut, steps)])
    npt.assert_array_equal(parts, schedule.values(0, steps, steps))


def test_a_schedule_of_one_step_stays_at_its_beginning():
    npt.assert_array_equal(Schedule.from_parameter(LINEAR).values(0, 1, 1), [1.0])
