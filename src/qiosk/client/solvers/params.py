"""Solver parameters as JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from qiosk.errors import InvalidValue, WrongType


def merged(params: Mapping[str, Any] | None, **own: Any) -> dict[str, Any]:
    """``params`` together with a class's own parameters; those that are None are left out."""
    return {**(params or {}), **{name: value for name, value in own.items() if value is not None}}


def json_value(name: str, value: Any) -> Any:
    """A parameter's value as JSON: NumPy numbers and arrays become numbers and lists.

    Raises WrongType, and InvalidValue for a number that is not finite.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidValue(f"parameter `{name}`: must be finite, found {value}")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): json_value(f"{name}.{key}", member) for key, member in value.items()}
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return json_value(name, value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [json_value(f"{name}[{i}]", member) for i, member in enumerate(value)]
    raise WrongType(f"parameter `{name}`: must be a JSON value, found {type(value).__name__}")
