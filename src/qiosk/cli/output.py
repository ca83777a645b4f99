"""What commands print, and how they end: 0 done, 1 the job failed, 2 the command or its input is wrong, 3 a
constraint is violated."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from qiosk.cli.table import Cell
from qiosk.errors import InvalidInput, InvalidJobDefinition, MissingExtra, NotFound, QioskError

FAILED = 1
WRONG_INPUT = 2
INFEASIBLE = 3
_SHOWN_VARIABLES = 24
_SHOWN_ENTRIES = 8


@contextmanager
def reported(file: str | None = None, /, **options: object) -> Iterator[None]:
    """Turn errors into one line on standard error and an exit status.

    The line names the ``file`` if one is given. ``options`` are those that were given (not None), by the name that
    errors give them; errors then name the option.
    """
    of_file = "" if file is None else f"{file}: "
    try:
        yield
    except (InvalidInput, InvalidJobDefinition, MissingExtra, NotFound) as error:
        raise fail(of_file + _with_options(str(error), options), WRONG_INPUT) from error
    except (QioskError, TimeoutError) as error:
        raise fail(of_file + str(error)) from error
    except BrokenPipeError:
        raise  # the reader of a pipe has exited: no message can be printed
    except OSError as error:
        status = WRONG_INPUT if error.filename else FAILED
        raise fail(f"{error.filename or 'system'}: {error.strerror or error}", status) from error


def _with_options(message: str, options: Mapping[str, object]) -> str:
    for name, value in options.items():
        if value is not None:
            option = "--name" if name == "name_match" else f"--{name.replace('_', '-')}"
            message = re.sub(rf"parameter `{name}`|^{name}(?=[ :])", option, message)
    return message


def fail(message: str, status: int = FAILED) -> typer.Exit:
    """Print one ``error:`` line; raise what this returns."""
    typer.echo(f"error: {' '.join(message.splitlines())}", err=True)
    return typer.Exit(status)


def check_writable(path: Path | None) -> Path | None:
    """The path of a file that can be written; checked before the work whose results it is to contain.

    Raises BadParameter.
    """
    if path is None or str(path) == "-":
        return path
    reason = None
    if os.path.isdir(path):  # unlike the path's own methods, these raise nothing for a folder that may not be read
        reason = "is a folder"
    elif os.path.exists(path):
        reason = None if os.access(path, os.W_OK) else "is not writable"
    elif not os.path.isdir(path.absolute().parent):
        reason = "its folder does not exist"
    elif not os.access(path.absolute().parent, os.W_OK):
        reason = "its folder is not writable"
    if reason is not None:
        raise typer.BadParameter(f"{path}: {reason}")
    return path


def counted(number: int, what: str) -> str:
    """A number of things: ``1 job``, ``2 jobs``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


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


def print_solution(results: Mapping[str, Any], more: Mapping[str, Any] | None = None, file: str | None = None) -> None:
    """Cost, configuration, parameters and violated constraints of a results document, and ``more`` lines about the run;
    before them the ``file`` of the problem if it is given.

    Of a model it prints values by name.
    """
    solutions = results.get("solutions") or [results]
    best = solutions[0]
    lines: dict[str, Any] = {} if file is None else {"file": file}
    lines |= {"cost": best["cost"]} | _bound_lines(results.get("bound"))
    lines["configuration"] = _configuration(best["configuration"])
    if len(solutions) > 1:
        lines["other solutions"] = ", ".join(str(solution["cost"]) for solution in solutions[1:])
    lines["parameters"] = _pairs(results.get("parameters") or results.get("input_params") or {})
    lines |= more or {}
    if "portfolio" in lines:
        lines["portfolio"] = _portfolio_in_words(lines["portfolio"])
    width = max(map(len, lines))
    for name, value in lines.items():
        typer.echo(f"{name:<{width}}  {value if name == 'cost' else _plain(value)}")
    if "model" in results:
        print_model(results["model"])
    else:
        _print_violated(results.get("violated") or [])


def _portfolio_in_words(members: Sequence[Mapping[str, Any]]) -> str:
    """Which searches a portfolio ran, how much of the work each had, and why it stayed or went."""
    ran = [f"{some['member']} had {100 * some['share']:.0f} % ({some['fate']})" for some in members]
    return ", ".join(ran)


def _bound_lines(bound: Mapping[str, Any] | None) -> dict[str, str]:
    """The lower bound of a results document and the gap to it; nothing where there is none."""
    if bound is None:
        return {}
    gap = "not a number" if bound["gap"] is None else f"{100 * bound['gap']:.3g} %"
    if bound["gap"] == 0:
        gap = "0, so it is optimal"
    return {"bound": f"{bound['value']} ({bound['method']})", "gap": gap}


def end_if_infeasible(results: Mapping[str, Any]) -> None:
    """Raise the exit that says so if the best solution of a results document violates a constraint."""
    if results.get("violated"):
        raise typer.Exit(INFEASIBLE)


def _print_violated(reports: Iterable[Mapping[str, Any]]) -> None:
    for report in reports:
        typer.echo(f"{'violated':<13}  {report['name']} by {report['violation']:g}")


def print_model(found: Mapping[str, Any]) -> None:
    """The objective, whether it is feasible, values by name and violated constraints of a solution of a model."""
    lines = {
        "objective": _plain(found["objective"]),
        "feasible": "yes" if found["is_feasible"] else "no",
        "values": _configuration(found["values"]),
    }
    lines |= {"status": found["status"]} if "status" in found else {}
    for name, value in lines.items():
        typer.echo(f"{name:<13}  {value}")
    _print_violated(found["violated"])


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
