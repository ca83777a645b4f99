"""``Model``: named variables, an objective and constraints, which become a ``Problem`` and decode its results."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, final

from qiosk.contract.jobs import JobProgress
from qiosk.errors import InvalidValue, MissingValue, QioskError, WrongType
from qiosk.formats.files import read_program
from qiosk.model.check import by_id
from qiosk.modeling.adaptive import solve_here
from qiosk.modeling.answer import Answer
from qiosk.modeling.assembly import assemble
from qiosk.modeling.document import ModelContent, read_document, write_document
from qiosk.modeling.expression import Condition, Constraint, Expression, as_expression, bits_of, total
from qiosk.modeling.penalties import check_exact, exact_row, one_hot_groups
from qiosk.modeling.programs import fill
from qiosk.modeling.rows import Row, row_of
from qiosk.modeling.soft import soften
from qiosk.modeling.solution import Solution, report
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
from qiosk.modeling.weights import automatic_weight
from qiosk.problem import Problem
from qiosk.solvers.solve import HasTarget, set_up
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET

MAX_BITS = 10_000_000
"""Largest number of bits of a model."""
MAX_VALUES = 100_000
"""Largest number of values of an integer with unary or one-hot encoding."""


@final
class Model:
    """Named variables, an objective, and constraints that become penalties.

    ``name`` becomes that of the problem. Methods that add variables return expressions; their names must be distinct
    (InvalidValue). Without an objective, the model only has to satisfy its constraints.

    >>> import qiosk
    >>> from qiosk.modeling import Model
    >>> model = Model("knapsack")
    >>> take = model.bits("take", ["lamp", "rope", "tent"])
    >>> model.maximize(6 * take["lamp"] + 5 * take["rope"] + 9 * take["tent"])
    >>> model.add(2 * take["lamp"] + 3 * take["rope"] + 4 * take["tent"] <= 6, "capacity")
    >>> solution = model.decode(qiosk.solve(model.problem(), timeout=1))
    >>> solution["take"], solution.objective, solution.is_feasible
    ({'lamp': 1, 'rope': 0, 'tent': 1}, 15.0, True)
    """

    def __init__(self, name: str = "model") -> None:
        self.name = name
        self.variables: dict[str, Variable] = {}
        self.families: dict[str, dict[Any, str]] = {}
        self.objective = Expression()
        self.is_maximized = False
        self._constraints: dict[str, Constraint] = {}
        self._rows: dict[str, Row | None] = {}  # of constraints, as they are asked for
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

    def problem(self, *, scale: float = 1.0, weights: Mapping[str, float] | None = None) -> Problem:
        """The problem for solvers. Its metadata contains the model and the weights, so that results can be decoded
        elsewhere, and a job can change the weights as :meth:`solve` does.

        ``scale`` multiplies all automatic weights: increase it if solutions violate constraints, decrease it if the
        search gets stuck. ``weights`` are those of single constraints by name, instead of automatic ones;
        :meth:`solve` chooses them. Raises InvalidValue for a constraint that can never hold, and for one whose penalty
        would not be exact.
        """
        if not 0 < scale < float("inf"):
            raise InvalidValue(f"scale: must be greater than 0, found {scale}")
        rows = {name: self._exact_row(constraint) for name, constraint in self._constraints.items()}
        chosen = self.weights(scale) | dict(weights or {})
        problem = assemble(self.name, self.cost, rows.items(), chosen, self._n_bits)
        hard = [row for name, row in rows.items() if self._constraints[name].weight is None]
        for bits, is_exact in one_hot_groups(hard):
            problem.add_one_hot(bits, at_most=not is_exact)
        problem.metadata |= {"model": self.to_document(), "weights": chosen}
        return problem

    @property
    def cost(self) -> Expression:
        """The objective as it is minimized. Raises InvalidValue if sums of its integers are not exact."""
        check_exact(self.objective)
        return -self.objective if self.is_maximized else self.objective

    def weights(self, scale: float = 1.0) -> dict[str, float]:
        """The weights of the constraints by name: their own, or ``scale`` times the automatic one."""
        automatic = scale * automatic_weight(self.cost, map(self._exact_row, self._constraints.values()))
        return dict.fromkeys(self._constraints, automatic) | self.fixed_weights()

    def fixed_weights(self) -> dict[str, float]:
        """The weights that were given with constraints, by their names."""
        return {name: float(c.weight) for name, c in self._constraints.items() if c.weight is not None}

    def solve(
        self,
        solver: str | type | HasTarget = DEFAULT_TARGET,
        *,
        timeout: float | None = None,
        seed: int | None = None,
        threads: int | None = None,
        progress: bool | Callable[[JobProgress], bool | None] | None = None,
        kernel: str | None = None,
        **params: Any,
    ) -> Answer:
        """Find the best solution that satisfies all constraints, in this process.

        The arguments are those of :func:`qiosk.solve`. The search is repeated within the time limit: weights of
        constraints that were violated are raised, and weights that no solution needed are lowered, unless they were
        given with the constraint. The :class:`Answer` contains what was done in each round, and whether the solution
        is optimal, feasible, proven infeasible, or none was found. Raises as :func:`qiosk.solve` and :meth:`problem`.

        >>> from qiosk.modeling import Model, total
        >>> model = Model("subset sum")
        >>> take = model.bits("take", [332882804, 119036466, 295734885, 747654155])
        >>> model.add(total(size * bit for size, bit in take.items()) == 747654155, "exactly")
        >>> model.minimize(total(take.values()))
        >>> answer = model.solve(seed=1)
        >>> answer.status.value, answer.objective
        ('optimal', 1.0)
        """
        given = {"timeout": timeout, "seed": seed, "threads": threads, "kernel": kernel}
        return solve_here(self, set_up(solver, given, params), progress)

    def decode(self, source: Any) -> Solution:
        """A configuration as values by name.

        ``source`` is a configuration (variable id, int or str, to value), or an object with a ``configuration``, such
        as the results of ``qiosk.solve`` and of jobs. Raises MissingValue if a bit has no value.
        """
        configuration = getattr(source, "configuration", source)
        bits = {bit: int(value) for bit, value in by_id(configuration).items()}
        for bit in range(self._n_bits):
            if bit not in bits:
                raise MissingValue(f"configuration: variable {bit} has no value")
        return Solution(
            values={name: variable.value(bits) for name, variable in self.variables.items()},
            objective=self.objective.value(bits),
            constraints=tuple(report(c.name, c.condition, self._row(c), bits) for c in self.constraints),
            families=self.families,
            bits=bits,
        )

    def configuration(self, values: Mapping[str, Any]) -> dict[int, int]:
        """The bits, except slack, that encode values of all variables by name. Raises MissingValue, InvalidValue."""
        bits: dict[int, int] = {}
        for name, variable in self.variables.items():
            if name not in values:
                raise MissingValue(f"variable `{name}`: has no value")
            bits |= variable.bits_for(values[name])
        return bits

    def to_document(self) -> dict[str, Any]:
        """The model as JSON values: variables, objective and constraints."""
        return write_document(
            ModelContent(
                self.name,
                tuple(self.variables.values()),
                self.families,
                self.objective,
                self.is_maximized,
                self.constraints,
            )
        )

    @classmethod
    def from_document(cls, document: Any) -> Model:
        """The model of a document that :meth:`to_document` returned. Raises InvalidValue for anything else."""
        try:
            content = read_document(document)
            model = cls(content.name)
            for variable in content.variables:
                model._add(variable)
            model.families = {name: dict(members) for name, members in content.families.items()}
            model.objective, model.is_maximized = model._own(content.objective), content.is_maximized
            for constraint in content.constraints:
                model._own(constraint.condition.expression)
                model._constraints[constraint.name] = constraint
        except (QioskError, TypeError) as error:
            raise InvalidValue(f"model: not the document of a model: {error}") from error
        return model

    @classmethod
    def from_file(
        cls,
        file: str,
        data: bytes,
        *,
        format: str | None = None,
        penalty: float | None = None,
        grid: float | None = None,
    ) -> Model:
        """The model of an ``lp``, ``mps`` or ``qplib`` file, with its linear constraints.

        Columns from 0 to 1 become bits, other integers integers; continuous ones are put on a grid with the step
        ``grid``, and refused by default. ``format`` names the format; by default the suffix of ``file`` determines it,
        or else the content. ``penalty`` is the weight of every constraint; automatic by default. Raises InvalidInput;
        MissingExtra without ``qiosk[lp]``.

        >>> from qiosk.modeling import Model
        >>> lines = ["maximize", "3 x + y", "subject to", "2 x + y <= 7", "bounds", "x <= 5", "y <= 2"]
        >>> lines += ["general", "x y", "end"]
        >>> Model.from_file("small.lp", "\\n".join(lines).encode()).solve(seed=1).values
        {'x': 3, 'y': 1}
        """
        for name, value in (("penalty", penalty), ("grid", grid)):
            if value is not None and not 0 < value < float("inf"):
                raise InvalidValue(f"{name}: must be greater than 0, found {value}")
        program = read_program(file, data, format)
        model = cls(program.name or "model")
        fill(model, program, penalty, grid)
        return model

    def _row(self, constraint: Constraint) -> Row | None:
        """The constraint in whole numbers; None if there are none."""
        if constraint.name not in self._rows:
            self._rows[constraint.name] = row_of(constraint.condition)
        return self._rows[constraint.name]

    def _exact_row(self, constraint: Constraint) -> Row:
        return self._row(constraint) or exact_row(constraint.name, constraint.condition)

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
        for key in dict.fromkeys(keys):
            member = f"{name}[{label_of(key)}]"
            members[key] = f"{name}[{key!r}]" if member in members.values() else member
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
