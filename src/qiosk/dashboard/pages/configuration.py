"""The values of a solution: by id, or by name where the problem was made by a model; searched, in pages."""

from __future__ import annotations

from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qiosk.dashboard.job import configurations
from qiosk.dashboard.job.models import model_of
from qiosk.dashboard.job.shown import text_of
from qiosk.dashboard.pages.job_files import read_document
from qiosk.dashboard.visits import Visit, visited
from qiosk.errors import InvalidFilter

_VALUES: Final = {"": None, "-1": -1, "0": 0, "1": 1}


@visited
async def show_values(visit: Visit) -> Response:
    """A page of the values of one solution."""
    return visit.page("values.html", **await run_in_threadpool(_content, visit))


def _content(visit: Visit) -> dict[str, Any]:
    view, document = read_document(visit)
    given = visit.request.query_params
    place = given.get("solution") or "0"
    solution = configurations.chosen(document.solutions, place)
    model = model_of(document.extra)
    names = model.values if model and place == "0" else {}
    by_name = bool(names) and given.get("by") != "id"
    text, value, page = given.get("q", ""), given.get("value", ""), _page(given.get("page", "1"))
    if by_name:
        found = configurations.values_by_name(names, text, page)
    else:
        if value not in _VALUES:
            raise InvalidFilter(f"value: must be one of -1, 0 and 1, found {value[:100]!r}")
        found = configurations.values_by_id(solution, text, _VALUES[value], page)
    return {
        "job": view,
        "solution": int(place),
        "n_solutions": len(document.solutions),
        "cost": solution[2],
        "counts": configurations.counts(solution),
        "n_variables": len(solution[0]),
        "has_names": bool(names),
        "by_name": by_name,
        "found": found,
        "text": text,
        "value": "" if by_name else value,
        "text_of": text_of,
    }


def _page(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidFilter(f"page: must be a whole number, found {text[:100]!r}")
    return int(text)


routes: Final[list[BaseRoute]] = [Route("/jobs/{job_id}/values", show_values)]
