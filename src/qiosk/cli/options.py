"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qiosk.cli.output import check_writable

NAME_HELP = "Regular expression to search for in the name."
_FILE_HELP = "Problem in QIO JSON or a format that 'qiosk convert' reads, plain, gzip, zstd or xz; - is standard input."
_HOME_HELP = "Folder of the jobs; QIOSK_HOME or a per-user folder unless given."
_URL_HELP = "URL of a server; QIOSK_URL unless given, its key is QIOSK_API_KEY. Without either: jobs of this machine."
_WORKSPACE_HELP = (
    "Workspace as SUBSCRIPTION/GROUP/NAME, or default; by default that of QIOSK_SUBSCRIPTION_ID, QIOSK_RESOURCE_GROUP"
    " and QIOSK_WORKSPACE."
)
_TARGET_HELP = "Solver, as 'qiosk targets' lists them, or the middle part of its name: tabu; auto unless given."

File = Annotated[str, typer.Argument(metavar="FILE", help=_FILE_HELP)]
Files = Annotated[list[str], typer.Argument(metavar="FILE...", help=_FILE_HELP)]
JobId = Annotated[str, typer.Argument(metavar="ID", help="Id of the job.")]
SessionId = Annotated[str, typer.Argument(metavar="ID", help="Id of the session.")]
JobIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of the jobs.")]

Home = Annotated[Path | None, typer.Option("--home", help=_HOME_HELP)]
Url = Annotated[str | None, typer.Option("--url", help=_URL_HELP)]
Workspace = Annotated[str | None, typer.Option("--workspace", "-w", help=_WORKSPACE_HELP)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", callback=check_writable, help="Write the results to this JSON file."),
]
TargetName = Annotated[str | None, typer.Option("--target", help=_TARGET_HELP)]
Timeout = Annotated[float | None, typer.Option("--timeout", help="Time limit of the search in seconds.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Makes the run reproducible.")]
TargetCost = Annotated[float | None, typer.Option("--target-cost", help="Stop when this cost is reached.")]
Gap = Annotated[
    float | None, typer.Option("--gap", help="Stop when the cost is proved to be within this share of the least.")
]
Bound = Annotated[str | None, typer.Option("--bound", help="Lower bound to compute: auto, none or a method.")]
Receipt = Annotated[
    Path | None,
    typer.Option("--receipt", metavar="FILE", help="Write what proves the bound there; 'qiosk verify' checks it."),
]
Label = Annotated[
    str | None,
    typer.Option("--name", "--label", help="Name of the job or its results; a job has the file's unless given."),
]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A tag to keep with the job or its results.")]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter of the solver, its value in JSON."),
]
From = Annotated[str | None, typer.Option("--from", help="Format of the file; by default chosen by name or content.")]
Grid = Annotated[
    float | None, typer.Option("--grid", help="Step of the grid of values of continuous variables (lp, mps).")
]
Penalty = Annotated[str | None, typer.Option("--penalty", help="Cost of the least violation of a constraint, or auto.")]
