"""Qiskit Optimization: models from its ``QuadraticProgram``. Needs ``pip install qiosk[qiskit]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qiosk.errors import InvalidValue
from qiosk.modeling import Condition, Expression, Model, Solution, total


def from_quadratic_program(program: Any) -> Model:
    """A model from a program of binary and bounded integer variables, with linear and quadratic constraints.

    Variables and constraints keep their names. Raises InvalidValue for a continuous variable, and for an integer with
    more values than :meth:`qiosk.modeling.Model.integer` allows.

    >>> from qiskit_optimization import QuadraticProgram
    >>> from qiosk.interop.qiskit import from_quadratic_program
    >>> program = QuadraticProgram("knapsack")
    >>> x, n = program.binary_var("x"), program.integer_var(0, 3, "n")
    >>> constraint = program.linear_constraint({"x": 2, "n": 1}, "<=", 4, "capacity")
    >>> program.maximize(linear={"x": 3, "n": 2})
    >>> from_quadratic_program(program).solve(timeout=1).values
    {'x': 1, 'n': 2}
    """
    model = Model(program.name or "quadratic program")
    variables: list[Expression] = []
    for variable in program.variables:
        kind = variable.vartype.name
        if kind == "BINARY":
            variables.append(model.bit(variable.name))
        elif kind == "INTEGER":
            variables.append(model.integer(variable.name, variable.lowerbound, variable.upperbound))
        else:
            raise InvalidValue(f"variable `{variable.name}`: must be binary or a bounded integer, found {kind.lower()}")
    for constraint in [*program.linear_constraints, *program.quadratic_constraints]:
        left = _expression(constraint, variables)
        model.add(_condition(left, constraint.sense.name, constraint.rhs), constraint.name)
    objective = _expression(program.objective, variables) + program.objective.constant
    if program.objective.sense.name == "MAXIMIZE":
        model.maximize(objective)
    else:
        model.minimize(objective)
    return model


def to_vector(model: Model, source: Any) -> list[int]:
    """A solution of ``model.solve``, results or a configuration as the values of the program's variables, in its order.

    >>> from qiskit_optimization import QuadraticProgram
    >>> from qiosk.interop.qiskit import from_quadratic_program, to_vector
    >>> program = QuadraticProgram()
    >>> variables = program.binary_var_list(2)
    >>> program.maximize(linear=[1, -1])
    >>> model = from_quadratic_program(program)
    >>> to_vector(model, model.solve(timeout=1)), to_vector(model, {0: 0, 1: 1})
    ([1, 0], [0, 1])
    """
    solution = source if isinstance(source, Solution) else model.decode(source)
    return [solution.values[name] for name in model.variables]


def _expression(function: Any, variables: list[Expression]) -> Expression:
    linear: Mapping[int, float] = function.linear.to_dict()
    quadratic: Mapping[tuple[int, int], float] = {}
    if hasattr(function, "quadratic"):
        quadratic = function.quadratic.to_dict()
    parts = [float(c) * variables[i] for i, c in linear.items()]
    return total([*parts, *(float(c) * variables[i] * variables[j] for (i, j), c in quadratic.items())])


def _condition(left: Expression, sense: str, bound: float) -> Condition:
    if sense == "EQ":
        return left == bound
    return left <= bound if sense == "LE" else left >= bound
