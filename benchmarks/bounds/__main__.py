"""``python -m benchmarks.bounds [--seconds 1 20] [--search 10] [NAME …]``.

The lower bound that is chosen for each instance of ``benchmarks/instances``, after so many seconds of processor time,
as a table in ``benchmarks/results/bounds.md``. Where no cost is known, the default target searches for ``--search``
seconds.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import qiosk
from benchmarks.instance import Instance, catalogue, load
from qiosk.bounds.choice import Bounder
from qiosk.solvers.bounding import relative_gap, warm_up

RESULTS = Path(__file__).parents[1] / "results" / "bounds.md"
PUBLISHED = {"G1": -4990.4, "G22": -8281.9, "G43": -4074.4}
"""Published values of the semidefinite relaxation of max-cut: 12083.2, 14135.9 and 7032.2, as costs."""


@dataclass(frozen=True)
class Row:
    """Bounds of an instance: (processor seconds when it was found, value, method), the first being the trivial one."""

    instance: Instance
    best: float
    found: list[tuple[float, float, str]]

    def cells(self, limits: list[float]) -> list[str]:
        """A line of the table."""
        cells = [self.instance.name, f"{self.best:.10g}", f"{self.found[0][1]:.10g}"]
        for limit in limits:
            seconds, value, method = [row for row in self.found if row[0] <= limit or row[2].startswith("trivial")][-1]
            gap = relative_gap(self.best, value)
            cells.append(f"{value:.10g} ({'0' if gap == 0 else f'{100 * gap:.2g} %'}; {method}, {seconds:.2g} s)")
        published = PUBLISHED.get(self.instance.name)
        return [*cells, "" if published is None else f"{published:.10g}"]


def measure(instance: Instance, seconds: float, search: float) -> Row:
    """Bound one instance for so many seconds of processor time."""
    warm_up(instance.problem)
    began = time.process_time()
    bounder = Bounder(instance.problem, seed=1)
    found = [(0.0, bounder.best.value, bounder.best.method)]
    while not bounder.is_done and time.process_time() - began < seconds:
        if bounder.step():
            found.append((time.process_time() - began, bounder.best.value, bounder.best.method))
    best = instance.best_known
    if bounder.best.configuration is not None:
        best = bounder.best.value
    elif best is None:
        best = qiosk.solve(instance.cost_function, timeout=search, seed=1).cost
    return Row(instance, best, found)


def markdown(rows: list[Row], limits: list[float]) -> str:
    """The table."""
    heads = ["instance", "best cost", "trivial", *(f"within {limit:g} s" for limit in limits), "published"]
    lines = [heads, ["---"] * len(heads), *(row.cells(limits) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bounds", description=__doc__)
    parser.add_argument("names", nargs="*", default=list(catalogue()))
    parser.add_argument("--seconds", type=float, nargs="+", default=[1.0, 20.0])
    parser.add_argument("--search", type=float, default=10.0)
    given = parser.parse_args()
    limits = sorted(given.seconds)
    rows = []
    for name in given.names:
        rows.append(measure(load(name), limits[-1], given.search))
        print(" | ".join(rows[-1].cells(limits)), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(markdown(rows, limits))


if __name__ == "__main__":
    main()
