"""The travelling salesman: a tour through all cities, of least length."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.practical.problems.practical_problem import UNBOUNDED, Linear, PracticalProblem, Program
from qiosk.modeling import Model, Solution, total

Tour = list[int]


@dataclass(frozen=True, eq=False, kw_only=True)
class TravellingSalesman(PracticalProblem[Tour]):
    """``distances`` (n, n), symmetric or not."""

    distances: list[list[int]]

    @property
    def n(self) -> int:
        """Number of cities."""
        return len(self.distances)

    def cost(self, answer: Tour) -> float | None:
        if sorted(answer) != list(range(self.n)):
            return None
        return sum(self.distances[answer[k - 1]][city] for k, city in enumerate(answer))

    def model(self) -> Model:
        model, n = Model(self.name), self.n
        at = model.permutation("at", range(n), range(n))
        model.minimize(
            total(
                at[step][a] * total(self.distances[a][b] * at[(step + 1) % n][b] for b in range(n) if b != a)
                for step in range(n)
                for a in range(n)
            )
        )
        return model

    def read(self, solution: Solution) -> Tour | None:
        tour = list(solution["at"].values())
        return None if None in tour else tour

    def constraint_program(self) -> Program[Tour]:
        from ortools.sat.python import cp_model

        model = cp_model.CpModel()
        arcs = {(a, b): model.new_bool_var("") for a in range(self.n) for b in range(self.n) if a != b}
        model.add_circuit([(a, b, bit) for (a, b), bit in arcs.items()])
        model.minimize(sum(self.distances[a][b] * bit for (a, b), bit in arcs.items()))
        return Program(model, lambda value: self._follow({a: b for (a, b), bit in arcs.items() if value(bit)}))

    def linear_program(self) -> Program[Tour]:
        """Arcs, and positions after city 0 that grow along them (Miller, Tucker, Zemlin, doi:10.1145/321043.321046)."""
        program, n = Linear(), self.n
        arcs = {(a, b): program.column(self.distances[a][b]) for a in range(n) for b in range(n) if a != b}
        for city in range(n):
            program.exactly_one([arcs[city, b] for b in range(n) if b != city])
            program.exactly_one([arcs[a, city] for a in range(n) if a != city])
        position = [program.column(0, 1, n - 1, is_integer=False) for _ in range(n)]
        for (a, b), arc in arcs.items():
            if a and b:
                program.row(-UNBOUNDED, {position[a]: 1, position[b]: -1, arc: n - 1}, n - 2)
        return Program(program.highs, lambda value: self._follow({a: b for (a, b), c in arcs.items() if value(c)}))

    def _follow(self, successor: dict[int, int]) -> Tour:
        tour = [0]
        while len(tour) < self.n:
            tour.append(successor.get(tour[-1], -1))
        return tour
