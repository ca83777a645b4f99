"""Named variables, and the bits that encode them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from qiosk.errors import InvalidValue
from qiosk.modeling.expression import Expression, total
from qiosk.modeling.rows import EXACT


class Encoding(StrEnum):
    """How bits encode an integer.

    ``binary``: few bits with weights 1, 2, 4, …; the last weight is reduced so that every combination is in range.
    ``unary``: one bit of weight 1 per unit; many bits and small coefficients, and every step is one flip.
    ``domain_wall``: as unary, with constraints that the bits which are 1 come first, so that every value has one
    encoding (N. Chancellor, Quantum Sci. Technol. 4, 045004 (2019), doi:10.1088/2058-9565/ab33c2).
    ``one_hot``: one bit per value, exactly one of which is 1; the model adds that constraint.

    Binary suits most models. Unary suits short ranges in which the search moves by single steps, as where the objective
    has squares of integers whose sum is given. One-hot suits values whose costs are unrelated; a choice is the same for
    values that are no numbers.

    >>> from qiosk.modeling import Encoding, Model
    >>> Model().integer("n", 0, 5, Encoding.binary)
    +1 b0 +2 b1 +2 b2
    >>> Model().integer("n", 0, 5, Encoding.unary)
    +1 b0 +1 b1 +1 b2 +1 b3 +1 b4
    """

    binary = "binary"
    unary = "unary"
    domain_wall = "domain_wall"
    one_hot = "one_hot"


@dataclass(frozen=True, slots=True)
class Variable:
    """A named variable, whose value is a sum over its bits, or a choice among options.

    ``kind`` is ``bit``, ``spin``, ``integer``, ``grid`` or ``choice``. Bit ``first + k`` has ``weights[k]``. The value
    of a number is ``offset`` plus the weights of the bits that are 1; the value of a choice is the option of the bit
    that is 1.
    """

    name: str
    kind: str
    first: int
    weights: tuple[float, ...]
    offset: float = 0.0
    options: tuple[Any, ...] = ()
    is_one_hot: bool = False

    @property
    def bits(self) -> range:
        """Ids of the variable's bits."""
        return range(self.first, self.first + max(len(self.weights), len(self.options)))

    def expression(self) -> Expression:
        """The value of a number as an expression."""
        terms = {(bit,): float(w) for bit, w in zip(self.bits, self.weights, strict=True) if w}
        return Expression(terms | ({(): float(self.offset)} if self.offset else {}))

    def value(self, configuration: Mapping[int, int]) -> Any:
        """The value for given bits; None for a choice or a one-hot integer unless exactly one bit is 1."""
        ones = [k for k, bit in enumerate(self.bits) if configuration[bit]]
        if self.kind == "choice":
            return self.options[ones[0]] if len(ones) == 1 else None
        if self.is_one_hot and len(ones) != 1:
            return None
        number = self.offset + sum(self.weights[k] for k in ones)
        return number if self.kind == "grid" else int(number)

    def bits_for(self, value: Any) -> dict[int, int]:
        """The bits that encode a value. Raises InvalidValue for a value out of range."""
        if self.kind == "choice" or self.is_one_hot:
            known: Sequence[Any] = self.options or [int(self.offset + w) for w in self.weights]
            if value not in known:
                raise InvalidValue(f"variable `{self.name}`: must be one of {list(known)[:20]}, found {value!r}")
            chosen = known.index(value)
            return {bit: int(k == chosen) for k, bit in enumerate(self.bits)}
        left, bits = float(value) - self.offset, {}
        if self.kind == "grid" and self.weights:  # the first weight is the step, of which all are multiples
            left = round(left / self.weights[0]) * self.weights[0]
        for bit, weight in sorted(zip(self.bits, self.weights, strict=True), key=lambda item: -item[1]):
            bits[bit] = int(left >= weight)
            left -= weight * bits[bit]
        if left:
            raise InvalidValue(f"variable `{self.name}`: the value {value!r} is out of its range")
        return bits


def bounded_weights(span: int) -> tuple[float, ...]:
    """Weights 1, 2, 4, … and a remainder; their sums are exactly 0..span."""
    weights: list[int] = []
    while span > 0:
        weight = min(1 << len(weights), span)
        weights.append(weight)
        span -= weight
    return tuple(map(float, weights))


class Choice:
    """A variable that is exactly one of several options. ``choice[option]`` is 1 if that option is chosen, else 0.

    >>> from qiosk.modeling import Model
    >>> model = Model()
    >>> color = model.choice("color", ["red", "green"])
    >>> model.minimize(color.of({"red": 3, "green": 2}))
    >>> model.decode({0: 0, 1: 1})["color"]
    'green'
    """

    __slots__ = ("_bits", "name")

    def __init__(self, name: str, bits: Mapping[Hashable, Expression]) -> None:
        self.name = name
        self._bits = bits

    @property
    def options(self) -> list[Any]:
        """The options, in the order in which they were given."""
        return list(self._bits)

    def __getitem__(self, option: Hashable) -> Expression:
        if option not in self._bits:
            raise InvalidValue(f"choice `{self.name}`: must be one of {self.options[:20]}, found {option!r}")
        return self._bits[option]

    def of(self, values: Mapping[Any, float]) -> Expression:
        """The value of the chosen option, as an expression; 0 for options without a value. Raises InvalidValue."""
        return total(value * self[option] for option, value in values.items())

    def __repr__(self) -> str:
        return f"<Choice {self.name!r} of {len(self._bits)}>"


def bit_expression(bit: int) -> Expression:
    """A bit by its id."""
    return Expression({(bit,): 1.0})


def label_of(key: Hashable) -> str:
    """The key of a member of a family, in its name."""
    return ",".join(map(str, key)) if isinstance(key, tuple) else str(key)


def encoding_of(encoding: Encoding | str) -> Encoding:
    """An encoding by its name. Raises InvalidValue."""
    try:
        return Encoding(encoding)
    except ValueError as error:
        raise InvalidValue(f"encoding: must be one of {', '.join(Encoding)}, found {encoding!r}") from error


def range_of(name: str, low: float, high: float) -> tuple[int, int]:
    """The least and the largest integer between two bounds. Raises InvalidValue if there are none, or too many."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InvalidValue(f"variable `{name}`: must have finite bounds, found {low!r} and {high!r}")
    first, last = math.ceil(low), math.floor(high)
    if first > last:
        raise InvalidValue(f"variable `{name}`: must have integers low <= high, found {low!r} and {high!r}")
    if last - first > 2**40:
        raise InvalidValue(f"variable `{name}`: must have at most {2**40} values, found {last - first + 1}")
    if max(abs(first), abs(last)) > EXACT:
        raise InvalidValue(f"variable `{name}`: must have bounds within 2**53, found {low!r} and {high!r}")
    return first, last
