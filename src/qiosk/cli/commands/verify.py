"""The command ``qiosk verify``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qiosk.cli import options
from qiosk.cli.commands.workspaces import open_workspace
from qiosk.cli.output import reported, to_json
from qiosk.errors import InvalidValue

if TYPE_CHECKING:
    from qiosk.client.job import Job

_ITS_OWN = (".json", ".json.gz")
"""Endings of problems that the checker reads by itself."""
_OF_HELP = "Problem, plain or compressed; or alone the id of a job that has ended."


def verify(
    of: Annotated[str, typer.Argument(metavar="PROBLEM|ID", help=_OF_HELP)],
    result: Annotated[
        Path | None, typer.Argument(metavar="[RESULT]", help="Results, as 'qiosk solve -o' writes them.")
    ] = None,
    receipt: Annotated[
        Path | None,
        typer.Argument(metavar="[RECEIPT]", help="Proof of the bound, as 'qiosk solve --receipt' writes it."),
    ] = None,
    penalty: options.Penalty = None,
    grid: options.Grid = None,
    from_format: options.From = None,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
) -> None:
    """Check the cost of a result, and with a receipt its lower bound, by a program of one file that uses NumPy alone.

    Of a job, its problem, its results and its receipt are checked. Exits with 0 if all is as the result says, and with
    1 and the reason if not.
    """
    from qiosk.cli.inputs import Reading
    from qiosk.formats.files import write_file

    with (
        reported(),
        tempfile.TemporaryDirectory() as folder,
        as_file(files("qiosk.bounds").joinpath("verify.py")) as checker,
    ):
        if result is None:
            with open_workspace(home, url, workspace_name) as workspace:
                paths = _of_job(workspace.get_job(of), Path(folder))
        else:
            reading = Reading(from_format, penalty, grid)
            if from_format is not None or reading.is_model or not of.endswith(_ITS_OWN):
                function = reading.read(of)
                of = str(Path(folder) / "problem.json")
                Path(of).write_bytes(write_file(of, function))
            paths = [file for file in (Path(of), result, receipt) if file is not None]
            for file in paths:
                file.read_bytes()  # raises OSError
        done = subprocess.run([sys.executable, "-I", str(checker), *map(str, paths)], check=False)
    raise typer.Exit(done.returncode)


def _of_job(job: Job, folder: Path) -> list[Path]:
    """Files of a job's problem, its results and its receipt, if there is one. Raises InvalidValue before its end."""
    from qiosk.formats.files import write_file

    if not job.has_completed():
        raise InvalidValue(f"job {job.id}: has not ended, it is {job.status}")
    paths = [folder / name for name in ("problem.json", "results.json", "receipt.npz")]
    paths[0].write_bytes(write_file(str(paths[0]), job.cost_function()))
    paths[1].write_text(to_json(job.get_results()))
    receipt = job.get_receipt()
    if receipt is None:
        return paths[:2]
    paths[2].write_bytes(receipt)
    return paths
