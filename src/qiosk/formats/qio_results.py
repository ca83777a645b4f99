"""The output format ``microsoft.qio-results.v2``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from qiosk.errors import InvalidValue, MissingSection, WrongType
from qiosk.formats.qio_document import kind, to_float
from qiosk.formats.qio_json import parse_json
from qiosk.model.cost_function import I8, I64

VERSION = "1.0"

SolutionColumns = tuple[I64, I8, float]
"""Ids (n,) in ascending order, values (n,), cost."""

_OWN_MEMBERS = ("version", "configuration", "cost", "parameters", "solutions")


@dataclass(frozen=True, eq=False)
class ResultsDocument:
    """Content of a results blob: solutions best first, the parameters used, members that are not of the
    format."""

    solutions: Sequence[SolutionColumns]
    parameters: Mapping[str, Any]
    extra: Mapping[str, Any]


def encode(
    solutions: Sequence[SolutionColumns],
    parameters: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> bytes:
    """The document: keys of configurations in ascending numeric order, values as integers, costs as floats.

    ``solutions`` are best first, at least one; its first is repeated at the root. ``extra`` adds members to
    the root and may not replace one of the format's own. Raises InvalidValue.
    """
    if not solutions:
        raise InvalidValue("results need at least one solution")
    taken = sorted(set(extra or ()).intersection(_OWN_MEMBERS))
    if taken:
        raise InvalidValue(f"extra member `{taken[0]}` is one of the format's own")
    texts = [_solution(*solution) for solution in solutions]
    parts = [
        b'{"version": "' + VERSION.encode() + b'", ',
        texts[0],
        b', "parameters": ' + msgspec.json.encode(parameters, enc_hook=_to_builtin),
        b', "solutions": [{' + b"}, {".join(texts) + b"}]",
    ]
    for name, value in (extra or {}).items():
        member = msgspec.json.encode(name) + b": " + msgspec.json.encode(value, enc_hook=_to_builtin)
        parts.append(b", " + member)
    return b"".join([*parts, b"}"])


def _solution(variables: I64, values: I8, cost: float) -> bytes:
    """The members of a solution, without braces."""
    n = len(variables)
    if len(values) != n:
        raise InvalidValue(f"a solution has {len(values)} values for {n} variables")
    if n > 1 and not np.all(variables[1:] > variables[:-1]):
        raise InvalidValue("the variables of a solution must be distinct and in ascending order")
    if not np.isfinite(cost):
        raise InvalidValue(f"the cost of a solution must be finite, found {cost}")
    pairs = np.stack([variables, values], axis=1).ravel().tolist()
    configuration = ", ".join(['"%d": %d'] * n) % tuple(pairs)
    return b'"configuration": {' + configuration.encode() + b'}, "cost": ' + repr(float(cost)).encode()


def _to_builtin(value: Any) -> Any:
    """NumPy numbers and arrays, which parameters may hold, as JSON values."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise NotImplementedError(f"a {type(value).__name__} cannot be written to results")


def decode(data: bytes) -> ResultsDocument:
    """The solutions, parameters and other members of a document.

    Raises UnreadableInput for broken JSON; MissingSection, WrongType or InvalidValue for what it says.
    """
    document = parse_json(data)
    if not isinstance(document, dict):
        raise WrongType(f"the results must be an object, found {kind(document)}")
    items = document.get("solutions")
    if items is None:
        raise MissingSection("the results: `solutions` is missing")
    if not isinstance(items, list):
        raise WrongType(f"the results: `solutions` must be an array, found {kind(items)}")
    parameters = document.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise WrongType(f"the results: `parameters` must be an object, found {kind(parameters)}")
    solutions = [_read_solution(item, k) for k, item in enumerate(items)]
    extra = {name: value for name, value in document.items() if name not in _OWN_MEMBERS}
    return ResultsDocument(solutions, parameters or {}, extra)


def _read_solution(item: Any, k: int) -> SolutionColumns:
    where = f"solution {k}"
    if not isinstance(item, dict):
        raise WrongType(f"{where}: must be an object, found {kind(item)}")
    for name in ("configuration", "cost"):
        if name not in item:
            raise MissingSection(f"{where}: `{name}` is missing")
    configuration, cost = item["configuration"], item["cost"]
    if not isinstance(configuration, dict):
        raise WrongType(f"{where}: `configuration` must be an object, found {kind(configuration)}")
    if type(cost) not in (int, float):
        raise WrongType(f"{where}: `cost` must be a number, found {kind(cost)}")
    for value in configuration.values():
        if type(value) is not int:
            raise WrongType(f"{where}: values must be integers, found {kind(value)}")
        if value not in (-1, 0, 1):
            raise InvalidValue(f"{where}: values must be -1, 0 or 1, found {value}")
    for key in configuration:
        if not (key.isascii() and key.isdecimal() and len(key) < 19):
            raise InvalidValue(f"{where}: {key!r} is not a variable id")
    variables = np.array([int(key) for key in configuration], np.int64)
    order = np.argsort(variables, kind="stable")
    return variables[order], np.array(list(configuration.values()), np.int8)[order], to_float(cost, where)
