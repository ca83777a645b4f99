"""The errors that jobs can end with, by category and number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from inspect import getdoc
from typing import Final, NamedTuple

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qiosk.dashboard.visits import Visit, visited
from qiosk.errors import QioskError

_MARKUP: Final = re.compile(r":\w+:`~?([^`]*)`|``([^`]*)``")
_INTERNAL: Final = "A failure of Qiosk, or of the machine that ran the job; the log of the job tells more."
_NUMBER: Final = re.compile(r"_?(AZQ\d{3})")


class Documented(NamedTuple):
    """A class of errors: its category, its number or None, and what it means."""

    name: str
    code: str
    number: str | None
    meaning: str


@cache
def documented() -> tuple[Documented, ...]:
    """All classes of errors, a base before those derived from it."""
    return tuple(
        Documented(kind.__name__, kind.code, kind.azq, _meaning(kind)) for kind in dict.fromkeys(_below(QioskError))
    )


def anchor_of(code: str, message: str) -> str | None:
    """The fragment of the URL that leads to the error of a job; None for an unknown one."""
    found = _NUMBER.match(message)
    number = found[1] if found else None
    fitting = [each for each in documented() if each.code == code]
    exact = [each for each in fitting if each.number == number]
    return next((each.name for each in (*exact, *fitting)), None)


def _below(kind: type[QioskError]) -> Iterator[type[QioskError]]:
    yield kind
    for derived in kind.__subclasses__():
        if derived.__module__ == QioskError.__module__:
            yield from _below(derived)


def _meaning(kind: type[QioskError]) -> str:
    """The text of the docstring, without its examples."""
    if kind is QioskError:
        return _INTERNAL
    text = (getdoc(kind) or "").partition("\n>>>")[0]
    return " ".join(_MARKUP.sub(lambda match: match[1] or match[2], text).split())


@visited
async def show_errors(visit: Visit) -> Response:
    """The page of all errors."""
    return visit.page("errors.html", errors=documented())


routes: Final[list[BaseRoute]] = [Route("/errors", show_errors)]
