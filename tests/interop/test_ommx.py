"""OMMX instances through our adapter. Its pins of other libraries keep it out of the usual environment."""

from __future__ import annotations

import pytest

pytest.importorskip("ommx")

from ommx.v1 import DecisionVariable, Instance

from qiosk.interop.ommx import QioskAdapter


def test_ommx():
    x = [DecisionVariable.binary(i, name="x", subscripts=[i]) for i in range(3)]
    instance = Instance.from_components(
        decision_variables=x,
        objective=3 * x[0] + 2 * x[1] + 4 * x[2],
        constraints=[x[0] + x[1] + 2 * x[2] <= 2],
        sense=Instance.MAXIMIZE,
    )
    solution = QioskAdapter.solve(instance)
    assert solution.feasible
    assert solution.objective == 5
