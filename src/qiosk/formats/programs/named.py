"""Names of variables in the formats of mathematical programs."""

from __future__ import annotations

import re

from qiosk.formats.programs.program import NAMES
from qiosk.formats.text.quadratic import Quadratic, to_entries
from qiosk.model.cost_function import CostFunction, ProblemType


def to_named(cost_function: CostFunction, form: str, allowed: re.Pattern[str]) -> tuple[Quadratic, list[str]]:
    """The table of a quadratic cost function over bits, and a name for each variable.

    The names are those of the metadata, if they are distinct and match ``allowed`` of the format; otherwise x0, x1, …
    """
    table = to_entries(cost_function, form, ProblemType.pubo)
    given = cost_function.metadata.get(NAMES)
    if isinstance(given, dict):
        names = [given.get(str(i)) for i in range(table.n)]
        if len(set(names)) == table.n and all(isinstance(name, str) and allowed.fullmatch(name) for name in names):
            return table, [str(name) for name in names]
    return table, [f"x{i}" for i in range(table.n)]
