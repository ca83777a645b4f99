"""Solver parameters as JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from qiosk.errors import InvalidValue, WrongType

NOT_PARAMETERS = frozenset(
    ("self", "__class__", "workspace", "name", "params", "options", "platform", "content_type", "perform_icm")
)
"""Arguments of solver classes that are not parameters of the solver."""


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The solver's parameters among a constructor's arguments (its ``locals()``), and those in ``params``.

    Parameters that are None are left out.
    """
    own = {name: value for name, value in arguments.items() if name not in NOT_PARAMETERS and value is not None}
    return {**(arguments["params"] or {}), **own}


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
