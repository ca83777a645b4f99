"""Bounds of the variables of a constrained quadratic model.

Integers of dimod are unbounded unless a caller gave a bound: up to 2**53 - 1. Then linear constraints may imply one.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from qiosk.formats.programs.implied_bounds import with_implied_bounds
from qiosk.formats.programs.program import Column, Program, Row

UNBOUNDED = 2.0**53 - 1
"""A bound of an integer of dimod that stands for none."""


def bounds_of(cqm: Any) -> Mapping[Hashable, tuple[float, float]]:
    """The bounds of the variables by label; missing ones are those that linear constraints imply, or infinite."""
    number = {label: k for k, label in enumerate(cqm.variables)}
    columns = []
    for label in number:
        low, high = float(cqm.lower_bound(label)), float(cqm.upper_bound(label))
        columns.append(
            Column(str(label), -math.inf if low <= -UNBOUNDED else low, math.inf if high >= UNBOUNDED else high)
        )
    rows = []
    for label, comparison in cqm.constraints.items():
        left = comparison.lhs
        if not left.is_soft() and not len(left.quadratic):
            bound, sense = float(comparison.rhs) - float(left.offset), comparison.sense.name
            coefficients = {number[some]: float(c) for some, c in left.linear.items()}
            low, high = -math.inf if sense == "Le" else bound, math.inf if sense == "Ge" else bound
            rows.append(Row(str(label), coefficients, low, high))
    none = np.zeros(0, np.int64)
    found = with_implied_bounds(
        Program("dimod", "", columns, False, 0.0, np.zeros(len(columns)), none, none, np.zeros(0), rows)
    )
    return {label: (column.low, column.high) for label, column in zip(number, found.columns, strict=True)}
