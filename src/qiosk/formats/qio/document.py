"""From a parsed ``microsoft.qio.v2`` document to a cost function, with errors that name what is wrong.

For every section, the presence is checked first, then the type, then the value. Unknown members are ignored. If a
member is repeated, the JSON parser keeps the last one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from qiosk.errors import InvalidInitialConfiguration, InvalidValue, MissingSection, WrongType
from qiosk.model.arrays.compact import LARGE_TERMS, compacted
from qiosk.model.check import check
from qiosk.model.cost_function import CONSTANT, F64, I64, CostFunction, Groups, ProblemType

VERSIONS = ("1.0", "1.1")
Columns = tuple[F64, I64, I64]
"""Coefficients (T,), indptr (T + 1,) and ids (nnz,) of terms."""

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)
_MAX_ID = 2**63 - 1


def cost_function_from(document: Any, terms: Columns | None = None) -> CostFunction:
    """The cost function that a document describes.

    ``terms`` replaces the document's own, for readers that have parsed the terms separately. Raises InvalidInput.
    """
    if not isinstance(document, dict):
        raise WrongType(f"the document must be an object, found {kind(document)}")
    section = _member(document, "the document", "cost_function", dict, "an object")
    for required in ("version", "type"):
        _present(section, "`cost_function`", required)
    if "terms_slc" not in section:
        _present(section, "`cost_function`", "terms")
    version = _member(section, "`cost_function`", "version", str, "a string")
    type_name = _member(section, "`cost_function`", "type", str, "a string")
    items = _optional(section, "terms", list, "an array") or []
    group_items = _optional(section, "terms_slc", list, "an array") or []
    given = _optional(section, "initial_configuration", dict, "an object", nullable=True)
    metadata = _metadata(document)
    if version not in VERSIONS:
        raise InvalidValue(f"`version` must be one of {', '.join(VERSIONS)}, found {version!r}")
    if type_name not in ProblemType.__members__:
        raise InvalidValue(f"`type` must be one of {', '.join(ProblemType)}, found {type_name!r}")
    coefficients, indptr, ids = terms or _read_terms(items)
    name = metadata.get("name")
    build = CostFunction if len(coefficients) < LARGE_TERMS else compacted
    cost_function = build(
        problem_type=ProblemType(type_name),
        coefficients=coefficients,
        indptr=indptr,
        ids=ids,
        groups=_read_groups(group_items),
        initial_configuration=None if given is None else _read_initial_configuration(given),
        name=name if isinstance(name, str) else "",
        metadata=metadata,
    )
    check(cost_function)
    return cost_function


def kind(value: Any) -> str:
    """The type of a JSON value, with its article."""
    if value is None:
        return "null"
    names: dict[type, str] = {
        bool: "a boolean",
        int: "an integer",
        float: "a float",
        str: "a string",
        list: "an array",
    }
    return names.get(type(value), "an object")


def _present(section: dict[str, Any], where: str, name: str) -> None:
    if name not in section:
        raise MissingSection(f"{where}: `{name}` is missing")


def _member(section: dict[str, Any], where: str, name: str, of: type, wanted: str) -> Any:
    _present(section, where, name)
    value = section[name]
    if type(value) is not of:
        raise WrongType(f"{where}: `{name}` must be {wanted}, found {kind(value)}")
    return value


def _optional(section: dict[str, Any], name: str, of: type, wanted: str, *, nullable: bool = False) -> Any:
    if name not in section or (nullable and section[name] is None):
        return None
    return _member(section, "`cost_function`", name, of, wanted)


def _metadata(document: dict[str, Any]) -> dict[str, Any]:
    metadata = document.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise WrongType(f"`metadata` must be an object, found {kind(metadata)}")
    return metadata


def _read_terms(items: list[Any]) -> Columns:
    coefficients, ids = np.empty(len(items)), []
    indptr = np.zeros(len(items) + 1, np.int64)
    for t, item in enumerate(items):
        coefficients[t], some = _read_term(item, "term", t)
        ids += some
        indptr[t + 1] = len(ids)
    return coefficients, indptr, np.array(ids, np.int64)


def _read_term(item: Any, what: str, t: int) -> tuple[float, list[int]]:
    where = f"{what} {t}"
    if type(item) is not dict:
        raise WrongType(f"{where}: must be an object, found {kind(item)}")
    _present(item, where, "c")
    some = _listed(item, where, "ids")
    c = _number(item, where)
    for i in some:
        if type(i) is not int:
            raise WrongType(f"{where}: `ids` must be integers, found {kind(i)}")
    if some and min(some) < 0:
        raise InvalidValue(f"{where}: variable id {min(some)} is negative")
    if some and max(some) > _MAX_ID:
        raise InvalidValue(f"{where}: variable id {max(some)} is greater than {_MAX_ID}")
    return to_float(c, where), some


def _listed(item: dict[str, Any], where: str, name: str) -> list[Any]:
    """The array ``name``; its presence is checked first, then the type of ``c``, then its own type."""
    _present(item, where, name)
    _number(item, where)
    value: list[Any] = _member(item, where, name, list, "an array")
    return value


def _number(item: dict[str, Any], where: str) -> int | float:
    c = item["c"]
    if type(c) is not int and type(c) is not float:
        raise WrongType(f"{where}: `c` must be a number, found {kind(c)}")
    return c


def to_float(c: int | float, where: str) -> float:
    """A JSON number as float64. Raises InvalidValue if it is out of range."""
    try:
        return float(c)
    except OverflowError as e:
        raise InvalidValue(f"{where}: a number is beyond the range of float64") from e


def _read_groups(items: list[Any]) -> Groups:
    coefficients, weights, ids = np.empty(len(items)), [], []
    indptr = np.zeros(len(items) + 1, np.int64)
    for g, item in enumerate(items):
        where = f"group {g}"
        if type(item) is not dict:
            raise WrongType(f"{where}: must be an object, found {kind(item)}")
        _present(item, where, "c")
        members = _listed(item, where, "terms")
        coefficients[g] = to_float(_number(item, where), where)
        for m, member in enumerate(members):
            weight, some = _read_term(member, f"{where}, member", m)
            if len(some) > 1:
                raise InvalidValue(f"{where}, member {m}: at most one id is allowed, found {len(some)}")
            weights.append(weight)
            ids.append(some[0] if some else CONSTANT)
        indptr[g + 1] = len(ids)
    return Groups(coefficients, indptr, np.array(weights, np.float64), np.array(ids, np.int64))


def _read_initial_configuration(given: dict[str, Any]) -> Mapping[int, int]:
    configuration = {}
    for key, value in given.items():
        # An id has at most 19 digits; int() of a much longer text would take long.
        if len(key) > 20 or not _DECIMAL.fullmatch(key):
            raise InvalidInitialConfiguration(f"initial configuration: {key!r} is not a variable id")
        if type(value) is not int:
            raise WrongType(f"initial configuration: variable {key} must be an integer, found {kind(value)}")
        configuration[int(key)] = value
    return configuration
