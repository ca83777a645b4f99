"""More solutions than a search found: neighbours of those that it found."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from qiosk.model.compiled import CompiledProblem
from qiosk.model.flips import cost_of
from qiosk.solvers.search.incumbents import Incumbents

if TYPE_CHECKING:
    from qiosk.solvers.search.moves.moves import Moves


def fill_up(problem: CompiledProblem, moves: Moves, found: Incumbents, should_continue: Callable[[], bool]) -> bool:
    """Add neighbours of what was found, fewest moves first, until there are as many solutions as were asked for.

    Returns whether there are, or no others: False where ``should_continue`` has ended it before.
    """
    wanted = min(found.capacity, 1 << min(problem.n, 30))
    seen = {x.tobytes() for x in found.configurations}
    frontier = deque(found.configurations)
    while frontier and len(found.costs) < wanted:
        if not should_continue():
            return False
        x = frontier.popleft()
        for neighbour in moves.neighbours(x):
            if neighbour.tobytes() in seen:
                continue
            found.offer(neighbour, cost_of(problem, neighbour), 0)
            if len(found.costs) == wanted:
                break
            if not should_continue():
                return False
            seen.add(neighbour.tobytes())
            frontier.append(neighbour)
    return True
