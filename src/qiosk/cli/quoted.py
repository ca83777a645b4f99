"""What people quote of files of public collections: the cut or the objective, the best known value, and the gap to it.

The best known values are in ``data/best_known.json``, with their sources. The table is small, and nothing updates it.
An instance is recognized by the name of its file and its number of variables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import Any, NamedTuple

from qiosk.formats.compression import decompressed, without_suffix
from qiosk.formats.files import FORMATS, format_of
from qiosk.model.cost_function import CostFunction

CUT, MINIMUM, MAXIMUM = "cut", "minimum", "maximum"
_FORMS = ("rudy", "biqmac", "orlib", "qplib")


class BestKnown(NamedTuple):
    """The best value of an instance with ``variables`` that was published; ``kind`` is cut, minimum or maximum."""

    kind: str
    variables: int
    value: float


def quoted_values(file: str, data: bytes, form: str | None, problem: CostFunction, cost: float) -> Mapping[str, Any]:
    """The values of a solution with this cost, by name; none for files of other formats.

    ``file``, its content ``data`` and ``form`` are what ``problem`` was read from.
    """
    content = decompressed(data)
    chosen = format_of(file, content, form)
    if chosen.name not in _FORMS:
        return {}
    if chosen.name == "rudy":  # cost = weight of all edges - 2 cut
        kind, value = CUT, (float(problem.coefficients.sum()) - cost) / 2
    elif chosen.read_program is not None and chosen.read_program(content).is_maximized:
        kind, value = MAXIMUM, -cost
    else:
        kind, value = MINIMUM, cost
    found: dict[str, Any] = {"cut" if kind == CUT else "objective": _plain(value)}
    known = best_known(file)
    if known is not None and (known.kind, known.variables) == (kind, len(problem.variables)):
        found["best_known"] = _plain(known.value)
        missing = known.value - value if kind in (CUT, MAXIMUM) else value - known.value
        found["gap_percent"] = _plain(100 * missing / abs(known.value))
    return found


def best_known(file: str) -> BestKnown | None:
    """The best known value of the instance that a file is called after; None if there is none."""
    return _table().get(_key(_stem(file)))


@cache
def _table() -> Mapping[str, BestKnown]:
    document = json.loads((files("qiosk.cli") / "data" / "best_known.json").read_text("utf-8"))
    return {
        _key(name): BestKnown(family["kind"], variables, value)
        for family in document["families"]
        for name, (variables, value) in family["instances"].items()
    }


def _stem(file: str) -> str:
    """The name without the suffixes of formats and compression: ``be100.1`` of ``be100.1.sparse.gz``."""
    name = without_suffix(PurePath(file).name)[0]
    suffixes = {".txt", *(suffix for form in FORMATS for suffix in form.suffixes)}
    return name[: -len(suffix)] if (suffix := PurePath(name).suffix).lower() in suffixes else name


def _key(name: str) -> str:
    """The name in lower case, with one separator: collections write ``bqp50-1``, ``bqp50.1`` and ``bqp50_1``."""
    return re.sub(r"[-_. ]+", ".", name.lower())


def _plain(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value
