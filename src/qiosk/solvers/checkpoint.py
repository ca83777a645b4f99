"""Solver state to bytes and back.

The bytes are an npz archive: one JSON member with the shape of the state, and one array member for every array in it.
Nothing is pickled, and only classes marked with :func:`checkpointed` are ever built.
"""

from __future__ import annotations

import io
import json
import logging
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from qiosk.errors import UnreadableCheckpoint
from qiosk.model.cost_function import CostFunction
from qiosk.version import __version__

_log = logging.getLogger(__name__)

FORMAT = "qiosk-checkpoint"
VERSION = 3

SAMPLE = 1 << 20
"""Entries of an array that a digest reads; of a longer one, as many at even distances."""

C = TypeVar("C", bound=type)
_CLASSES: dict[str, type] = {}


def checkpointed(cls: C) -> C:
    """Class decorator: dataclasses of this class may be part of a checkpoint."""
    _CLASSES[cls.__name__] = cls
    return cls


def pack(state: object) -> bytes:
    """State to bytes. Holds dataclasses marked as checkpointed, lists, dicts with string keys, arrays and scalars."""
    arrays: dict[str, NDArray[Any]] = {}
    tree = {"format": FORMAT, "version": VERSION, "qiosk": __version__, "state": _to_tree(state, arrays)}
    file = io.BytesIO()
    members = {"tree": np.frombuffer(json.dumps(tree).encode(), np.uint8), **arrays}
    np.savez(file, **members)  # type: ignore[arg-type]  # its stub takes allow_pickle for the only keyword
    return file.getvalue()


def unpack(data: bytes, *, without: str = "") -> Any:
    """Bytes to state, a dict perhaps ``without`` one of its items, whose classes need not be known then.

    A checkpoint of another version of Qiosk is read if its format is the same; a warning is logged ``without`` an item,
    which is how a checkpoint is read first. Raises UnreadableCheckpoint for anything else that ``pack`` did not write.
    """
    writer = ""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as members:
            tree = json.loads(members["tree"].tobytes())
            writer = str(tree.get("qiosk", "of an earlier version"))
            if tree["format"] != FORMAT or tree["version"] != VERSION:
                raise UnreadableCheckpoint(
                    f"format must be {FORMAT} version {VERSION}, found {tree['format']} version {tree['version']}"
                )
            if without:
                tree["state"]["dict"].pop(without, None)
                if writer != __version__:
                    _log.warning("Qiosk %s goes on from a checkpoint of Qiosk %s", __version__, writer)
            return _from_tree(tree["state"], members)
    except Exception as error:  # whatever zip, JSON or a constructor makes of damaged bytes, or of other classes
        of_other = f" of Qiosk {writer} by Qiosk {__version__}" if writer not in ("", __version__) else ""
        raise UnreadableCheckpoint(f"checkpoint{of_other} cannot be read: {error}") from error


def origin(target_id: str, values: Mapping[str, Any], cost_function: CostFunction) -> dict[str, Any]:
    """What identifies a run: only a run of the same origin resumes a checkpoint."""
    cf, groups, initial = cost_function, cost_function.groups, cost_function.initial_configuration or {}
    numbers = (cf.coefficients, cf.indptr, cf.ids, groups.coefficients, groups.indptr, groups.weights, groups.ids)
    return {
        "target": target_id,
        "problem type": str(cf.problem_type),
        "number of variables": len(cf.variables),
        "digest of the problem": digest([*numbers, np.array([*initial, *initial.values()], np.int64)]),
        "digest of the parameters": digest([np.frombuffer(repr(sorted(values.items())).encode(), np.uint8)]),
    }


def check_origin(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raises UnreadableCheckpoint, which names the first difference, unless both origins are the same."""
    for name, value in wanted.items():
        if found[name] != value:
            raise UnreadableCheckpoint(f"checkpoint: {name} must be {value}, found {found[name]}")


def digest(arrays: Iterable[NDArray[Any]]) -> int:
    """A checksum of arrays: of their types, their shapes and a sample of their entries."""
    found = 0
    for array in arrays:
        found = zlib.crc32(f"{array.dtype.str}{array.shape}".encode(), found)
        found = zlib.crc32(np.ascontiguousarray(array[:: 1 + len(array) // SAMPLE]).data, found)
    return found


def _to_tree(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if is_dataclass(value) and not isinstance(value, type):
        members = {f.name: _to_tree(getattr(value, f.name), arrays) for f in fields(value)}
        return {"class": _known(type(value).__name__).__name__, "members": members}
    if isinstance(value, dict):
        return {"dict": {key: _to_tree(item, arrays) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return {"list": [_to_tree(item, arrays) for item in value]}
    if isinstance(value, np.generic):
        return {"scalar": value.item()}
    return {"scalar": value}


def _from_tree(node: Any, arrays: Any) -> Any:
    (kind, value), *rest = node.items()
    if kind == "array":
        return arrays[value]
    if kind == "class":
        ((_, members),) = rest
        return _known(value)(**{name: _from_tree(item, arrays) for name, item in members.items()})
    if kind == "dict":
        return {key: _from_tree(item, arrays) for key, item in value.items()}
    if kind == "list":
        return [_from_tree(item, arrays) for item in value]
    return value


def _known(name: str) -> type:
    if name not in _CLASSES:
        raise UnreadableCheckpoint(f"class {name} may not be part of a checkpoint")
    return _CLASSES[name]
