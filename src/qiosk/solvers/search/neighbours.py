"""More solutions than a search found: neighbours of those that it found."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from qiosk.model.compiled import CompiledProblem
from qiosk.model.flips import cost_of
from qiosk.solvers.search.incumbents import Incumbents

if TYPE_CHECKING:
    from qiosk.solvers.search.moves import Moves


def fill_up(problem: CompiledProblem, moves: Moves, found: Incumbents, should_continue: Callable[[], bool]) -> None:
    """Add neighbours of what was found, fewest moves first, until there are as many solutions as were asked for."""
    wanted = min(found.capacity, 1 << min(problem.n, 30))
    seen = {x.tobytes() for x in found.configurations}
    frontier = deque(found.configurations)
    while frontier and len(found.costs) < wanted and should_continue():
        x = frontier.popleft()
        for neighbour in moves.neighbours(x):
            if neighbour.tobytes() in seen:
                continue
            found.offer(neighbour, cost_of(problem, neighbour), 0)
            if len(found.costs) == wanted or not should_continue():
                break
            seen.add(neighbour.tobytes())
            frontier.append(neighbour)
