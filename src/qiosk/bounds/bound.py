"""A lower bound on the cost, and how coefficients that became integers turn back into costs."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.errors import InvalidValue
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8

MOST_DENOMINATOR = 10**6
"""Units are whole multiples of 1/10**6, or of a power of two."""

WITHOUT_RECEIPT = ("branch",)
"""Methods of which the work would have to be done again to check it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """cost = ``offset`` + ``unit`` k for integers k, up to ``error`` [cost] where coefficients had to be rounded."""

    offset: Fraction
    unit: Fraction
    error: Fraction = Fraction(0)

    def cost(self, level: Fraction | int) -> Fraction:
        """The cost of a level, in units."""
        return self.offset + self.unit * level

    def least(self, level: Fraction | int) -> Fraction:
        """The least that a cost of this level may be."""
        return self.cost(level) - self.error


def scale_of(problem: CompiledProblem, unit: float, count: int, *, is_exact: bool, quarters: int = 1) -> Scale:
    """The scale of integers that are multiples of ``unit / quarters``; ``count`` coefficients may have been rounded."""
    whole = Fraction(unit).limit_denominator(MOST_DENOMINATOR)
    exact = whole if float(whole) == unit else Fraction(unit)
    error = Fraction(0) if is_exact else exact * count / 2
    return Scale(offset=Fraction(problem.constant), unit=exact / quarters, error=error)


def rounded_down(value: Fraction) -> float:
    """The largest float64 that is at most a value."""
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Proof:
    """What a method has proved: no configuration has a level below ``level``, in units of ``scale``.

    ``arrays`` is what a checker needs to prove that again. ``configuration`` attains it, where one is known.
    """

    method: str
    level: Fraction
    scale: Scale
    arrays: Mapping[str, NDArray[Any]]
    configuration: I8 | None = None  # (n,)

    @property
    def least(self) -> Fraction:
        """The bound [cost]."""
        return self.scale.least(self.level)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Bound:
    """No configuration of a problem costs less than ``value``.

    ``exact`` is the same before it was rounded down to a float64; decimal fractions in a problem count as what they
    round to. ``seconds`` is the time that was spent on it. ``certificate`` holds the arrays that prove it; what they
    mean depends on the ``method``. ``configuration`` (n,) is one that costs as much, where the method found one.

    >>> import qiosk
    >>> from qiosk.bounds import bound
    >>> triangle = qiosk.Problem("triangle")
    >>> triangle.add_terms(coefficients=[1, 1, 1], ids=[[0, 1], [1, 2], [0, 2]])
    >>> found = bound(triangle)
    >>> found.value, found.method
    (-1.0, 'elimination')
    """

    value: float
    method: str
    seconds: float
    certificate: Mapping[str, NDArray[Any]]
    exact: Fraction
    configuration: I8 | None = None

    @property
    def has_receipt(self) -> bool:
        """Whether there is a receipt: not of an enumeration, nor of branch and bound."""
        return bool(self.certificate) and self.method not in WITHOUT_RECEIPT

    def receipt(self) -> bytes:
        """What proves the bound, as an npz file that ``qiosk verify`` checks.

        Raises InvalidValue for a bound without a certificate.
        """
        if not self.has_receipt:
            raise InvalidValue(f"receipt: a bound by {self.method} has none")
        buffer = io.BytesIO()
        members: dict[str, Any] = {"method": np.array(self.method), **self.certificate}
        np.savez_compressed(buffer, **members)
        return buffer.getvalue()

    @classmethod
    def of(cls, proof: Proof, seconds: float) -> Bound:
        """From a proof."""
        level, unit = str(proof.level), str(proof.scale.unit)
        certificate = dict(proof.arrays) | {"level": np.array(level), "unit": np.array(unit)}
        return cls(
            value=rounded_down(proof.least),
            method=proof.method,
            seconds=seconds,
            certificate=certificate,
            exact=proof.least,
            configuration=proof.configuration,
        )
