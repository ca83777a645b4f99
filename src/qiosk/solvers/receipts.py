"""Receipts of results: what proves their bound, or one that is as good."""

from __future__ import annotations

from qiosk.bounds.bound import Bound
from qiosk.bounds.choice import bound
from qiosk.model.compile import compile_problem
from qiosk.model.cost_function import CostFunction
from qiosk.model.flips import magnitude

ROUNDING = 2.0**-45
"""Of the sizes of all terms: half of what ``qiosk verify`` allows for."""


def other_bound(cost_function: CostFunction, own: Bound | None, seconds: float) -> Bound:
    """Another bound on a problem, by a method that has receipts, and as good as ``own`` if that takes no longer than
    some ``seconds``.
    """
    return bound(
        cost_function,
        seconds=seconds,
        is_enough=lambda found: own is not None and found.has_receipt and is_as_good(found, own, cost_function),
    )


def is_as_good(found: Bound, own: Bound, cost_function: CostFunction) -> bool:
    """Whether a bound is at least another one, but for the rounding of costs."""
    return found.value >= own.value - ROUNDING * magnitude(compile_problem(cost_function))
