"""Models from constrained quadratic models of dimod, and back."""

from __future__ import annotations

from collections.abc import Container, Hashable, Mapping
from typing import Any

import dimod

from qiosk.errors import InvalidValue
from qiosk.interop.dimod.bounds import bounds_of
from qiosk.interop.dimod.quadratic import Quadratic, is_implied, owners_of, quadratic_of, range_of
from qiosk.interop.labels import names_of
from qiosk.modeling import Condition, Expression, Model, total

_REAL = (
    "must be BINARY, SPIN or INTEGER, found REAL: solvers search over bits, and have no real numbers; use an integer "
    "that counts steps, such as hundredths"
)


def from_cqm(cqm: Any, name: str = "constrained quadratic model") -> Model:
    """A model with the variables of a ConstrainedQuadraticModel, in its order, its objective and its constraints.

    Labels that are not strings become strings. Integers without a bound get the one that linear constraints imply. For
    a soft constraint the objective has the price of its violation, by :meth:`qiosk.modeling.Model.violation`, whose
    variables follow those of ``cqm``. Raises InvalidValue for a REAL variable, for an integer without a bound, and
    for numbers that are not exact in float64.

    >>> import dimod
    >>> from qiosk.interop.dimod import from_cqm
    >>> n, lid = dimod.Integer("n", upper_bound=5), dimod.Binary("lid")
    >>> cqm = dimod.ConstrainedQuadraticModel()
    >>> cqm.set_objective(-2 * n + 3 * lid)
    >>> label = cqm.add_constraint(n - 2 * lid <= 3, label="room")
    >>> answer = from_cqm(cqm).solve(seed=1)
    >>> answer.values, answer.objective, answer.is_feasible
    ({'n': 5, 'lid': 1}, -7.0, True)
    """
    model = Model(name)
    names, bounds = names_of(cqm.variables), bounds_of(cqm)
    values: dict[Hashable, Expression] = {}
    for label in cqm.variables:
        match cqm.vartype(label).name:
            case "BINARY":
                values[label] = model.bit(names[label])
            case "SPIN":
                values[label] = model.spin(names[label])
            case "INTEGER":
                values[label] = model.integer(names[label], *bounds[label])
            case _:
                raise InvalidValue(f"variable `{names[label]}`: {_REAL}")
    labels = names_of(cqm.constraint_labels)
    objective = [_expression(cqm.objective, values)]
    for label, comparison in cqm.constraints.items():
        condition = _condition(comparison, values)
        if comparison.lhs.is_soft():
            objective.append(_price(model, comparison, condition, labels[label], set(labels.values())))
        else:
            model.add(condition, labels[label])
    model.minimize(total(objective))
    return model


def to_cqm(model: Model) -> Any:
    """The ConstrainedQuadraticModel of a model, which has the same variables, objective and constraints.

    A choice becomes a BINARY variable ``(name, option)`` for each option, with a discrete constraint, and a number on a
    grid an INTEGER that counts its steps. An objective that is maximized is negated. Weights of constraints, which
    belong to penalties, are left out. Raises InvalidValue for products of more than two variables.

    >>> from qiosk.interop.dimod import to_cqm
    >>> from qiosk.modeling import Model
    >>> model = Model()
    >>> n, color = model.integer("n", 1, 5), model.choice("color", ["red", "blue"])
    >>> model.minimize(n * n + 3 * color["red"] * n)
    >>> model.add(n + 2 * color["red"] >= 3, "enough")
    >>> cqm = to_cqm(model)
    >>> print(cqm.objective.to_polystring())
    n*n + 3*n*v('color', 'red')
    >>> print(cqm.constraints["enough"].to_polystring())
    n + 2*v('color', 'red') >= 3.0
    """
    cqm = dimod.ConstrainedQuadraticModel()
    owner = owners_of(model.variables.values())
    integers = {bit: v for v in model.variables.values() if v.kind == "integer" for bit in v.bits}
    for variable in model.variables.values():
        match variable.kind:
            case "choice":
                for option in variable.options:
                    cqm.add_variable("BINARY", (variable.name, option))
            case "integer" | "grid":
                low, high = range_of(variable)
                cqm.add_variable("INTEGER", variable.name, lower_bound=low, upper_bound=high)
            case kind:
                cqm.add_variable("BINARY" if kind == "bit" else "SPIN", variable.name)
    cqm.set_objective(_quadratic_model(cqm, quadratic_of("objective", model.cost, owner)))
    for constraint in model.constraints:
        condition = constraint.condition
        if is_implied(condition, integers):
            continue
        left = quadratic_of(f"constraint `{constraint.name}`", condition.expression, owner)
        bound = condition.bound - left.pop((), 0.0)
        cqm.add_constraint_from_model(_quadratic_model(cqm, left), condition.sense.value, bound, label=constraint.name)
    for variable in model.variables.values():
        label = f"one of {variable.name}"
        if variable.kind == "choice" and label in cqm.constraint_labels:
            cqm.discrete.add(label)
    return cqm


def _condition(comparison: Any, values: Mapping[Hashable, Expression]) -> Condition:
    left, bound = _expression(comparison.lhs, values), float(comparison.rhs)
    match comparison.sense.name:
        case "Eq":
            return left == bound
        case "Le":
            return left <= bound
        case _:
            return left >= bound


def _expression(quadratic: Any, values: Mapping[Hashable, Expression]) -> Expression:
    linear = [float(c) * values[label] for label, c in quadratic.linear.items() if c]
    products = [float(c) * values[u] * values[v] for u, v, c in quadratic.iter_quadratic() if c]
    return total([float(quadratic.offset), *linear, *products])


def _price(model: Model, comparison: Any, condition: Condition, name: str, taken: Container[str]) -> Expression:
    """The price of violating a soft constraint."""
    weight, is_linear = float(comparison.lhs.weight()), comparison.lhs.penalty() == "linear"
    if comparison.sense.name == "Eq" and not is_linear:
        return weight * (condition.expression - condition.bound) ** 2
    called = f"violation of {name}"
    while called in taken or {called, f"{called}: over", f"{called}: under"} & model.variables.keys():
        called += "'"
    violation = model.violation(condition, called)
    return weight * (violation if is_linear else violation**2)


def _quadratic_model(cqm: Any, quadratic: Quadratic) -> Any:
    """The QuadraticModel over variables of ``cqm``."""
    built = dimod.QuadraticModel()
    labels = list(dict.fromkeys(label for some in quadratic for label in some))
    for label in labels or list(cqm.variables)[:1]:  # without variables, dimod evaluates a constant to 0
        is_integer = cqm.vartype(label).name == "INTEGER"
        bounds = {"lower_bound": cqm.lower_bound(label), "upper_bound": cqm.upper_bound(label)} if is_integer else {}
        built.add_variable(cqm.vartype(label), label, **bounds)
    for some, c in quadratic.items():
        match some:
            case ():
                built.offset += c
            case (u,):
                built.add_linear(u, c)
            case (u, v):
                built.add_quadratic(u, v, c)
    return built
