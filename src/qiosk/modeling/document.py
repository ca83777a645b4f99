"""A model as JSON values, so that a job's results can be decoded where the program that made it is gone."""

from __future__ import annotations

from typing import Any

import msgspec

from qiosk.errors import InvalidValue, QioskError
from qiosk.modeling.expression import Condition, Expression, Sense
from qiosk.modeling.model import Constraint, Model
from qiosk.modeling.variables import Variable

VERSION = 1

_Terms = list[tuple[list[int], float]]


class _Variable(msgspec.Struct):
    name: str
    kind: str
    weights: list[float]
    offset: float
    options: list[Any]
    is_one_hot: bool


class _Constraint(msgspec.Struct):
    name: str
    terms: _Terms
    sense: Sense
    bound: float
    weight: float | None


class _Document(msgspec.Struct):
    version: int
    name: str
    variables: list[_Variable]
    families: list[tuple[str, list[tuple[Any, str]]]]
    objective: _Terms
    is_maximized: bool
    constraints: list[_Constraint]


def model_document(model: Model) -> dict[str, Any]:
    """The model as JSON values; keys and options that JSON does not know become their texts."""
    document = _Document(
        version=VERSION,
        name=model.name,
        variables=[
            _Variable(v.name, v.kind, list(v.weights), v.offset, [_plain(o) for o in v.options], v.is_one_hot)
            for v in model.variables.values()
        ],
        families=[
            (name, [(_plain(key), member) for key, member in members.items()])
            for name, members in model.families.items()
        ],
        objective=_terms(model.objective),
        is_maximized=model.is_maximized,
        constraints=[
            _Constraint(c.name, _terms(c.condition.expression), c.condition.sense, c.condition.bound, c.weight)
            for c in model.constraints
        ],
    )
    values: dict[str, Any] = msgspec.to_builtins(document)
    return values


def read_model(document: Any) -> Model:
    """The model of a document; lists among keys and options are tuples again. Raises InvalidValue."""
    try:
        read = msgspec.convert(document, _Document)
        if read.version != VERSION:
            raise InvalidValue(f"model: version must be {VERSION}, found {read.version}")
        return _model(read)
    except (msgspec.ValidationError, QioskError, TypeError) as error:
        raise InvalidValue(f"model: not the document of one: {error}") from error


def _model(read: _Document) -> Model:
    model = Model(read.name)
    first = 0
    for v in read.variables:
        options = tuple(map(_hashable, v.options))
        variable = Variable(v.name, v.kind, first, tuple(v.weights), v.offset, options, v.is_one_hot)
        model._add(variable)
        first += len(variable.bits)
    model.families = {name: {_hashable(key): member for key, member in members} for name, members in read.families}
    for name, members in model.families.items():
        unknown = [member for member in members.values() if member not in model.variables]
        if unknown:
            raise InvalidValue(f"family `{name}`: has the unknown member {unknown[0]!r}")
    model.objective, model.is_maximized = model._own(_expression(read.objective)), read.is_maximized
    for c in read.constraints:
        expression = model._own(_expression(c.terms))
        model._constraints[c.name] = Constraint(c.name, Condition(expression, c.sense, c.bound), c.weight)
    return model


def _terms(expression: Expression) -> _Terms:
    return [(list(bits), c) for bits, c in expression.terms.items()]


def _expression(terms: _Terms) -> Expression:
    for bits, _ in terms:
        if bits != sorted(set(bits)) or (bits and bits[0] < 0):
            raise InvalidValue(f"term: bits must be ascending, found {bits}")
    return Expression({tuple(bits): c for bits, c in terms})


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, tuple):
        return [_plain(member) for member in value]
    return str(value)


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
