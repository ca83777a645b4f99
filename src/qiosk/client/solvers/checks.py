"""Schedules, and checks of parameters that the old SDK made before it submitted a job.

All checks raise ValueError, as programs expect, and return the value to be sent; None stays None.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any

_TYPES = ("linear", "geometric")


@dataclass(frozen=True, slots=True)
class RangeSchedule:
    """A parameter that changes from ``initial`` to ``final`` during a run, ``linear`` or ``geometric``.

    Raises ValueError for another type.

    >>> from qiosk.optimization import RangeSchedule
    >>> RangeSchedule("geometric", initial=0.1, final=10)
    RangeSchedule(schedule_type='geometric', initial=0.1, final=10)
    """

    schedule_type: str
    initial: float
    final: float

    def __post_init__(self) -> None:
        if self.schedule_type not in _TYPES:
            raise ValueError(f"schedule_type must be {' or '.join(_TYPES)}, found {self.schedule_type!r}")


def positive_integer(name: str, value: Any) -> Any:
    """An integer greater than 0."""
    if value is not None:
        if not isinstance(value, numbers.Integral):
            raise ValueError(f"{name} must be an integer, found {type(value).__name__} {value!r}")
        if value <= 0:
            raise ValueError(f"{name} must be positive, found {value}")
    return value


def number_above(name: str, value: Any, bound: float) -> Any:
    """A number greater than ``bound``."""
    if value is not None:
        if not isinstance(value, (float, int)):
            raise ValueError(f"{name} must be a number, found {type(value).__name__} {value!r}")
        if not value > bound:
            raise ValueError(f"{name} must be greater than {bound:g}, found {value}")
    return value


def schedule(name: str, value: RangeSchedule | None, *, is_increasing: bool) -> Any:
    """A schedule that increases from above 0, or decreases to 0 or above."""
    if value is None:
        return None
    if not isinstance(value, RangeSchedule):
        raise ValueError(f"{name} must be a RangeSchedule, found {type(value).__name__}")
    first, last = value.initial, value.final
    if first > last if is_increasing else first < last:
        direction = "increasing" if is_increasing else "decreasing"
        raise ValueError(f"{name} must be {direction}, found {first} to {last}")
    for end, bound in (("initial", first), ("final", last)):
        if is_increasing and not bound > 0:
            raise ValueError(f"{name}.{end} must be greater than 0, found {bound}")
        if not bound >= 0:
            raise ValueError(f"{name}.{end} must be at least 0, found {bound}")
    return {"type": value.schedule_type, "initial": first, "final": last}
