"""What commands print, and how they end: 0 done, 1 the job failed, 2 the command or its input is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import typer

from qiosk.cli.table import Cell
from qiosk.errors import InvalidInput, InvalidJobDefinition, MissingExtra, NotFound, QioskError

FAILED = 1
WRONG_INPUT = 2
_SHOWN_VARIABLES = 24
_SHOWN_ENTRIES = 8


@contextmanager
def reported() -> Iterator[None]:
    """Turn errors into one line on standard error and an exit status."""
    try:
        yield
    except (InvalidInput, InvalidJobDefinition, MissingExtra, NotFound) as error:
        raise fail(str(error), WRONG_INPUT) from error
    except (QioskError, TimeoutError) as error:
        raise fail(str(error)) from error
    except BrokenPipeError:
        raise  # the reader of a pipe has exited: no message can be printed
    except OSError as error:
        status = WRONG_INPUT if error.filename else FAILED
        raise fail(f"{error.filename or 'system'}: {error.strerror or error}", status) from error


def fail(message: str, status: int = FAILED) -> typer.Exit:
    """Print one ``error:`` line; raise what this returns."""
    typer.echo(f"error: {' '.join(message.splitlines())}", err=True)
    return typer.Exit(status)


def to_json(document: Any) -> str:
    """A document as indented JSON."""
    return json.dumps(document, allow_nan=False, indent=2)


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(to_json(document))


def when(moment: datetime | None) -> Cell:
    """A time for a table; in short how long ago it was."""
    if moment is None:
        return Cell("", "")
    return Cell(f"{moment.astimezone():%Y-%m-%d %H:%M:%S}", _ago((datetime.now(UTC) - moment).total_seconds()))


def _ago(seconds: float) -> str:
    for size, unit in ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "now"


def print_solution(results: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> None:
    """Cost, configuration and parameters of a results document, and ``more`` lines about the run."""
    solutions = results.get("solutions") or [results]
    best = solutions[0]
    lines: dict[str, Any] = {"cost": best["cost"], "configuration": _configuration(best["configuration"])}
    if len(solutions) > 1:
        lines["other solutions"] = ", ".join(str(solution["cost"]) for solution in solutions[1:])
    lines["parameters"] = _pairs(results.get("parameters") or results.get("input_params") or {})
    lines |= more or {}
    width = max(map(len, lines))
    for name, value in lines.items():
        typer.echo(f"{name:<{width}}  {value if name == 'cost' else _plain(value)}")


def _configuration(configuration: Mapping[str, Any]) -> str:
    shown = _pairs(dict(list(configuration.items())[:_SHOWN_VARIABLES]))
    left = len(configuration) - _SHOWN_VARIABLES
    return f"{shown} … and {left} more" if left > 0 else shown


def _pairs(values: Mapping[str, Any]) -> str:
    return "  ".join(f"{name}: {_plain(value)}" for name, value in values.items())


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        shown = ", ".join(map(_plain, value[:_SHOWN_ENTRIES]))
        left = len(value) - _SHOWN_ENTRIES
        return f"[{shown}, … and {left} more]" if left > 0 else f"[{shown}]"
    return value if isinstance(value, str) else json.dumps(value)
