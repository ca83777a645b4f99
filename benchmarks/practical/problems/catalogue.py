"""All practical problems: published ones from files, others by formula or from fixed seeds, as the index lists them.

Every problem has an answer in the index that has the best known cost.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.instance import FOLDER
from benchmarks.practical.problems.assignments import QuadraticAssignment
from benchmarks.practical.problems.colourings import Colouring, mycielski, queens
from benchmarks.practical.problems.generated import knapsacks, partitioning, subset_sums, triplets, uniform_bins
from benchmarks.practical.problems.job_shops import JobShop
from benchmarks.practical.problems.packings import BinPacking, Selection
from benchmarks.practical.problems.practical_problem import PracticalProblem
from benchmarks.practical.problems.tours import TravellingSalesman

STORED = FOLDER / "practical"
FAMILIES: Mapping[str, type[PracticalProblem[Any]]] = {
    "tour": TravellingSalesman,
    "assignment": QuadraticAssignment,
    "colouring": Colouring,
    "job shop": JobShop,
    "bins": BinPacking,
    "partition": Selection,
    "knapsacks": Selection,
    "subset sum": Selection,
}
MAKERS: Mapping[str, Callable[..., dict[str, Any]]] = {
    maker.__name__: maker for maker in (mycielski, queens, triplets, uniform_bins, partitioning, knapsacks, subset_sums)
}


def index() -> dict[str, dict[str, Any]]:
    """The rows of the index by name.

    ``family``, ``best_known``, ``source``, ``best_answer`` (as :meth:`PracticalProblem.stored` takes it); the data is
    in the file ``data`` (the name, if missing), or ``made_by`` a function and its arguments; ``more`` are further
    fields of the problem. Rows with ``is_run`` false are only for checking data.
    """
    return {row["name"]: row for row in json.loads((STORED / "index.json").read_text())}


def problem(row: Mapping[str, Any]) -> PracticalProblem[Any]:
    """The problem of a row of the index."""
    if "made_by" in row:
        maker, arguments = row["made_by"]
        data = MAKERS[maker](**arguments)
    else:
        data = json.loads(gzip.decompress((STORED / f"{row.get('data', row['name'])}.json.gz").read_bytes()))
    return FAMILIES[row["family"]](row["name"], row["best_known"], row["source"], **data, **row.get("more", {}))


def problems() -> dict[str, PracticalProblem[Any]]:
    """Every problem that is measured, by name."""
    return {name: problem(row) for name, row in index().items() if row.get("is_run", True)}
