"""Graph colouring: so many colours that neighbours differ. Every answer that keeps this is as good as any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from benchmarks.practical.problems.practical_problem import UNBOUNDED, Linear, PracticalProblem, Program, chosen
from qiosk.modeling import Model, Solution

Edges = list[tuple[int, int]]
Colours = list[int]


@dataclass(frozen=True, eq=False, kw_only=True)
class Colouring(PracticalProblem[Colours]):
    """A graph of ``n`` vertices to be coloured with ``colours``."""

    n: int
    edges: Edges
    colours: int

    def cost(self, answer: Colours) -> float | None:
        if len(answer) != self.n or not all(0 <= colour < self.colours for colour in answer):
            return None
        return None if any(answer[a] == answer[b] for a, b in self.edges) else 0.0

    def model(self) -> Model:
        model = Model(self.name)
        colour = model.choices("colour", range(self.n), range(self.colours))
        for a, b in self.edges:
            for c in range(self.colours):
                model.add(colour[a][c] + colour[b][c] <= 1, f"{a}, {b} not both {c}")
        return model

    def read(self, solution: Solution) -> Colours | None:
        colours = list(solution["colour"].values())
        return None if None in colours else colours

    def constraint_program(self) -> Program[Colours]:
        from ortools.sat.python import cp_model

        model = cp_model.CpModel()
        bits = [[model.new_bool_var("") for _ in range(self.colours)] for _ in range(self.n)]
        for row in bits:
            model.add_exactly_one(row)
        for a, b in self.edges:
            for c in range(self.colours):
                model.add_at_most_one(bits[a][c], bits[b][c])
        return Program(model, lambda value: [chosen(value, row) for row in bits])

    def linear_program(self) -> Program[Colours]:
        program = Linear()
        bits = [program.columns(self.colours) for _ in range(self.n)]
        for row in bits:
            program.exactly_one(row)
        for a, b in self.edges:
            for c in range(self.colours):
                program.row(-UNBOUNDED, {bits[a][c]: 1, bits[b][c]: 1}, 1)
        return Program(program.highs, lambda value: [chosen(value, row) for row in bits])


def mycielski(colours: int) -> dict[str, Any]:
    """The graph without triangles that needs so many colours (J. Mycielski, 1955): DIMACS' ``myciel``."""
    n, edges = 2, [(0, 1)]
    for _ in range(colours - 2):
        edges += [(a + n, b) for a, b in edges] + [(a, b + n) for a, b in edges]
        edges += [(n + v, 2 * n) for v in range(n)]
        n = 2 * n + 1
    return {"n": n, "edges": edges, "colours": colours}


def queens(side: int, colours: int) -> dict[str, Any]:
    """Squares of a board, joined where a queen goes from one to the other: DIMACS' ``queen``."""
    squares = [(row, column) for row in range(side) for column in range(side)]
    attacks: Callable[[int, int], bool] = lambda down, across: not down or not across or abs(down) == abs(across)  # noqa: E731
    edges = [
        (a, b)
        for a, b in combinations(range(len(squares)), 2)
        if attacks(squares[a][0] - squares[b][0], squares[a][1] - squares[b][1])
    ]
    return {"n": len(squares), "edges": edges, "colours": colours}
