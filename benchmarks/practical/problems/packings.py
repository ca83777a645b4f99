"""Bin packing, and choices of columns: set partitioning, knapsacks with several limits, subset sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.practical.problems.practical_problem import UNBOUNDED, Linear, PracticalProblem, Program, chosen
from qiosk.modeling import Model, Solution, total

Bins = list[int]
Chosen = list[int]


@dataclass(frozen=True, eq=False, kw_only=True)
class BinPacking(PracticalProblem[Bins]):
    """Items of ``sizes`` in as few bins of ``capacity`` as possible, at most ``bins``."""

    sizes: list[int]
    capacity: int
    bins: int

    def cost(self, answer: Bins) -> float | None:
        if len(answer) != len(self.sizes) or not all(0 <= place < self.bins for place in answer):
            return None
        loads = np.bincount(answer, self.sizes, self.bins)
        return None if loads.max() > self.capacity else float(np.count_nonzero(loads))

    def model(self) -> Model:
        model = Model(self.name)
        place = model.choices("place", range(len(self.sizes)), range(self.bins))
        used = model.bits("used", range(self.bins))
        for k in range(self.bins):
            load = total(size * place[item][k] for item, size in enumerate(self.sizes))
            model.add(load <= self.capacity * used[k], f"bin {k}")
        model.minimize(total(used.values()))
        return model

    def read(self, solution: Solution) -> Bins | None:
        places = list(solution["place"].values())
        return None if None in places else places

    def constraint_program(self) -> Program[Bins]:
        from ortools.sat.python import cp_model

        model = cp_model.CpModel()
        place = [[model.new_bool_var("") for _ in range(self.bins)] for _ in self.sizes]
        used = [model.new_bool_var("") for _ in range(self.bins)]
        for row in place:
            model.add_exactly_one(row)
        for k in range(self.bins):
            model.add(
                sum(size * row[k] for size, row in zip(self.sizes, place, strict=True)) <= self.capacity * used[k]
            )
        model.minimize(sum(used))
        return Program(model, lambda value: [chosen(value, row) for row in place])

    def linear_program(self) -> Program[Bins]:
        program = Linear()
        place = [program.columns(self.bins) for _ in self.sizes]
        used = program.columns(self.bins, [1.0] * self.bins)
        for row in place:
            program.exactly_one(row)
        for k in range(self.bins):
            load = {row[k]: float(size) for size, row in zip(self.sizes, place, strict=True)}
            program.row(-UNBOUNDED, load | {used[k]: -self.capacity}, 0)
        return Program(program.highs, lambda value: [chosen(value, row) for row in place])


@dataclass(frozen=True, eq=False, kw_only=True)
class Selection(PracticalProblem[Chosen]):
    """Choose columns at least ``costs``, with ``weights`` (rows, columns) that add up to ``limits`` in every row.

    ``is_equal``: exactly to them (set partitioning, subset sums); otherwise at most (knapsacks, whose costs are minus
    profits).
    """

    costs: list[int]
    weights: list[list[int]]
    limits: list[int]
    is_equal: bool

    def cost(self, answer: Chosen) -> float | None:
        if sorted(set(answer)) != sorted(answer) or not all(0 <= k < len(self.costs) for k in answer):
            return None
        loads = [sum(row[k] for k in answer) for row in self.weights]
        kept = loads == self.limits if self.is_equal else all(a <= b for a, b in zip(loads, self.limits, strict=True))
        return float(sum(self.costs[k] for k in answer)) if kept else None

    def model(self) -> Model:
        model = Model(self.name)
        take = model.bits("take", range(len(self.costs)))
        for number, (row, limit) in enumerate(zip(self.weights, self.limits, strict=True)):
            load = total(weight * take[k] for k, weight in enumerate(row) if weight)
            model.add(load == limit if self.is_equal else load <= limit, f"row {number}")
        model.minimize(total(cost * take[k] for k, cost in enumerate(self.costs)))
        return model

    def read(self, solution: Solution) -> Chosen | None:
        return [k for k, taken in solution["take"].items() if taken]

    def constraint_program(self) -> Program[Chosen]:
        from ortools.sat.python import cp_model

        model = cp_model.CpModel()
        take = [model.new_bool_var("") for _ in self.costs]
        for row, limit in zip(self.weights, self.limits, strict=True):
            load = sum(weight * take[k] for k, weight in enumerate(row) if weight)
            model.add(load == limit if self.is_equal else load <= limit)
        model.minimize(sum(cost * bit for cost, bit in zip(self.costs, take, strict=True)))
        return Program(model, lambda value: [k for k, bit in enumerate(take) if value(bit)])

    def linear_program(self) -> Program[Chosen]:
        program = Linear()
        take = program.columns(len(self.costs), [float(cost) for cost in self.costs])
        for row, limit in zip(self.weights, self.limits, strict=True):
            load = {take[k]: float(weight) for k, weight in enumerate(row) if weight}
            program.row(limit if self.is_equal else -UNBOUNDED, load, limit)
        return Program(program.highs, lambda value: [k for k, column in enumerate(take) if value(column)])
