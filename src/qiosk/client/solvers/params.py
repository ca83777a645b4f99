"""Solver parameters among the arguments of solver classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
