"""``python -m benchmarks.practical [--seconds 1 10] [--seeds 3] [--solvers REGEX] [--only REGEX] [--table]``.

For every problem and solver, in turn: the time to the first feasible answer, the best cost at each wall time, and then
the time to the best cost that any one-flip QUBO solver had at the longest one. Runs that are missing in
``benchmarks/results/practical.*.jsonl`` are made; the tables are written to ``practical.md`` beside them.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.practical.catalogue import problems
from benchmarks.practical.finders import Find, Finder, Prepared, solvers
from benchmarks.practical.practical_problem import UNBOUNDED, PracticalProblem
from benchmarks.practical.table import Measured, equal_cost, markdown
from benchmarks.quality.cells import Cell, Cells

RESULTS = Path(__file__).parents[1] / "results"


class Comparison:
    """One problem, and the solvers on it, which are set up when they first run."""

    def __init__(
        self, problem: PracticalProblem[Any], chosen: Mapping[str, Callable[[Prepared], Finder]], measured: Measured
    ) -> None:
        self.problem, self.chosen, self.measured = problem, chosen, measured
        self._finders: dict[str, Finder] = {}

    @cached_property
    def prepared(self) -> Prepared:
        """The problem's models."""
        return Prepared(self.problem)

    def run(self, seconds: list[float], seeds: int) -> None:
        """Whatever is missing."""
        limit = max(seconds)
        for seed in range(seeds):
            for name in self.chosen:
                self._keep(self.measured.feasible, name, limit, seed, lambda f, t, s: f.until(UNBOUNDED, t, s))
            for wall in sorted(seconds) if self.problem.best_known else ():
                for name in self.chosen:
                    self._keep(self.measured.gap, name, wall, seed, lambda f, t, s: next(reversed(f.run(t, s)), None))
        cost = equal_cost(self.measured.gap, self.problem.name, limit) if self.problem.best_known else None
        if cost is not None:
            for seed in range(seeds):
                for name in self.chosen:
                    self._keep(self.measured.equal, name, limit, seed, lambda f, t, s: f.until(cost, t, s))

    def _keep(
        self, cells: Cells, name: str, seconds: float, seed: int, look: Callable[[Finder, float, int], Find | None]
    ) -> None:
        if (self.problem.name, name, seconds, seed) in cells:
            return
        if name not in self._finders:
            self._finders[name] = self.chosen[name](self.prepared)
        began, cpu = time.perf_counter(), time.process_time()
        found = look(self._finders[name], seconds, seed)
        cpu, wall = time.process_time() - cpu, found.seconds if found else time.perf_counter() - began
        cost = found.cost if found else None
        cells.add(Cell(self.problem.name, name, seconds, seed, cost, round(wall, 4), round(cpu, 4)))
        print(
            f"{cells.path.stem:20} {seconds:4g} s  seed {seed}  {self.problem.name:12} {name:28} {cost}  {wall:.3f} s",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.practical", description=__doc__)
    parser.add_argument("--seconds", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--solvers", default="", help="regular expression that names of solvers contain")
    parser.add_argument("--only", default="", help="regular expression that names of problems contain")
    parser.add_argument("--table", action="store_true", help="measure nothing, write the tables of what there is")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    measured = Measured.of(options.results)
    known = problems()
    if not options.table:
        chosen = {name: prepare for name, prepare in solvers().items() if re.search(options.solvers, name)}
        for name, problem in known.items():
            if re.search(options.only, name):
                Comparison(problem, chosen, measured).run(options.seconds, options.seeds)
    report = markdown(measured, {name: problem.best_known for name, problem in known.items()})
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "practical.md").write_text(report)
    print(report)


if __name__ == "__main__":
    main()
