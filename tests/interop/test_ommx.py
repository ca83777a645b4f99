"""OMMX instances through our adapter. Its pins of other libraries keep it out of the usual environment."""

from __future__ import annotations

import itertools
import random

import pytest

pytest.importorskip("ommx")

from ommx.v1 import DecisionVariable, Instance

from qiosk.errors import InvalidValue
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


@pytest.mark.parametrize("seed", range(10))
def test_quadratic_objectives_over_integers_are_solved_rightly(seed):
    rnd = random.Random(seed)
    bounds = [(rnd.choice([-2, -0.5, 0]), rnd.choice([2, 3.7])) for _ in range(3)]
    n = [DecisionVariable.integer(i, lower=low, upper=high) for i, (low, high) in enumerate(bounds)]
    c = [[rnd.randint(-5, 5) for _ in range(3)] for _ in range(3)]
    a, limit = [rnd.randint(-3, 3) for _ in range(3)], rnd.randint(0, 3)
    objective = sum(c[i][j] * n[i] * n[j] for i in range(3) for j in range(3))
    instance = Instance.from_components(
        decision_variables=n,
        objective=objective,
        constraints=[a[0] * n[0] + a[1] * n[1] + a[2] * n[2] <= limit],
        sense=Instance.MINIMIZE,
    )
    solution = QioskAdapter.solve(instance, timeout=2, seed=1)
    ranges = [[k for k in range(-3, 5) if low <= k <= high] for low, high in bounds]
    costs = [
        sum(c[i][j] * x[i] * x[j] for i in range(3) for j in range(3))
        for x in itertools.product(*ranges)
        if sum(p * q for p, q in zip(a, x, strict=True)) <= limit
    ]
    assert solution.feasible
    assert solution.objective == min(costs)


def test_continuous_variables_are_refused():
    x = DecisionVariable.continuous(5, lower=0, upper=1)
    instance = Instance.from_components(decision_variables=[x], objective=x, constraints=[], sense=Instance.MINIMIZE)
    with pytest.raises(InvalidValue, match="variable 5: must be binary or a bounded integer"):
        QioskAdapter(instance)
