"""The rules of the targets' parameters, which a client checks before it submits a job."""

from __future__ import annotations

from typing import Any

from qiosk.errors import InvalidTarget
from qiosk.solvers.targets.catalogue import target
from qiosk.solvers.targets.parameters import read_parameters


def check_params(target_id: str, input_params: Any) -> None:
    """Raise WrongType or InvalidValue, which name the parameter and its rule, for parameters that would fail the job.

    Parameters of targets that are unknown here, on other servers, are not checked.
    """
    try:
        found = target(target_id)
    except InvalidTarget:
        return
    read_parameters(found.parameters, found.section(input_params))
