"""A model as JSON values.

A problem carries the document of its model as metadata, so results can be decoded by a program that does not have the
model. Nothing here imports ``Model``: it builds itself from what is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from qiosk.errors import InvalidValue
from qiosk.modeling.expression import Condition, Constraint, Expression, Sense
from qiosk.modeling.variables import Variable

VERSION = 1

_Terms = list[tuple[list[int], float]]


@dataclass(frozen=True, slots=True)
class ModelContent:
    """The content of a document: variables, the members of families by key, the objective and the constraints."""

    name: str
    variables: Sequence[Variable]
    families: Mapping[str, Mapping[Any, str]]
    objective: Expression
    is_maximized: bool
    constraints: Sequence[Constraint]


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


def write_document(content: ModelContent) -> dict[str, Any]:
    """A model as JSON values; keys and options that JSON has no type for become strings."""
    document = _Document(
        version=VERSION,
        name=content.name,
        variables=[
            _Variable(v.name, v.kind, list(v.weights), v.offset, [plain(o) for o in v.options], v.is_one_hot)
            for v in content.variables
        ],
        families=[
            (name, [(plain(key), member) for key, member in members.items()])
            for name, members in content.families.items()
        ],
        objective=_terms(content.objective),
        is_maximized=content.is_maximized,
        constraints=[
            _Constraint(c.name, _terms(c.condition.expression), c.condition.sense, c.condition.bound, c.weight)
            for c in content.constraints
        ],
    )
    values: dict[str, Any] = msgspec.to_builtins(document)
    return values


def read_document(document: Any) -> ModelContent:
    """The content of a document. Lists among keys and options become tuples again.

    Raises InvalidValue, and TypeError for a key that cannot be hashed.
    """
    try:
        read = msgspec.convert(document, _Document)
    except msgspec.ValidationError as error:
        raise InvalidValue(str(error)) from error
    if read.version != VERSION:
        raise InvalidValue(f"version must be {VERSION}, found {read.version}")
    variables: list[Variable] = []
    for v in read.variables:
        first = variables[-1].bits.stop if variables else 0
        options = tuple(map(_hashable, v.options))
        variables.append(Variable(v.name, v.kind, first, tuple(v.weights), v.offset, options, v.is_one_hot))
    families = {name: {_hashable(key): member for key, member in members} for name, members in read.families}
    known = {variable.name for variable in variables}
    for name, members in families.items():
        unknown = [member for member in members.values() if member not in known]
        if unknown:
            raise InvalidValue(f"family `{name}`: has the unknown member {unknown[0]!r}")
    constraints = [
        Constraint(c.name, Condition(_expression(c.terms), c.sense, c.bound), c.weight) for c in read.constraints
    ]
    return ModelContent(read.name, variables, families, _expression(read.objective), read.is_maximized, constraints)


def _terms(expression: Expression) -> _Terms:
    return [(list(bits), c) for bits, c in expression.terms.items()]


def _expression(terms: _Terms) -> Expression:
    for bits, _ in terms:
        if bits != sorted(set(bits)) or (bits and bits[0] < 0):
            raise InvalidValue(f"term: bits must be ascending, found {bits}")
    return Expression({tuple(bits): c for bits, c in terms})


def plain(value: Any) -> Any:
    """A key, an option or a value as JSON has it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, tuple):
        return [plain(member) for member in value]
    return str(value)


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
