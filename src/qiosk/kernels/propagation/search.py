"""The search: decide, deduce, learn from conflicts, go back, and begin again from time to time."""

from __future__ import annotations

from typing import Any

from qiosk.kernels.compiler import INTERNAL, called, uncounted_kernel
from qiosk.kernels.propagation.deduction import CONFLICT, UNFINISHED, deduce
from qiosk.kernels.propagation.heap import DECAY, put, take
from qiosk.kernels.propagation.learning import drop_clauses, keep_learned, learn, rank_of_learned
from qiosk.kernels.propagation.state import (
    BY_CLAUSE,
    CLAUSE_LIMIT,
    CLAUSES,
    CONFLICTS,
    DECISIONS,
    EXHAUSTED,
    HEAD,
    LEARNED,
    LEVEL,
    NO_REASON,
    PAUSED,
    POOLED,
    RESTARTS,
    SOLVED,
    STEPS,
    TRAIL,
    UNTIL_RESTART,
    assign,
    queue_row,
)

RESTART_UNIT = 64
"""Conflicts until a restart, times 1, 1, 2, 1, 1, 2, 4, … (M. Luby et al., Inf. Process. Lett. 47, 173 (1993),
doi:10.1016/0020-0190(93)90029-9)."""
_MORE_CLAUSES = 500


@uncounted_kernel
def advance(s: Any, steps: Any) -> Any:
    """Go on for about so many steps: PAUSED, SOLVED where all variables are assigned, or EXHAUSTED: there are no more
    solutions. The parts into which steps are divided change nothing.
    """
    limit = s.counters[STEPS] + steps
    while True:
        found = deduce(s, limit)
        if found == UNFINISHED:
            return PAUSED
        if found == CONFLICT:
            if s.counters[LEVEL] == 0:
                return EXHAUSTED
            _learn_from_conflict(s)
        elif s.counters[TRAIL] == s.levels.size:
            return SOLVED
        elif s.counters[UNTIL_RESTART] <= 0:
            _restart(s)
        else:
            _decide(s)


@uncounted_kernel
def tighten(s: Any, row: Any, bound: Any) -> None:
    """Go back to level 0, and lower the bound of a row."""
    go_back(s, 0)
    s.row_bounds[row] = bound
    queue_row(s, row)


@called(**INTERNAL)
def _learn_from_conflict(s: Any) -> None:
    s.counters[CONFLICTS] += 1
    s.counters[UNTIL_RESTART] -= 1
    level = learn(s)
    rank = rank_of_learned(s, s.counters[CONFLICTS])
    s.step[0] /= DECAY
    if s.counters[LEARNED] == 1:
        go_back(s, 0)
        assign(s, s.learned[0], NO_REASON)
    elif _is_full(s):
        _restart(s)
        keep_learned(s, rank)
    else:
        go_back(s, level)
        assign(s, s.learned[0], 4 * keep_learned(s, rank) + BY_CLAUSE)


@called(**INTERNAL)
def _restart(s: Any) -> None:
    """Go back to level 0, and drop clauses there if they are too many, so that there is room for one more."""
    go_back(s, 0)
    s.counters[RESTARTS] += 1
    s.counters[UNTIL_RESTART] = RESTART_UNIT * _luby(s.counters[RESTARTS])
    if s.counters[CLAUSES] >= s.counters[CLAUSE_LIMIT] or _is_full(s):
        drop_clauses(s, False)
        if _is_full(s):
            drop_clauses(s, True)
        s.counters[CLAUSE_LIMIT] += _MORE_CLAUSES


@called(**INTERNAL)
def _decide(s: Any) -> None:
    while True:
        v = take(s)
        if s.is_true[2 * v] == 0 and s.is_true[2 * v + 1] == 0:
            break
    s.counters[DECISIONS] += 1
    s.counters[STEPS] += 1
    s.counters[LEVEL] += 1
    s.marks[s.counters[LEVEL]] = s.counters[TRAIL]
    assign(s, 2 * v + s.phases[v], NO_REASON)


@called(**INTERNAL)
def go_back(s: Any, level: Any) -> None:
    """Take back all that was assigned after a level; every variable is next tried at its last value."""
    if s.counters[LEVEL] <= level:
        return
    mark = s.marks[level + 1]
    for place in range(s.counters[TRAIL] - 1, mark - 1, -1):
        literal = s.trail[place]
        v = literal >> 1
        s.is_true[literal] = 0
        s.phases[v] = literal & 1
        put(s, v)
        if place < s.counters[HEAD]:
            for k in range(s.use_start[literal], s.use_start[literal + 1]):
                s.row_sums[s.use_rows[k]] -= s.use_weights[k]
    s.counters[TRAIL] = mark
    s.counters[HEAD] = min(s.counters[HEAD], mark)
    s.counters[LEVEL] = level


@called(**INTERNAL)
def _is_full(s: Any) -> Any:
    """Whether there is no room for one more clause."""
    return s.counters[CLAUSES] + 1 >= s.clause_ranks.size or s.counters[POOLED] + s.learned.size > s.pool.size


@called(**INTERNAL)
def _luby(number: Any) -> Any:
    """Member ``number`` (from 0) of 1, 1, 2, 1, 1, 2, 4, …"""
    size, sequence = 1, 0
    while size < number + 1:
        sequence += 1
        size = 2 * size + 1
    while size - 1 != number:
        size = (size - 1) >> 1
        sequence -= 1
        number = number % size
    return 1 << sequence
