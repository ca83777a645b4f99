"""``qiosk convert``: a problem from one file format to another."""

from __future__ import annotations

from pathlib import Path

import typer

from qiosk.cli.inputs import Reading, read_bytes, write_bytes
from qiosk.cli.output import check_writable
from qiosk.formats.compression import decompressed
from qiosk.formats.files import (
    destination_format,
    format_of,
    renumbered,
    without_constant,
    write_file,
)
from qiosk.formats.text.orlib import read as read_orlib
from qiosk.model.cost_function import CostFunction


def convert_file(
    source: str,
    destination: str,
    *,
    reading: Reading,
    to_format: str | None,
    instance: int | None,
    renumber: bool,
    drop_constant: bool,
) -> None:
    """Read one file and write the other; changes of the problem are reported on standard error.

    Raises OSError, InvalidInput.
    """
    check_writable(Path(destination))
    problem = reading.read(source) if instance is None else _read_instance(source, reading.form, instance)
    if renumber:
        problem = renumbered(problem)
    if drop_constant:
        to_domain = destination_format(destination, to_format).to_domain
        problem, constant = without_constant(to_domain(problem) if to_domain else problem)
        if constant:
            typer.echo(f"left out the constant {constant:.15g}", err=True)
    write_bytes(destination, write_file(destination, problem, to_format))


def _read_instance(source: str, form: str | None, instance: int) -> CostFunction:
    content = decompressed(read_bytes(source))
    chosen = format_of(source, content, form)
    if chosen.name != "orlib":
        raise typer.BadParameter(f"--instance: files of format {chosen.name} have one problem each")
    return read_orlib(content, instance=instance)
