"""Quadratic assignment: every facility at a location of its own, so that flow times distance is least."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.practical.problems.practical_problem import UNBOUNDED, Linear, PracticalProblem, Program, chosen
from qiosk.modeling import Model, Solution, total

Places = list[int]


@dataclass(frozen=True, eq=False, kw_only=True)
class QuadraticAssignment(PracticalProblem[Places]):
    """``flows`` and ``distances`` (n, n), both symmetric with a zero diagonal; every pair counts twice."""

    flows: list[list[int]]
    distances: list[list[int]]

    @property
    def n(self) -> int:
        """Number of facilities."""
        return len(self.flows)

    @property
    def pairs(self) -> list[tuple[int, int, int]]:
        """Facilities i < j with a flow between them, and the flow in both directions."""
        found = [(i, j, self.flows[i][j] + self.flows[j][i]) for i in range(self.n) for j in range(i)]
        return [pair for pair in found if pair[2]]

    def cost(self, answer: Places) -> float | None:
        n = range(self.n)
        if sorted(answer) != list(n):
            return None
        return sum(self.flows[i][j] * self.distances[answer[i]][answer[j]] for i in n for j in n)

    def model(self) -> Model:
        model, n = Model(self.name), range(self.n)
        at = model.permutation("at", n, n)
        near = [[total(self.distances[k][m] * at[j][m] for m in n if m != k) for k in n] for j in n]
        model.minimize(total(flow * at[i][k] * near[j][k] for i, j, flow in self.pairs for k in n))
        return model

    def read(self, solution: Solution) -> Places | None:
        places = list(solution["at"].values())
        return None if None in places else places

    def constraint_program(self) -> Program[Places]:
        """A bit for each facility and place, and the cost of a facility where it is placed."""
        from ortools.sat.python import cp_model

        model, n = cp_model.CpModel(), range(self.n)
        at = [[model.new_bool_var("") for _ in n] for _ in n]
        for k in n:
            model.add_exactly_one(at[k])
            model.add_exactly_one(row[k] for row in at)
        costs = []
        for i in n:
            costs.append(model.new_int_var(0, sum(self.flows[i]) * max(map(max, self.distances)), ""))
            for k in n:
                terms = [(at[j][m], self.flows[i][j] * self.distances[k][m]) for j in n for m in n]
                least = sum(weight * bit for bit, weight in terms if weight)
                model.add(costs[i] >= least).only_enforce_if(at[i][k])
        model.minimize(sum(costs))
        return Program(model, lambda value: [chosen(value, row) for row in at])

    def linear_program(self) -> Program[Places]:
        """One product for each facility and place (Kaufman, Broeckx, doi:10.1016/0377-2217(78)90095-4)."""
        program, n = Linear(), range(self.n)
        at = [program.columns(self.n) for _ in n]
        for k in n:
            program.exactly_one(at[k])
            program.exactly_one([row[k] for row in at])
        for i in n:
            for k in n:
                most = sum(self.flows[i]) * max(self.distances[k])
                share = program.column(1.0, 0.0, UNBOUNDED, is_integer=False)
                terms = {at[j][m]: float(-self.flows[i][j] * self.distances[k][m]) for j in n for m in n}
                terms = {column: weight for column, weight in terms.items() if weight}
                program.row(-most, terms | {share: 1.0, at[i][k]: -most}, UNBOUNDED)
        return Program(program.highs, lambda value: [chosen(value, row) for row in at])
