"""What is stated in a model: named variables, an objective and constraints."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from qiosk.errors import InvalidValue, WrongType
from qiosk.modeling.expression import Condition, Constraint, Expression, as_expression, bits_of, total
from qiosk.modeling.penalties.soft import soften
from qiosk.modeling.variables import (
    Choice,
    Encoding,
    Variable,
    bit_expression,
    bounded_weights,
    encoding_of,
    label_of,
    range_of,
)

MAX_BITS = 10_000_000
"""Largest number of bits of a model."""
MAX_VALUES = 100_000
"""Largest number of values of an integer with unary or one-hot encoding."""


class Statement:
    """Variables by name, an objective, and constraints by name: what a ``Model`` converts and solves."""

    def __init__(self, name: str = "model") -> None:
        self.name = name
        self.variables: dict[str, Variable] = {}
        self.families: dict[str, dict[Any, str]] = {}
        self.objective = Expression()
        self.is_maximized = False
        self._constraints: dict[str, Constraint] = {}
        self._n_bits = 0

    @property
    def constraints(self) -> Sequence[Constraint]:
        """The constraints, including those of choices, in the order in which they were added."""
        return tuple(self._constraints.values())

    def bit(self, name: str) -> Expression:
        """A variable that is 0 or 1."""
        return self._add(Variable(name, "bit", self._n_bits, (1.0,))).expression()

    def spin(self, name: str) -> Expression:
        """A variable that is -1 or 1."""
        return self._add(Variable(name, "spin", self._n_bits, (2.0,), -1.0)).expression()

    def bits(self, name: str, keys: Iterable[Hashable]) -> dict[Any, Expression]:
        """A family of bits, one for each key; ``decode(…)[name]`` returns their values by key."""
        return {key: self.bit(member) for key, member in self._family(name, keys).items()}

    def integer(self, name: str, low: float, high: float, encoding: Encoding | str = Encoding.binary) -> Expression:
        """An integer from ``low`` to ``high``, inclusive; see :class:`Encoding`. Raises InvalidValue.

        Fractional bounds are moved to the next integers between them.
        """
        chosen, (first, last) = encoding_of(encoding), range_of(name, low, high)
        span = last - first
        if chosen is not Encoding.binary and span >= MAX_VALUES:
            raise InvalidValue(f"variable `{name}`: {chosen} allows at most {MAX_VALUES} values, found {span + 1}")
        if chosen is Encoding.binary:
            weights = bounded_weights(span)
        else:
            weights = tuple(map(float, range(span + 1))) if chosen is Encoding.one_hot else (1.0,) * span
        is_one_hot = chosen is Encoding.one_hot
        variable = self._add(Variable(name, "integer", self._n_bits, weights, float(first), is_one_hot=is_one_hot))
        if is_one_hot:
            self._choose_one(variable)
        if chosen is Encoding.domain_wall:
            for above, below in pairwise(map(bit_expression, reversed(variable.bits))):
                self.add(above <= below, f"step {len(self._constraints)} of {name}")
        return variable.expression()

    def grid(self, name: str, low: float, high: float, step: float) -> Expression:
        """A number on a grid: ``low``, ``low + step``, … up to ``high``. Raises InvalidValue.

        >>> from qiosk.modeling import Model
        >>> Model().grid("x", 0.5, 2.0, 0.5)
        +0.5 b0 +1 b1 +0.5
        """
        if not all(map(math.isfinite, (low, high, step))) or low > high or step <= 0:
            raise InvalidValue(f"variable `{name}`: must have low <= high and a step > 0, found {low}, {high}, {step}")
        span = math.floor((high - low) / step * (1 + 1e-12))
        _, last = range_of(name, 0, span)
        weights = tuple(step * weight for weight in bounded_weights(last))
        return self._add(Variable(name, "grid", self._n_bits, weights, float(low))).expression()

    def choice(self, name: str, options: Iterable[Hashable]) -> Choice:
        """A variable that is exactly one of the options; the model adds that constraint."""
        distinct = tuple(dict.fromkeys(options))
        if not distinct:
            raise InvalidValue(f"choice `{name}`: needs at least one option")
        variable = self._add(Variable(name, "choice", self._n_bits, (), options=distinct))
        self._choose_one(variable)
        return Choice(name, {option: bit_expression(bit) for option, bit in zip(distinct, variable.bits, strict=True)})

    def choices(self, name: str, keys: Iterable[Hashable], options: Iterable[Hashable]) -> dict[Any, Choice]:
        """A family of choices among the same options, one for each key."""
        distinct = list(options)
        return {key: self.choice(member, distinct) for key, member in self._family(name, keys).items()}

    def permutation(
        self, name: str, keys: Iterable[Hashable], options: Iterable[Hashable] | None = None
    ) -> dict[Any, Choice]:
        """A family of choices, all different: an order of the keys, or an assignment of options to them.

        ``options`` are the numbers from 0 on by default, as many as there are keys. With more options than keys some
        are not used; with fewer it raises InvalidValue.

        >>> from qiosk.modeling import Model
        >>> model = Model()
        >>> place = model.permutation("place", ["oak", "elm", "ash"])
        >>> place["oak"][0]
        +1 b0
        >>> [constraint.name for constraint in model.constraints][-1]
        'place: 2 once'
        """
        some = list(dict.fromkeys(keys))
        distinct = list(range(len(some))) if options is None else list(dict.fromkeys(options))
        if len(distinct) < len(some):
            raise InvalidValue(f"permutation `{name}`: {len(some)} keys need as many options, found {len(distinct)}")
        family = self.choices(name, some, distinct)
        for option in distinct:
            times = total(choice[option] for choice in family.values())
            self.add(times == 1 if len(distinct) == len(some) else times <= 1, f"{name}: {label_of(option)} once")
        return family

    def minimize(self, objective: Expression | float) -> None:
        """Set the objective to minimize; it replaces an earlier one."""
        self.objective, self.is_maximized = self._own(objective), False

    def maximize(self, objective: Expression | float) -> None:
        """Set the objective to maximize; it replaces an earlier one."""
        self.objective, self.is_maximized = self._own(objective), True

    def add(self, condition: Condition, name: str | None = None, weight: float | None = None) -> None:
        """Add a constraint.

        Args:
            condition: a comparison of expressions and numbers. The coefficients of an inequality must be multiples of
                one fraction.
            name: its name in solutions; ``constraint 0``, ``constraint 1``, … by default.
            weight: cost of the least violation that the coefficients allow, in the unit of the objective; twice the
                violation costs four times as much. Automatic by default. The constraint has to hold all the same;
                :meth:`violation` is for one that need not.

        Raises WrongType, InvalidValue.
        """
        if not isinstance(condition, Condition):
            raise WrongType(f"constraint: must be a comparison of expressions, found {condition!r}")
        if weight is not None and not 0 < weight < float("inf"):
            raise InvalidValue(f"constraint weight: must be greater than 0, found {weight}")
        self._own(condition.expression)
        chosen = f"constraint {len(self._constraints)}" if name is None else name
        if chosen in self._constraints:
            raise InvalidValue(f"constraint `{chosen}`: the name is taken")
        self._constraints[chosen] = Constraint(chosen, condition, weight)

    def violation(self, condition: Condition, name: str) -> Expression:
        """By how much a condition that need not hold is violated, to be priced by an objective that is minimized.

        It is 0 or more, in the unit of the condition's expression, and adds one integer variable called ``name``, or
        two for an equality, and a constraint. Price it linearly or by its square. Raises WrongType, InvalidValue.

        >>> from qiosk.modeling import Model
        >>> model = Model()
        >>> hours = model.integer("hours", 0, 12)
        >>> overtime = model.violation(hours <= 8, "overtime")
        >>> model.maximize(2 * hours - 3 * overtime)
        >>> answer = model.solve(seed=1)
        >>> answer["hours"], answer.value(overtime)
        (8, 0.0)
        """
        if not isinstance(condition, Condition):
            raise WrongType(f"violation: must be of a comparison of expressions, found {condition!r}")
        self._own(condition.expression)
        violation, softened = soften(condition, name, self.integer)
        self.add(softened, name)
        return violation

    def _add(self, variable: Variable) -> Variable:
        if not isinstance(variable.name, str) or not variable.name:
            raise InvalidValue(f"variable name: must be a string that is not empty, found {variable.name!r}")
        if variable.name in self.variables or variable.name in self.families:
            raise InvalidValue(f"variable `{variable.name}`: the name is taken")
        if self._n_bits + len(variable.bits) > MAX_BITS:
            raise InvalidValue(f"variable `{variable.name}`: a model has at most {MAX_BITS} bits")
        self.variables[variable.name] = variable
        self._n_bits += len(variable.bits)
        return variable

    def _family(self, name: str, keys: Iterable[Hashable]) -> dict[Any, str]:
        if name in self.variables or name in self.families:
            raise InvalidValue(f"variable `{name}`: the name is taken")
        members: dict[Any, str] = {}
        taken: set[str] = set()
        for key in dict.fromkeys(keys):
            member = f"{name}[{label_of(key)}]"
            members[key] = f"{name}[{key!r}]" if member in taken else member
            taken.add(members[key])
        self.families[name] = members
        return members

    def _choose_one(self, variable: Variable) -> None:
        self.add(total(map(bit_expression, variable.bits)) == 1, f"one of {variable.name}")

    def _own(self, value: Expression | float) -> Expression:
        expression = as_expression(value)
        if expression is None:
            raise WrongType(f"an expression or a number is needed, found {value!r}")
        if max(bits_of([expression]), default=-1) >= self._n_bits:
            raise InvalidValue("expression: has variables of another model")
        return expression
