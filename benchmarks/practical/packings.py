"""Bin packing, set partitioning and knapsacks with several limits, from fixed seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.practical.practical_problem import UNBOUNDED, Linear, PracticalProblem, Program, chosen
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

    ``is_equal``: exactly to them (set partitioning); otherwise at most (knapsacks, whose costs are minus profits).
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


def triplets(bins: int, seed: int) -> BinPacking:
    """Three items that fill each bin exactly, of a quarter to half of its size (after E. Falkenauer)."""
    rng = np.random.default_rng(seed)
    capacity, sizes = 100, list[int]()
    for _ in range(bins):
        large = int(rng.integers(38, 50))
        middle = int(rng.integers(26, capacity - large - 25))
        sizes += [large, middle, capacity - large - middle]
    rng.shuffle(sizes)
    name = f"bins_t{3 * bins}"
    source = f"generated seed {seed}: triplets that fill every bin"
    return BinPacking(name, bins, source, sizes=[*map(int, sizes)], capacity=capacity, bins=bins + 2)


def uniform_bins(items: int, seed: int, best_known: int) -> BinPacking:
    """Items of 20 to 100 in bins of 150 (as OR-Library's u classes), with two bins more than needed."""
    sizes = np.random.default_rng(seed).integers(20, 101, items).tolist()
    source = f"generated seed {seed}; optimum proven by CP-SAT"
    return BinPacking(f"bins_u{items}", best_known, source, sizes=sizes, capacity=150, bins=best_known + 2)


def partitioning(rows: int, columns: int, seed: int, best_known: int) -> Selection:
    """Columns of two to six rows; those of a planted partition are among them."""
    rng = np.random.default_rng(seed)
    sets = np.array_split(rng.permutation(rows), rows // 4)
    sets += [rng.choice(rows, int(rng.integers(2, 7)), replace=False) for _ in range(columns - len(sets))]
    costs = [int(10 * len(members) + rng.integers(0, 20)) for members in sets]
    order = rng.permutation(columns)
    weights = np.zeros((rows, columns), np.int64)
    for place, k in enumerate(order):
        weights[sets[k], place] = 1
    return Selection(
        f"spp_{rows}x{columns}",
        best_known,
        f"generated seed {seed}; optimum proven by HiGHS",
        costs=[costs[k] for k in order],
        weights=weights.tolist(),
        limits=[1] * rows,
        is_equal=True,
    )


def knapsacks(items: int, limits: int, seed: int, best_known: int) -> Selection:
    """Weights to 1000, half of which fit, and profits that go with them (P. C. Chu, J. E. Beasley)."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 1001, (limits, items))
    profits = weights.sum(axis=0) // limits + rng.integers(0, 501, items)
    return Selection(
        f"mkp_{items}x{limits}",
        best_known,
        f"generated seed {seed}; optimum proven by CP-SAT",
        costs=(-profits).tolist(),
        weights=weights.tolist(),
        limits=(weights.sum(axis=1) // 2).tolist(),
        is_equal=False,
    )
