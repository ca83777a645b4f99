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
    form = format_of(target.id)
    try:
        own = target.in_own_units(parameters)
    except OverflowError as error:
        raise InvalidValue("parameter `timeout`: must be finite, found a larger number") from error
    plain = {name: plain_value(name, value) for name, value in own.items()}
    sent = {name: str(value) if form.force_str_params else value for name, value in plain.items()}
    given: dict[str, Any] = {"params": sent} if form.nested_params else sent
    read_parameters(target.parameters, target.section(given))
    return given
