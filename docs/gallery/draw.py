"""Draws the pictures of the gallery: ``python docs/gallery/draw.py [NAME …]``, by default all of them."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure

import qiosk
from qiosk import Workspace, plots
from qiosk.modeling import Choice, Model, Solution, total
from qiosk.optimization import (
    ParallelTempering,
    PopulationAnnealing,
    Problem,
    ProblemType,
    SimulatedAnnealing,
    Solver,
    Tabu,
)

HERE = Path(__file__).parent
DPI = 110


@dataclass(frozen=True)
class Budget:
    """The effort for a picture: seconds per run, and runs per solver."""

    seconds: int = 5
    runs: int = 6


def lattice(length: int = 36) -> Problem:
    """A spin glass: couplings of -1 or +1 between neighbours on a square lattice with periodic boundaries."""
    rng = np.random.default_rng(7)
    here = np.arange(length * length).reshape(length, length)
    pairs = np.concatenate([np.stack([here, np.roll(here, -1, axis)], axis=-1).reshape(-1, 2) for axis in (0, 1)])
    return Problem.from_arrays(
        rng.choice([-1.0, 1.0], len(pairs)), pairs, problem_type=ProblemType.ising, name="lattice"
    )


def search(budget: Budget) -> Figure:
    """Best cost over time, for one run of each solver."""
    figure, axes = pyplot.subplots(figsize=(6.4, 4), layout="constrained")
    for name, target in (
        ("simulated annealing", "microsoft.simulatedannealing-parameterfree.cpu"),
        ("parallel tempering", "microsoft.paralleltempering-parameterfree.cpu"),
        ("tabu search", "microsoft.tabu-parameterfree.cpu"),
    ):
        result = qiosk.solve(lattice(), target, timeout=budget.seconds, seed=1)
        plots.search(result, ax=axes, label=name)
    axes.legend(title="36 × 36 spin glass")
    return figure


def compare(budget: Budget) -> Figure:
    """Jobs of four solvers: the fraction that has found the best cost by a time, and the gap to it."""
    with Workspace() as workspace:
        solvers: Mapping[str, Callable[[int], Solver]] = {
            "simulated annealing": lambda seed: SimulatedAnnealing(workspace, timeout=budget.seconds, seed=seed),
            "parallel tempering": lambda seed: ParallelTempering(workspace, timeout=budget.seconds, seed=seed),
            "population annealing": lambda seed: PopulationAnnealing(workspace, timeout=budget.seconds, seed=seed),
            "tabu search": lambda seed: Tabu(workspace, timeout=budget.seconds, seed=seed),
        }
        problem = lattice(20)
        jobs = {name: [make(seed).submit(problem) for seed in range(budget.runs)] for name, make in solvers.items()}
        for some in jobs.values():
            for job in some:
                job.wait_until_completed()
        figure = plots.compare(jobs)
        for job in chain.from_iterable(jobs.values()):
            job.delete()
        return figure


def replicas(budget: Budget) -> Figure:
    """Final costs of the replicas of simulated annealing, with few and with many sweeps."""
    figure, axes = pyplot.subplots(figsize=(6.4, 4), layout="constrained")
    for sweeps in (100, 1000, 10_000):
        result = qiosk.solve(
            lattice(), "microsoft.simulatedannealing.cpu", sweeps=sweeps, restarts=512, timeout=budget.seconds, seed=1
        )
        plots.replicas(result, ax=axes, label=f"{sweeps} sweeps")
    axes.legend()
    return figure


def ladder(budget: Budget) -> Figure:
    """Exchanges between temperatures of parallel tempering: betas that it found, and betas at equal distances."""
    figure, axes = pyplot.subplots(figsize=(6.4, 4), layout="constrained")
    target = "microsoft.paralleltempering-parameterfree.cpu"
    found = qiosk.solve(lattice(), target, timeout=budget.seconds, seed=1)
    betas = found.parameters["all_betas"]
    even = np.linspace(betas[0], betas[-1], len(betas)).tolist()
    equal = qiosk.solve(
        lattice(), "microsoft.paralleltempering.cpu", all_betas=even, sweeps=500, timeout=budget.seconds, seed=1
    )
    plots.ladder(found, ax=axes, label="chosen by the solver")
    plots.ladder(equal, ax=axes, label="at equal distances")
    axes.legend(loc="lower right")
    return figure


def solutions(budget: Budget) -> Figure:
    """The ten best solutions of a small portfolio problem, and their distance from the best cost."""
    rng = np.random.default_rng(5)
    history = rng.normal(0.08, 0.2, (60, 24))
    returns, risk = history.mean(axis=0), np.cov(history.T)
    model = Model("portfolio")
    take = list(model.bits("take", range(24)).values())
    variance = total(risk[i, j] * take[i] * take[j] for i in range(24) for j in range(24))
    model.minimize(variance - 2 * total(float(r) * x for r, x in zip(returns, take, strict=True)))
    model.add(total(take) == 8, "eight shares")
    result = qiosk.solve(model.problem(), number_of_solutions=10, timeout=budget.seconds, seed=1)
    axes = plots.solutions(result)
    axes.set_title("the ten best of 735 471 portfolios")
    return axes.figure


def tour(budget: Budget) -> Figure:
    """A short tour through ten cities, decoded from a model."""
    rng = np.random.default_rng(3)
    cities = {name: tuple(rng.uniform(0, 100, 2)) for name in "ABCDEFGHIJ"}
    model = Model("tour")
    at = model.choices("at", range(len(cities)), cities)
    for city in cities:
        model.add(total(stop[city] for stop in at.values()) == 1, f"visit {city}")
    legs = [(at[step], at[(step + 1) % len(cities)]) for step in at]
    model.minimize(
        total(
            math.dist(cities[x], cities[y]) * here[x] * there[y]
            for here, there in legs
            for x in cities
            for y in cities
            if x != y
        )
    )
    found = model.decode(qiosk.solve(model.problem(), timeout=budget.seconds, seed=1))
    figure, axes = pyplot.subplots(figsize=(5, 4.4), layout="constrained")
    route = [cities[city] for city in found["at"].values() if city is not None]
    axes.plot(*zip(*route, route[0], strict=True), "o-")
    for city, (x, y) in cities.items():
        axes.annotate(city, (x, y), xytext=(5, 5), textcoords="offset points")
    axes.set(xlabel="east [km]", ylabel="north [km]", title=_title(found, f"{found.objective:.0f} km"), aspect="equal")
    axes.margins(0.08)
    return figure


def schedule(budget: Budget) -> Figure:
    """The schedule of a job shop, decoded from a model."""
    machines = ("cut", "drill", "paint")
    orders = {
        "chair": [("cut", 3), ("drill", 2), ("paint", 2)],
        "table": [("cut", 2), ("paint", 1), ("drill", 4)],
        "shelf": [("drill", 4), ("cut", 1), ("paint", 3)],
    }
    tasks = {(order, k): task for order, some in orders.items() for k, task in enumerate(some)}
    latest = 12
    model = Model("job shop")
    start = model.choices("start", tasks, range(latest))
    end = model.choice("end", range(latest + 1))

    def never(one: Choice, other: Choice, name: str, low: int, high: float = math.inf) -> None:
        """Forbid times of the two tasks whose difference is between low and high."""
        for t in one.options:
            for u in other.options:
                if low < t - u < high:
                    model.add(one[t] + other[u] <= 1, f"{name}: {t}, {u}")

    for (order, k), (machine, length) in tasks.items():
        here = start[order, k]
        never(here, start.get((order, k + 1), end), f"{order} {k} before the next", -length)
        for other, (its_machine, its_length) in tasks.items():
            if its_machine == machine and other > (order, k):
                never(here, start[other], f"{order} {k} and {other} on one machine", -length, its_length)
    model.minimize(end.of({t: t for t in end.options}))
    found = model.decode(qiosk.solve(model.problem(), timeout=budget.seconds, seed=1))
    figure, axes = pyplot.subplots(figsize=(6.4, 2.8), layout="constrained")
    colors = dict(zip(orders, matplotlib.color_sequences["tab10"], strict=False))
    for (order, k), (machine, length) in tasks.items():
        begin = found["start"][order, k]
        if begin is not None:
            axes.barh(machines.index(machine), length, left=begin, color=colors[order], edgecolor="white")
            axes.text(begin + length / 2, machines.index(machine), order, ha="center", va="center", color="white")
    axes.set(
        xlabel="time [h]", yticks=range(len(machines)), yticklabels=machines, title=_title(found, f"{found['end']} h")
    )
    axes.invert_yaxis()
    return figure


PICTURES: Mapping[str, Callable[[Budget], Figure]] = {
    draw.__name__: draw for draw in (search, compare, replicas, ladder, solutions, tour, schedule)
}


def main() -> None:
    """Draw the pictures that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    parser.add_argument("--output", type=Path, default=HERE, help="folder of the pictures")
    parser.add_argument("--seconds", type=int, default=Budget.seconds, help="time limit of a run")
    parser.add_argument("--runs", type=int, default=Budget.runs, help="runs of each solver that is compared")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in PICTURES]
    if unknown:
        parser.error(f"NAME: must be one of {', '.join(PICTURES)}, found {unknown[0]!r}")
    os.environ.setdefault("QIOSK_CONCURRENT_JOBS", "1")  # so that jobs do not take time from each other
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or PICTURES:
        figure = PICTURES[name](Budget(arguments.seconds, arguments.runs))
        figure.savefig(arguments.output / f"{name}.png", dpi=DPI, metadata={"Software": None})
        pyplot.close(figure)
        print(arguments.output / f"{name}.png")


def _title(found: Solution, text: str) -> str:
    return text if found.is_feasible else f"{text}, {len(found.violated)} constraints violated"


if __name__ == "__main__":
    main()
