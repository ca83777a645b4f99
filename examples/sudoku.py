"""Fills a Sudoku of four by four. The problem has constraints only, so the cost of a solution is 0."""

import itertools

from azure.quantum import Workspace
from azure.quantum.optimization import PopulationAnnealing, Problem, ProblemType, Term

given = {(0, 0): 1, (1, 2): 2, (2, 1): 4, (3, 3): 3}
size, block = 4, 2
cells = list(itertools.product(range(size), repeat=2))


def has(cell, digit):
    """Id of the bit that is 1 if the cell contains the digit."""
    return (cell[0] * size + cell[1]) * size + digit - 1


areas = [[(r, c) for c in range(size)] for r in range(size)] + [[(r, c) for r in range(size)] for c in range(size)]
areas += [
    [(r + i, c + j) for i in range(block) for j in range(block)]
    for r in range(0, size, block)
    for c in range(0, size, block)
]
digits = range(1, size + 1)
lines = [[has(cell, d) for d in digits] for cell in cells]  # one digit in a cell
lines += [[has(cell, d) for cell in area] for area in areas for d in digits]  # each digit once in an area
lines += [[has(cell, d)] for cell, d in given.items()]

terms = []
for line in lines:  # exactly one of these bits is 1
    terms.append(Term(c=1, indices=[]))
    terms += [Term(c=-1, indices=[i]) for i in line]
    terms += [Term(c=2, indices=[i, j]) for i, j in itertools.combinations(line, 2)]

workspace = Workspace(subscription_id="", resource_group="", name="", location="")
problem = Problem("Sudoku", terms, problem_type=ProblemType.pubo)
result = PopulationAnnealing(workspace, timeout=10, seed=3).optimize(problem)

grid = {cell: next(d for d in digits if result["configuration"][str(has(cell, d))]) for cell in cells}
for r in range(size):
    print(*(grid[r, c] for c in range(size)))
assert result["cost"] == 0
assert all(sorted(grid[cell] for cell in area) == list(digits) for area in areas)
