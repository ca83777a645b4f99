"""Parameters in the form that a target's jobs take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qiosk.client.solvers.provider_formats import format_of
from qiosk.contract.plain import plain_value
from qiosk.errors import InvalidValue
from qiosk.solvers.targets.parameters import read_parameters
from qiosk.solvers.targets.target import Target


def input_params(target: Target, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The ``inputParams`` of a job with these parameters, whose ``timeout`` is in seconds.

    Raises WrongType, InvalidValue, which name the parameter, for values that the target does not take.
    """
    try:
        own = target.in_own_units(parameters)
    except OverflowError as error:
        raise InvalidValue("parameter `timeout`: must be finite, found a larger number") from error
    plain = {name: plain_value(name, value) for name, value in own.items()}
    given = with_more({}, target.id, plain)
    read_parameters(target.parameters, target.section(given))
    return given


def with_more(given: Mapping[str, Any], target_id: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """``inputParams`` of a job with further plain values in the target's own units, which are not checked."""
    form = format_of(target_id)
    sent = {name: str(value) for name, value in more.items()} if form.force_str_params else dict(more)
    return {"params": {**given.get("params", {}), **sent}} if form.nested_params else {**given, **sent}
