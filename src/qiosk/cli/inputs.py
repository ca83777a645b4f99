"""Arguments of commands: a problem's bytes, a target, parameters."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from qiosk.formats.files import read_file
from qiosk.formats.text.lines import to_number
from qiosk.model.cost_function import CostFunction
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET, full_name
from qiosk.solvers.targets.catalogue import target as known_target

if TYPE_CHECKING:
    from qiosk.modeling import Model


def read_bytes(file: str) -> bytes:
    """Content of a file, or of standard input for ``-``. Raises OSError."""
    if file != "-":
        return Path(file).read_bytes()
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise OSError(errno.EBADF, "there is no standard input", file)
    return bytes(stream.read())


def write_bytes(file: str, content: bytes) -> None:
    """Replace the content of a file, or write it to standard output for ``-``. Raises OSError."""
    if file != "-":
        Path(file).write_bytes(content)
        return
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:
        raise OSError(errno.EBADF, "there is no standard output", file)
    stream.write(content)


@dataclass(frozen=True)
class Reading:
    """How a file is read: ``form`` is the name of its format, by default its own.

    With ``penalty`` it may have constraints and integers; the least violation costs so much, ``auto`` computes it. With
    ``grid`` continuous variables are put on a grid with this step.
    """

    form: str | None = None
    penalty: str | None = None
    grid: float | None = None

    @property
    def is_model(self) -> bool:
        """Whether the file is read as a model."""
        return self.penalty is not None or self.grid is not None

    def read(self, file: str) -> CostFunction:
        """The problem of a file. Raises BadParameter for a wrong penalty, OSError, InvalidInput."""
        return self.parse(file, read_bytes(file))

    def parse(self, file: str, data: bytes) -> CostFunction:
        """The problem in the content of a file. Raises as :meth:`read`."""
        if not self.is_model:
            return read_file(file, data, self.form)
        return self.parse_model(file, data).problem().cost_function()

    def parse_any(self, file: str) -> CostFunction | Model:
        """The problem of a file, or its model where it is read as one. Raises as :meth:`read`."""
        data = read_bytes(file)
        return self.parse_model(file, data) if self.is_model else self.parse(file, data)

    def source(self, file: str) -> dict[str, Any]:
        """The file and how it is read, as results name it."""
        return {"file": file} | {name: value for name, value in asdict(self).items() if value is not None}

    def parse_model(self, file: str, data: bytes) -> Model:
        """The model in the content of a file. Raises as :meth:`read`."""
        from qiosk.modeling import Model

        weight = None if self.penalty in (None, "auto") else to_number(str(self.penalty))
        if weight is None and self.penalty not in (None, "auto"):
            raise typer.BadParameter(f"--penalty: must be a number or auto, found {self.penalty!r}")
        return Model.from_file(file, data, format=self.form, penalty=weight, grid=self.grid)


def problem_name(file: str) -> str:
    """The name of a file's problem: the file's name up to the first dot."""
    return "stdin" if file == "-" else Path(file).name.split(".")[0] or Path(file).name


def parse_params(given: Iterable[str] | None, **common: Any) -> dict[str, Any]:
    """Parameters from ``name=value`` texts, whose values are JSON or else plain text, and from other options.

    Raises BadParameter for a text without ``=`` or a name.
    """
    params: dict[str, Any] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"must be NAME=VALUE, found {text!r}", param_hint="--param / -p")
        params[name.strip()] = _json_or_text(value)
    return params | {name: value for name, value in common.items() if value is not None}


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def resolve_target(name: str | None, params: Mapping[str, Any]) -> str:
    """The target to run: a full id as it is; for a solver's name, the one of its targets that fits the parameters.

    Raises InvalidTarget; InvalidValue for a parameter that the target would ignore, which is a mistake in a command.
    """
    name = full_name(name or DEFAULT_TARGET, params)
    chosen = known_target(name if "." in name else f"microsoft.{name}.cpu")
    chosen.check_names(params)
    return chosen.id
