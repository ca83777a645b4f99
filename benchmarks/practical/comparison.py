"""Solvers on a problem, in turn: what is missing is measured and kept."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.practical.measured import Measured, equal_cost
from benchmarks.practical.problems.practical_problem import UNBOUNDED, PracticalProblem
from benchmarks.practical.process import SET_UP, Limits, SetUp, Task, outcomes
from benchmarks.quality.cells import Cell, Cells

# What a run is kept as: the runs it belongs to, and the task.
Planned = tuple[Cells, Task]


class OutOfTimeError(Exception):
    """The time for this part of a comparison is over."""


@dataclass
class Comparison:
    """``solvers`` by name: how each is set up. ``until``: no run begins later, by the monotonic clock [s]."""

    solvers: Mapping[str, SetUp]
    measured: Measured
    limits: Limits = field(default_factory=Limits)
    until: float = UNBOUNDED

    def run(self, problem: PracticalProblem[Any], seconds: Sequence[float], seeds: int) -> None:
        """Whatever is missing. Raises OutOfTimeError."""
        longest = max(seconds)
        planned: list[Planned] = [(self.measured.feasible, Task(longest, UNBOUNDED))]
        if problem.best_known:
            planned += [(self.measured.gap, Task(wall, None)) for wall in sorted(seconds)]
        self._all(problem, planned, seeds)
        if problem.best_known:
            cost = equal_cost(self.measured.gap, problem.name, longest)
            if cost is not None:
                # With more seeds the cost may be another one: then all are measured again.
                self.measured.equal.drop(lambda cell: cell.instance == problem.name and cell.target != cost)
                self._all(problem, [(self.measured.equal, Task(longest, cost))], seeds)

    def _all(self, problem: PracticalProblem[Any], planned: Sequence[Planned], seeds: int) -> None:
        for seed in range(seeds):
            for name in self.solvers:
                missing = [
                    (cells, task) for cells, task in planned if (problem.name, name, task.seconds, seed) not in cells
                ]
                if missing:
                    self._measure(problem, name, missing, seed)

    def _measure(self, problem: PracticalProblem[Any], name: str, planned: Sequence[Planned], seed: int) -> None:
        if time.monotonic() > self.until:
            raise OutOfTimeError
        load = os.getloadavg()[0]
        if any(cell.note.startswith(SET_UP) for cell in self._of(problem.name, name)):
            # Whether it can be set up in time does not depend on the seed.
            for cells, task in planned:
                key = problem.name, name, task.seconds, seed
                self._keep(cells, Cell(*key, None, 0.0, 0.0, SET_UP, round(load, 1), target=_target(task)))
            return
        runs = outcomes(problem, self.solvers[name], [task for _, task in planned], seed, self.limits)
        for (cells, task), found in zip(planned, runs, strict=True):
            wall, cpu = round(found.wall, 4), round(found.cpu, 4)
            share = None if found.share is None else round(found.share, 2)
            key = problem.name, name, task.seconds, seed
            cell = Cell(*key, found.cost, wall, cpu, found.note, round(load, 1), share, _target(task))
            self._keep(cells, cell)
            load = os.getloadavg()[0]

    def _of(self, problem: str, solver: str) -> list[Cell]:
        return [cell for cell in self.measured.feasible if (cell.instance, cell.contender) == (problem, solver)]

    def _keep(self, cells: Cells, cell: Cell) -> None:
        cells.add(cell)
        print(
            f"{cells.path.stem:20} {cell.seconds:4g} s  seed {cell.seed}  load {cell.load:4.1f}  {cell.instance:12} "
            f"{cell.contender:28} {cell.cost}  {cell.wall:.3f} s  {cell.note}".rstrip(),
            flush=True,
        )


def _target(task: Task) -> float | None:
    return task.until if task.until is not None and math.isfinite(task.until) else None
