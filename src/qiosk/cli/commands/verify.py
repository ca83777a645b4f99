"""The command ``qiosk verify``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer

from qiosk.cli import options
from qiosk.cli.output import reported

_ITS_OWN = (".json", ".json.gz")
"""Endings of problems that the checker reads by itself."""


def verify(
    problem: options.File,
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="Results, as 'qiosk solve -o' writes them.")],
    receipt: Annotated[
        Path | None,
        typer.Argument(metavar="[RECEIPT]", help="Proof of the bound, as 'qiosk solve --receipt' writes it."),
    ] = None,
    penalty: options.Penalty = None,
    grid: options.Grid = None,
    from_format: options.From = None,
) -> None:
    """Check the cost of a result, and with a receipt its lower bound, by a program of one file that uses NumPy alone.

    Exits with 0 if all is as the result says, and with 1 and the reason if not.
    """
    from qiosk.cli.inputs import Reading
    from qiosk.formats.files import write_file

    with (
        reported(),
        tempfile.TemporaryDirectory() as folder,
        as_file(files("qiosk.bounds").joinpath("verify.py")) as checker,
    ):
        reading = Reading(from_format, penalty, grid)
        if from_format is not None or reading.is_model or not problem.endswith(_ITS_OWN):
            function = reading.read(problem)
            problem = str(Path(folder) / "problem.json")
            Path(problem).write_bytes(write_file(problem, function))
        for file in (problem, result, receipt):
            if file is not None:
                Path(file).read_bytes()  # raises OSError
        command = [sys.executable, "-I", str(checker), problem, str(result)]
        done = subprocess.run(command if receipt is None else [*command, str(receipt)], check=False)
    raise typer.Exit(done.returncode)
