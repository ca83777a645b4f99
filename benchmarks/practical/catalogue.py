"""All practical problems, by name: published ones from files, others by formula or from fixed seeds."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.instance import FOLDER
from benchmarks.practical.assignments import QuadraticAssignment
from benchmarks.practical.colourings import mycielski, queens
from benchmarks.practical.job_shops import JobShop
from benchmarks.practical.packings import knapsacks, partitioning, triplets, uniform_bins
from benchmarks.practical.practical_problem import PracticalProblem
from benchmarks.practical.tours import TravellingSalesman

STORED = FOLDER / "practical"
# Name, published instance, unit of time (durations are rounded up to it), deadline.
SHOPS = (
    ("ft06_60", "ft06", 1, 60),
    ("ft06_55", "ft06", 1, 55),
    ("la01_40", "la01", 20, 40),
    ("la01_36", "la01", 20, 36),
)
FAMILIES = {"tsp": TravellingSalesman, "qap": QuadraticAssignment}
BY_FORMULA: tuple[Callable[[], PracticalProblem[Any]], ...] = (
    partial(mycielski, 4),
    partial(mycielski, 5),
    partial(mycielski, 6),
    partial(queens, 5, 5),
    partial(queens, 6, 7),
    partial(queens, 7, 7),
    partial(queens, 8, 9),
    partial(uniform_bins, 20, 1, 8),
    partial(triplets, 6, 1),
    partial(triplets, 10, 1),
    partial(partitioning, 20, 100, 1, 247),
    partial(partitioning, 40, 400, 1, 431),
    partial(knapsacks, 30, 5, 1, -13565),
    partial(knapsacks, 100, 5, 1, -43767),
)


def published() -> dict[str, dict[str, Any]]:
    """The rows of the index of stored instances, by name."""
    return {row["name"]: row for row in json.loads((STORED / "index.json").read_text())}


def problems() -> dict[str, PracticalProblem[Any]]:
    """Every problem by name."""
    index = published()
    found: list[PracticalProblem[Any]] = [
        FAMILIES[row["family"]](name, row["best_known"], row["source"], **_data(name))
        for name, row in index.items()
        if row["family"] in FAMILIES
    ]
    for name, stored, unit, deadline in SHOPS:
        jobs = [[(machine, -(-length // unit)) for machine, length in job] for job in _data(stored)["jobs"]]
        found.append(JobShop(name, 0, index[stored]["source"], jobs=jobs, deadline=deadline))
    found += [build() for build in BY_FORMULA]
    return {problem.name: problem for problem in found}


def _data(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(gzip.decompress((STORED / f"{name}.json.gz").read_bytes()))
    return data
