"""What people quote of files of public collections: the cut or the objective, the best known value, and the gap to it.

The best known values are in ``data/best_known.json``, with their sources. The table is small, and nothing updates it.
An instance is recognized by the name of its file, its number of variables, and whether it is maximized.
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
    variables = len(problem.variables)
    if chosen.name == "rudy":  # cost = weight of all edges - 2 cut
        cut = (float(problem.coefficients.sum()) - cost) / 2
        return {"cut": _plain(cut), **_comparison(file, CUT, variables, cut)}
    if chosen.name == "orlib":  # it maximizes what the table, as Biq Mac, minimizes
        found = {"objective": _plain(cost), **_comparison(file, MINIMUM, variables, cost)}
        return {name: value if name == "gap_percent" else -value for name, value in found.items()}
    kind = MINIMUM
    if chosen.read_program is not None:
        program = chosen.read_program(content)
        kind, variables = MAXIMUM if program.is_maximized else MINIMUM, len(program.columns)
    objective = -cost if kind == MAXIMUM else cost
    return {"objective": _plain(objective), **_comparison(file, kind, variables, objective)}


def quoted_objective(file: str, data: bytes, form: str | None, objective: float) -> Mapping[str, Any]:
    """The best known value and the gap to it of a feasible solution with this objective of the model in a file.

    ``file``, its content ``data`` and ``form`` are what the model was read from.
    """
    if best_known(file) is None:
        return {}
    content = decompressed(data)
    chosen = format_of(file, content, form)
    if chosen.name not in _FORMS or chosen.read_program is None:
        return {}
    program = chosen.read_program(content)
    kind = MAXIMUM if program.is_maximized else MINIMUM
    return _comparison(file, kind, len(program.columns), objective)


def best_known_cost(file: str, data: bytes, form: str | None, problem: CostFunction) -> float | None:
    """The cost of a solution with the best known value; None if none is known. Arguments as for ``quoted_values``."""
    if best_known(file) is None:
        return None
    zero, one = (quoted_values(file, data, form, problem, cost) for cost in (0.0, 1.0))
    if "best_known" not in zero:
        return None
    name = "cut" if "cut" in zero else "objective"
    return float((zero["best_known"] - zero[name]) / (one[name] - zero[name]))  # quoted values are linear in the cost


def best_known(file: str) -> BestKnown | None:
    """The best known value of the instance that a file is called after; None if there is none."""
    return _table().get(_key(instance_name(file)))


def _comparison(file: str, kind: str, variables: int, value: float) -> Mapping[str, Any]:
    """The best known value, and how far a value is from it; none if no instance of this name, kind and size is known.

    A gap below 0 is better than the best known. Where that is 0, only a gap of 0 can be given.
    """
    known = best_known(file)
    if known is None or (known.kind, known.variables) != (kind, variables):
        return {}
    missing = value - known.value if kind == MINIMUM else known.value - value
    if known.value == 0:
        return {"best_known": 0} | ({} if missing else {"gap_percent": 0})
    return {"best_known": _plain(known.value), "gap_percent": _plain(100 * missing / abs(known.value))}


@cache
def _table() -> Mapping[str, BestKnown]:
    document = json.loads((files("qiosk.formats") / "data" / "best_known.json").read_text("utf-8"))
    return {
        _key(name): BestKnown(family["kind"], variables, value)
        for family in document["families"]
        for name, (variables, value) in family["instances"].items()
    }


def instance_name(file: str) -> str:
    """The name of a file without the suffixes of formats and compression: ``be100.1`` of ``be100.1.sparse.gz``."""
    name = without_suffix(PurePath(file).name)[0]
    suffixes = {".txt", *(suffix for form in FORMATS for suffix in form.suffixes)}
    return name[: -len(suffix)] if (suffix := PurePath(name).suffix).lower() in suffixes else name


def _key(name: str) -> str:
    """The name in lower case, with one separator: collections write ``bqp50-1``, ``bqp50.1`` and ``bqp50_1``."""
    return re.sub(r"[-_. ]+", ".", name.lower())


def _plain(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value
