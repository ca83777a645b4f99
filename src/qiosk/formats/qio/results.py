"""Results documents: ``microsoft.qio-results.v2``, and the variants of 1QBit (``.v1``) and Toshiba.

Microsoft's document repeats the best solution at the root, next to ``parameters``. The variants do not; they contain
the target, the URI of the input data and ``input_params``. In 1QBit's, parameters and the values of configurations are
strings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from qiosk.errors import InvalidValue, MissingSection, WrongType
from qiosk.formats.qio.document import kind, to_float
from qiosk.formats.qio.json_codec import parse_json
from qiosk.model.cost_function import I8, I64

VERSION = "1.0"

SolutionColumns = tuple[I64, I8, float]
"""Ids (n,) in ascending order, values (n,), cost."""

_OWN_MEMBERS = ("version", "configuration", "cost", "parameters", "solutions")
_VALUES_AS_TEXT = {"-1": -1, "0": 0, "1": 1}


@dataclass(frozen=True, eq=False)
class ResultsDocument:
    """The content of a results blob: solutions, best first; the parameters used; and members outside the format."""

    solutions: Sequence[SolutionColumns]
    parameters: Mapping[str, Any]
    extra: Mapping[str, Any]


def encode(
    solutions: Sequence[SolutionColumns],
    parameters: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> bytes:
    """The document, with keys of configurations in ascending numeric order, values as integers, costs as floats.

    ``solutions`` are at least one, best first; the first is repeated at the root. ``extra`` adds members to the root
    and must not replace one of the format's own. Raises InvalidValue.
    """
    if not solutions:
        raise InvalidValue("results need at least one solution")
    taken = sorted(set(extra or ()).intersection(_OWN_MEMBERS))
    if taken:
        raise InvalidValue(f"extra member `{taken[0]}` is one of the format's own")
    texts = [_solution(solution) for solution in solutions]
    parts = [
        b'{"version": "' + VERSION.encode() + b'", ',
        texts[0],
        b', "parameters": ' + _json(parameters),
        b', "solutions": [{' + b"}, {".join(texts) + b"}]",
    ]
    return b"".join([*parts, _members(extra), b"}"])


def encode_oneqbit(
    solutions: Sequence[SolutionColumns],
    parameters: Mapping[str, Any],
    *,
    target: str,
    input_data_uri: str,
    extra: Mapping[str, Any] | None = None,
) -> bytes:
    """The document of a 1QBit target, whose values and parameters are strings. Raises InvalidValue."""
    head = {
        "version": VERSION,
        "target": target,
        "input_data_uri": input_data_uri,
        "input_params": {name: str(_plain(value)) for name, value in parameters.items()},
    }
    return _with_solutions(head, [_solution(solution, in_quotes=True) for solution in solutions], extra)


def encode_toshiba(
    solutions: Sequence[SolutionColumns],
    parameters: Mapping[str, Any],
    run: Mapping[str, Any],
    *,
    target: str,
    input_data_uri: str,
    extra: Mapping[str, Any] | None = None,
) -> bytes:
    """The document of a Toshiba target; every solution contains ``run``: runs, message, time. Raises InvalidValue."""
    head = {"version": VERSION, "target": target, "input_params": parameters, "input_data_uri": input_data_uri}
    tail = b', "parameters": ' + _json(run)
    return _with_solutions(head, [_solution(solution) + tail for solution in solutions], extra)


def _with_solutions(head: Mapping[str, Any], texts: Sequence[bytes], extra: Mapping[str, Any] | None) -> bytes:
    return _json(head)[:-1] + b', "solutions": [{' + b"}, {".join(texts) + b"}]" + _members(extra) + b"}"


def _members(extra: Mapping[str, Any] | None) -> bytes:
    """Further members of the root."""
    return b"".join(b", " + _json(name) + b": " + _json(value) for name, value in (extra or {}).items())


def _solution(solution: SolutionColumns, *, in_quotes: bool = False) -> bytes:
    """The members of a solution, without braces."""
    variables, values, cost = solution
    n = len(variables)
    if len(values) != n:
        raise InvalidValue(f"a solution has {len(values)} values for {n} variables")
    if n > 1 and not np.all(variables[1:] > variables[:-1]):
        raise InvalidValue("the variables of a solution must be distinct and in ascending order")
    if not np.isfinite(cost):
        raise InvalidValue(f"the cost of a solution must be finite, found {cost}")
    pairs = np.stack([variables, values], axis=1).ravel().tolist()
    configuration = ", ".join(['"%d": "%d"' if in_quotes else '"%d": %d'] * n) % tuple(pairs)
    return b'"configuration": {' + configuration.encode() + b'}, "cost": ' + repr(float(cost)).encode()


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=_to_builtin)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _to_builtin(value: Any) -> Any:
    """NumPy numbers and arrays, which parameters may contain, as JSON values."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise NotImplementedError(f"a {type(value).__name__} cannot be written to results")


def decode(data: bytes) -> ResultsDocument:
    """The solutions, parameters and other members of a document of any provider.

    Parameters are those in ``parameters`` or ``input_params``; other members of single solutions are left out. Raises
    UnreadableInput for broken JSON; MissingSection, WrongType or InvalidValue for wrong content.
    """
    document = parse_json(data)
    if not isinstance(document, dict):
        raise WrongType(f"the results must be an object, found {kind(document)}")
    items = document.get("solutions")
    if items is None:
        raise MissingSection("the results: `solutions` is missing")
    if not isinstance(items, list):
        raise WrongType(f"the results: `solutions` must be an array, found {kind(items)}")
    name = "parameters" if document.get("parameters") is not None else "input_params"
    parameters = document.get(name)
    if parameters is not None and not isinstance(parameters, dict):
        raise WrongType(f"the results: `{name}` must be an object, found {kind(parameters)}")
    solutions = [_read_solution(item, k) for k, item in enumerate(items)]
    extra = {member: value for member, value in document.items() if member not in (*_OWN_MEMBERS, name)}
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
    values = [_read_value(value, where) for value in configuration.values()]
    for key in configuration:
        if not (key.isascii() and key.isdecimal() and len(key) < 19):
            raise InvalidValue(f"{where}: {key!r} is not a variable id")
    variables = np.array([int(key) for key in configuration], np.int64)
    order = np.argsort(variables, kind="stable")
    return variables[order], np.array(values, np.int8)[order], to_float(cost, where)


def _read_value(value: Any, where: str) -> int:
    if isinstance(value, str):
        value = _VALUES_AS_TEXT.get(value, value)
    if type(value) is not int:
        raise WrongType(f"{where}: values must be integers, found {kind(value)}")
    if value not in (-1, 0, 1):
        raise InvalidValue(f"{where}: values must be -1, 0 or 1, found {value}")
    return value
