"""Qiosk's own format for large problems: the columns of a cost function in an ``.npz`` archive.

Members, each a NumPy array (version 1):

=================  ==================================================================================
``format``         the string ``qiosk.columns``; ``version``: 1; ``type``: ising, pubo or a grouped type
``coefficients``   (T,) any integers or floats
``ids``            (nnz,) integers >= 0
``indptr``         (T + 1,) where each term's ids begin; or ``degree``, if all terms have equally many
``group_*``        ``coefficients`` (G,), ``indptr`` (G + 1,), ``weights`` (M,), ``ids`` (M,), id -1: constant
``initial_*``      ``ids`` and ``values`` (n,) of the initial configuration
``metadata``       JSON as a string
=================  ==================================================================================

Groups, initial configuration and metadata are left out when empty. Columns are written in the smallest type that
represents them exactly. Members may be deflated; NumPy's ``savez`` writes this format, and ``load`` reads it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from qiosk.errors import InvalidValue, MissingSection, UnreadableInput, WrongType
from qiosk.formats import archive
from qiosk.formats.compression import MAX_CONTENT_BYTES
from qiosk.model.arrays.compact import LARGE_TERMS
from qiosk.model.check import check
from qiosk.model.cost_function import CONSTANT, F64, I64, Column, CostFunction, Groups, ProblemType

NAME = "qiosk.columns.v1"
"""The name of the format, as ``inputDataFormat``."""
MAGIC = b"PK\x03\x04"
_FORMAT, _VERSION = "qiosk.columns", 1
_WIDTHS = (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32)
_EXACT = 2.0**53  # integers below this are exact in float64


def write(cost_function: CostFunction, *, compress: bool = False) -> bytes:
    """The archive of a cost function; deflated if ``compress``, which takes about ten times as long."""
    buffer = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(buffer, allow_pickle=False, **_members(cost_function))
    return buffer.getvalue()


def _members(cost_function: CostFunction) -> dict[str, Column]:
    degrees = np.diff(cost_function.indptr)
    members: dict[str, Any] = {
        "format": _FORMAT,
        "version": _VERSION,
        "type": str(cost_function.problem_type),
        "coefficients": _narrow_reals(cost_function.coefficients),
        "ids": _narrow(cost_function.ids),
    }
    if len(degrees) and (degrees == degrees[0]).all():
        members["degree"] = int(degrees[0])
    else:
        members["indptr"] = _narrow(cost_function.indptr)
    groups = cost_function.groups
    if len(groups):
        members["group_coefficients"] = _narrow_reals(groups.coefficients)
        members["group_indptr"] = _narrow(groups.indptr)
        members["group_weights"] = _narrow_reals(groups.weights)
        members["group_ids"] = _narrow(np.where(groups.ids == CONSTANT, -1, groups.ids))
    initial = cost_function.initial_configuration
    if initial is not None:
        members["initial_ids"] = _narrow(np.array(list(initial), np.int64))
        members["initial_values"] = np.array(list(initial.values()), np.int8)
    metadata = dict(cost_function.metadata) | ({"name": cost_function.name} if cost_function.name else {})
    if metadata:
        members["metadata"] = json.dumps(metadata)
    return {name: np.asarray(value) for name, value in members.items()}


def _narrow(values: I64) -> Column:
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    for width in _WIDTHS:
        if np.iinfo(width).min <= low and high <= np.iinfo(width).max:
            return values.astype(width)
    return values


def _narrow_reals(values: F64) -> Column:
    if np.all(values == np.trunc(values)) and np.all(np.abs(values) < _EXACT):
        return _narrow(values.astype(np.int64))
    with np.errstate(over="ignore"):  # a value that does not fit is not equal
        single = values.astype(np.float32)
    return single if np.array_equal(single, values) else values


def read(data: bytes, /, *, max_size: int = MAX_CONTENT_BYTES) -> CostFunction:
    """The cost function in an archive of at most ``max_size`` bytes when inflated.

    Large columns that are not deflated are views of ``data``, which may also be a mapped file: then they are read from
    disk when they are needed. Raises InvalidInput: UnreadableInput for a broken archive, and MissingSection, WrongType
    and InvalidValue, which name the member.
    """
    members = archive.load(data, max_size, in_place_from=LARGE_TERMS)
    if _text(members, "format") != _FORMAT:
        raise InvalidValue(f"columns: `format` must be {_FORMAT!r}, found {_text(members, 'format')!r}")
    if _scalar(members, "version") != _VERSION:
        raise InvalidValue(f"columns: `version` must be {_VERSION}, found {_scalar(members, 'version')}")
    type_name = _text(members, "type")
    if type_name not in ProblemType.__members__:
        raise InvalidValue(f"columns: `type` must be one of {', '.join(ProblemType)}, found {type_name!r}")
    metadata = _metadata(members)
    name = metadata.get("name")
    cost_function = _assembled(
        members,
        archive.releaser(data),
        problem_type=ProblemType(type_name),
        groups=_groups(members),
        initial_configuration=_initial(members),
        name=name if isinstance(name, str) else "",
        metadata=metadata,
    )
    check(cost_function)
    return cost_function


def _assembled(members: Mapping[str, Column], release: Callable[[], None], **others: Any) -> CostFunction:
    """The cost function of an archive's columns; large ones keep their narrow types."""
    if len(_member(members, "coefficients", 1)) < LARGE_TERMS:
        coefficients, ids = _reals(members, "coefficients"), _integers(members, "ids")
        indptr = _indptr(members, len(coefficients), len(ids))
        return CostFunction(coefficients=coefficients, indptr=indptr, ids=ids, **others)
    narrow_coefficients, narrow_ids = _narrow_reals_of(members, "coefficients"), _narrow_integers(members, "ids")
    pointers: Column | int = _degree(members, len(narrow_coefficients), len(narrow_ids))
    if pointers < 0:
        pointers = _pointers(members, "indptr", len(narrow_coefficients), len(narrow_ids))
    return CostFunction(coefficients=narrow_coefficients, indptr=pointers, ids=narrow_ids, release=release, **others)


def _member(members: Mapping[str, Column], name: str, ndim: int) -> Column:
    if name not in members:
        raise MissingSection(f"columns: `{name}` is missing")
    if members[name].ndim != ndim:
        raise WrongType(f"columns: `{name}` must have {ndim} dimensions, found {members[name].ndim}")
    return members[name]


def _text(members: Mapping[str, Column], name: str) -> str:
    value = _member(members, name, 0)
    if value.dtype.kind != "U":
        raise WrongType(f"columns: `{name}` must be a text, found {value.dtype}")
    return str(value)


def _scalar(members: Mapping[str, Column], name: str) -> int:
    value = _member(members, name, 0)
    if value.dtype.kind not in "iu":
        raise WrongType(f"columns: `{name}` must be an integer, found {value.dtype}")
    return int(value)


def _reals(members: Mapping[str, Column], name: str) -> F64:
    return _narrow_reals_of(members, name).astype(np.float64, copy=False)


def _narrow_reals_of(members: Mapping[str, Column], name: str) -> Column:
    values = _member(members, name, 1)
    if values.dtype.kind not in "iuf" or values.dtype.itemsize > 8:
        raise WrongType(f"columns: `{name}` must be integers or floats, found {values.dtype}")
    return values


def _integers(members: Mapping[str, Column], name: str) -> I64:
    return _narrow_integers(members, name).astype(np.int64, copy=False)


def _narrow_integers(members: Mapping[str, Column], name: str) -> Column:
    values = _member(members, name, 1)
    if values.dtype.kind not in "iu":
        raise WrongType(f"columns: `{name}` must be integers, found {values.dtype}")
    if values.dtype == np.uint64 and len(values) and values.max() > np.iinfo(np.int64).max:
        raise InvalidValue(f"columns: `{name}` must be at most 2**63 - 1, found {values.max()}")
    return values


def _indptr(members: Mapping[str, Column], n_terms: int, n_ids: int) -> I64:
    degree = _degree(members, n_terms, n_ids)
    if degree < 0:
        return _pointers(members, "indptr", n_terms, n_ids)
    return np.arange(n_terms + 1, dtype=np.int64) * degree


def _degree(members: Mapping[str, Column], n_terms: int, n_ids: int) -> int:
    """The number of ids in each term if it is the same for all; -1 if the archive has ``indptr``."""
    if "indptr" in members or "degree" not in members:
        return -1
    degree = _scalar(members, "degree")
    if degree < 0 or degree * n_terms != n_ids:
        raise InvalidValue(f"columns: `degree` {degree} and {n_terms} coefficients do not fit {n_ids} ids")
    return degree


def _pointers(members: Mapping[str, Column], name: str, rows: int, entries: int) -> I64:
    indptr = _integers(members, name)
    if len(indptr) != rows + 1 or indptr[0] != 0 or indptr[-1] != entries or (indptr[1:] < indptr[:-1]).any():
        raise InvalidValue(f"columns: `{name}` must be {rows + 1} values that rise from 0 to {entries}")
    return indptr


def _groups(members: Mapping[str, Column]) -> Groups:
    if "group_coefficients" not in members:
        return Groups()
    coefficients, weights = _reals(members, "group_coefficients"), _reals(members, "group_weights")
    ids = _integers(members, "group_ids")
    if len(ids) != len(weights):
        raise InvalidValue(f"columns: `group_ids` must be as many as `group_weights`, {len(weights)}, found {len(ids)}")
    if (ids < -1).any():
        raise InvalidValue(f"columns: `group_ids` must be at least -1, found {ids.min()}")
    indptr = _pointers(members, "group_indptr", len(coefficients), len(ids))
    return Groups(coefficients, indptr, weights, np.where(ids == -1, CONSTANT, ids))


def _initial(members: Mapping[str, Column]) -> dict[int, int] | None:
    if "initial_ids" not in members:
        return None
    ids, values = _integers(members, "initial_ids"), _integers(members, "initial_values")
    if len(ids) != len(values):
        raise InvalidValue(f"columns: `initial_values` must be {len(ids)}, found {len(values)}")
    return dict(zip(ids.tolist(), values.tolist(), strict=True))


def _metadata(members: Mapping[str, Column]) -> dict[str, Any]:
    if "metadata" not in members:
        return {}
    try:
        metadata = json.loads(_text(members, "metadata"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UnreadableInput(f"columns: `metadata` must be JSON: {error}") from error
    if not isinstance(metadata, dict):
        raise WrongType("columns: `metadata` must be an object")
    return metadata
