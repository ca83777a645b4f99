"""``qiosk demo``: two real problems as jobs, and the list of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from qiosk.cli.commands.jobs import print_jobs
from qiosk.cli.output import FAILED

if TYPE_CHECKING:
    from pathlib import Path

    from qiosk.client.job import Job
    from qiosk.client.workspace import Workspace
    from qiosk.problem import Problem

# Containers [t] to be split over two ships as evenly as can be.
CONTAINERS = (1, 5, 9, 21, 35, 5, 3, 5, 10, 11)

# G43 has 1000 vertices and 9990 edges. The largest cut that has been published, found by breakout local search
# (U. Benlic, J.-K. Hao, 2013, doi:10.1016/j.engappai.2012.09.001) and others.
GRAPH = "G43"
BEST_KNOWN_CUT = 6660
MAX_CUT_SECONDS = 20


def run(home: Path | None = None) -> None:
    """Solve both problems as jobs of a home's default workspace; exit status 1 if a job fails."""
    from qiosk.client.workspace import Workspace

    with Workspace(home=home) as workspace:
        _ships(workspace)
        _max_cut(workspace)
        _list(workspace)


def ship_loading() -> Problem:
    """(load of one ship - load of the other) squared, as pairs of spins; the sum of squares is left out."""
    return _problem("ships.json", "ship loading")


def max_cut() -> Problem:
    """The graph's max-cut problem: cost = number of edges - 2 cut."""
    return _problem(f"{GRAPH}.json.gz", f"max-cut {GRAPH}")


def _problem(file: str, name: str) -> Problem:
    from qiosk.formats import registry
    from qiosk.formats.examples import example
    from qiosk.problem import Problem

    return Problem.from_cost_function(registry.read(example(file).content), name=name)


def _ships(workspace: Workspace) -> None:
    from qiosk.optimization import SimulatedAnnealing

    typer.echo(f"Ship loading: {len(CONTAINERS)} containers, {sum(CONTAINERS)} t, two ships")
    found = _solve(workspace, SimulatedAnnealing(workspace, timeout=100).submit(ship_loading()))
    ships = {1: [], -1: []}  # type: dict[int, list[int]]
    for container, ship in found.items():
        ships[ship].append(CONTAINERS[int(container)])
    for name, load in zip("AB", ships.values(), strict=True):
        typer.echo(f"  ship {name}: {sum(load):3d} t = {' + '.join(map(str, load))}")


def _max_cut(workspace: Workspace) -> None:
    from qiosk.optimization import ParallelTempering

    problem = max_cut()
    edges = len(problem.cost_function().coefficients)
    typer.echo(f"\nMax-cut: graph {GRAPH} of the Gset, {edges} edges, best cut known {BEST_KNOWN_CUT}")
    found = _solve(workspace, ParallelTempering(workspace, timeout=MAX_CUT_SECONDS, seed=1).submit(problem))
    cut = round((edges - problem.evaluate(found)) / 2)
    typer.echo(f"  cut {cut}, {100 * cut / BEST_KNOWN_CUT:.2f} % of the best known")


def _solve(workspace: Workspace, job: Job) -> dict[str, int]:
    """Follow a job and print its improvements; returns its configuration."""
    for update in workspace.watch(job):
        for point in update.new_trace:
            typer.echo(f"  {point.seconds:7.3f} s   cost {point.cost:g}")
    if job.details.status != "Succeeded":
        typer.echo(f"  job {job.id} ended {job.details.status}: {job.details.error_data}", err=True)
        raise typer.Exit(FAILED)
    configuration: dict[str, int] = job.get_results()["configuration"]
    return configuration


def _list(workspace: Workspace) -> None:
    typer.echo("\nThe jobs of this workspace (qiosk jobs list):")
    print_jobs(workspace.list_jobs(limit=10), as_json=False)
