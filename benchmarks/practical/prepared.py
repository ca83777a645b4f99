"""A problem with the models that several solvers share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.instance import Instance
from benchmarks.practical.problems.practical_problem import PracticalProblem
from qiosk.model.compile import compile_problem
from qiosk.model.constraints.one_hot import ONE_HOT
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import I8, CostFunction, ProblemType
from qiosk.modeling import Model, Solution

# Configurations of a call that are looked at, lowest cost first.
READ = 8


@dataclass(frozen=True, eq=False)
class Prepared:
    """A problem with the models that several solvers share."""

    problem: PracticalProblem[Any]

    @cached_property
    def model(self) -> Model:
        """As a user of Qiosk writes it."""
        return self.problem.model()

    @cached_property
    def whole(self) -> CostFunction:
        """The model as targets here get it."""
        return self.model.problem().cost_function()

    @cached_property
    def instance(self) -> Instance:
        """The model as an ordinary QUBO."""
        return Instance(self.problem.name, ordinary(self.whole), None)

    def cost(self, configuration: Any) -> float | None:
        """The problem's own cost of values by variable id; None if they are no feasible answer."""
        bits = {int(key): int(value) for key, value in configuration.items()}
        values = {name: variable.value(bits) for name, variable in self.model.variables.items()}
        answer = self.problem.read(Solution(values, 0.0, (), self.model.families))
        return None if answer is None else self.problem.cost(answer)

    def best(self, configurations: I8) -> float | None:
        """The lowest cost among the configurations, (n,) or (R, n), of lowest QUBO cost."""
        rows = np.atleast_2d(configurations)
        order = np.argsort(np.atleast_1d(evaluate(self.instance.cost_function, rows)), kind="stable")[:READ]
        ids = self.instance.problem.variables.tolist()
        costs = [self.cost(dict(zip(ids, rows[k].tolist(), strict=True))) for k in order]
        return min((cost for cost in costs if cost is not None), default=None)


def ordinary(cost_function: CostFunction) -> CostFunction:
    """The same problem as a QUBO: squares multiplied out, and nothing but pairs, linear terms and a constant."""
    compiled = compile_problem(cost_function)
    ids = compiled.variables
    keys = [(i, i) for i in range(compiled.n)]  # x * x = x
    values = compiled.linear.tolist()
    keys += zip(compiled.pair_rows.tolist(), compiled.pair_cols.tolist(), strict=True)
    values += compiled.pair_values.tolist()
    constant = compiled.constant
    for g, weight in enumerate(compiled.group_values):
        some = slice(compiled.group_indptr[g], compiled.group_indptr[g + 1])
        members, weights, offset = (
            compiled.group_variables[some],
            compiled.group_weights[some],
            compiled.group_offsets[g],
        )
        rows, cols = np.triu_indices(len(members))
        products = np.where(rows == cols, 1.0, 2.0) * weights[rows] * weights[cols]
        products += np.where(rows == cols, 2.0 * offset * weights[rows], 0.0)
        keys += zip(members[rows].tolist(), members[cols].tolist(), strict=True)
        values += (weight * products).tolist()
        constant += weight * offset**2
    flat = ids[np.array(keys, np.int64).reshape(-1)]
    pointers = np.concatenate([np.arange(0, len(flat) + 1, 2), [len(flat)]])  # the last term is the constant
    metadata = {ONE_HOT: {}}  # groups are not looked for either
    return CostFunction(ProblemType.pubo, np.array([*values, constant]), pointers, flat, metadata=metadata)
