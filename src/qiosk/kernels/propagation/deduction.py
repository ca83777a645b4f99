"""What follows from the literals that are true, and which of them a literal or a conflict follows from."""

from __future__ import annotations

from typing import Any

from qiosk.kernels.compiler import INTERNAL, called, inlined
from qiosk.kernels.propagation.state import (
    BY_CLAUSE,
    BY_PAIR,
    BY_ROW,
    FIRST_QUEUED,
    HEAD,
    PREMISES,
    QUEUED,
    STEPS,
    TRAIL,
    assign,
    queue_row,
)

NOTHING_LEFT, CONFLICT, UNFINISHED = range(3)
"""What a call of ``deduce`` ends with."""


@called(**INTERNAL)
def deduce(s: Any, limit: Any) -> Any:
    """Make true what follows from pairs, clauses and rows, until nothing does, or until ``limit`` steps were made.

    After a conflict its premises are in ``premises``, and no row waits.
    """
    while True:
        while s.counters[HEAD] < s.counters[TRAIL]:
            if s.counters[STEPS] >= limit:
                return UNFINISHED
            literal = s.trail[s.counters[HEAD]]
            s.counters[HEAD] += 1
            _add_to_rows(s, literal)
            if not _follow_pairs(s, literal) or not _follow_clauses(s, literal ^ 1):
                _forget_queue(s)
                return CONFLICT
        if s.counters[QUEUED] == 0:
            return NOTHING_LEFT
        if s.counters[STEPS] >= limit:
            return UNFINISHED
        row = s.row_queue[s.counters[FIRST_QUEUED]]
        s.counters[FIRST_QUEUED] = (s.counters[FIRST_QUEUED] + 1) % s.row_queue.size
        s.counters[QUEUED] -= 1
        s.is_queued[row] = 0
        slack = s.row_bounds[row] - s.row_sums[row]
        if slack < 0:
            find_row_premises(s, row, s.trail.size, -1)
            _forget_queue(s)
            return CONFLICT
        if slack < s.row_spreads[row]:
            _follow_row(s, row, slack)


@inlined(**INTERNAL)
def _add_to_rows(s: Any, literal: Any) -> None:
    first, end = s.use_start[literal], s.use_start[literal + 1]
    for k in range(first, end):
        row = s.use_rows[k]
        s.row_sums[row] += s.use_weights[k]
        queue_row(s, row)
    s.counters[STEPS] += 1 + end - first


@inlined(**INTERNAL)
def _follow_pairs(s: Any, literal: Any) -> Any:
    first, end = s.implied_start[literal], s.implied_start[literal + 1]
    s.counters[STEPS] += end - first
    for k in range(first, end):
        other = s.implied[k]
        if s.is_true[other ^ 1]:
            s.premises[0], s.premises[1] = literal, other ^ 1
            s.counters[PREMISES] = 2
            return False
        if s.is_true[other] == 0:
            assign(s, other, 4 * literal + BY_PAIR)
    return True


@called(**INTERNAL)
def _follow_clauses(s: Any, literal: Any) -> Any:
    """A watched literal became false: watch another one, or make the last one that is left true."""
    node, s.watch_heads[literal] = s.watch_heads[literal], -1
    while node >= 0:
        following = s.watch_after[node]
        clause, k = node >> 1, node & 1
        first, end = s.clause_start[clause], s.clause_start[clause + 1]
        other = s.pool[first + (k ^ 1)]
        place = -1
        if s.is_true[other] == 0:
            for q in range(first + 2, end):
                s.counters[STEPS] += 1
                if s.is_true[s.pool[q] ^ 1] == 0:
                    place = q
                    break
        watched = literal
        if place >= 0:
            watched = s.pool[place]
            s.pool[place], s.pool[first + k] = literal, watched
        s.watch_after[node], s.watch_heads[watched] = s.watch_heads[watched], node
        s.counters[STEPS] += 1
        if place < 0 and s.is_true[other] == 0:
            if s.is_true[other ^ 1]:
                while following >= 0:
                    after = s.watch_after[following]
                    s.watch_after[following], s.watch_heads[literal] = s.watch_heads[literal], following
                    following = after
                _find_clause_premises(s, clause, -1)
                return False
            assign(s, other, 4 * clause + BY_CLAUSE)
        node = following
    return True


@called(**INTERNAL)
def _follow_row(s: Any, row: Any, slack: Any) -> None:
    """Make false every literal whose weight, with those before it in its block, is more than the slack."""
    first, end = s.row_start[row], s.row_start[row + 1]
    s.counters[STEPS] += end - first
    total, is_over = 0, False
    for k in range(first, end):
        if s.row_opens[k]:
            total, is_over = 0, False
        literal = s.row_literals[k]
        if is_over or s.is_true[literal]:
            continue
        total += s.row_weights[k]
        if total > slack:
            is_over = True
            if s.is_true[literal ^ 1] == 0:
                assign(s, literal ^ 1, 4 * row + BY_ROW)


@called(**INTERNAL)
def _forget_queue(s: Any) -> None:
    while s.counters[QUEUED] > 0:
        s.is_queued[s.row_queue[s.counters[FIRST_QUEUED]]] = 0
        s.counters[FIRST_QUEUED] = (s.counters[FIRST_QUEUED] + 1) % s.row_queue.size
        s.counters[QUEUED] -= 1


@called(**INTERNAL)
def find_premises(s: Any, v: Any) -> None:
    """True literals that together imply the value of a variable that was not decided."""
    reason = s.reasons[v]
    kind, index = reason & 3, reason >> 2
    if kind == BY_PAIR:
        s.premises[0] = index
        s.counters[PREMISES] = 1
    elif kind == BY_ROW:
        find_row_premises(s, index, s.places[v], s.trail[s.places[v]] ^ 1)
    else:
        _find_clause_premises(s, index, v)


@called(**INTERNAL)
def _find_clause_premises(s: Any, clause: Any, v: Any) -> None:
    count = 0
    for k in range(s.clause_start[clause], s.clause_start[clause + 1]):
        if s.pool[k] >> 1 != v:
            s.premises[count] = s.pool[k] ^ 1
            count += 1
    s.counters[STEPS] += count
    s.counters[PREMISES] = count


@called(**INTERNAL)
def find_row_premises(s: Any, row: Any, before: Any, literal: Any) -> None:
    """Literals of a row, true before a place of the trail, with which ``literal`` must be false; -1: a conflict.

    The last true literal of a block stands for those before it. Those that are not needed are left out.
    """
    first, end = s.row_start[row], s.row_start[row + 1]
    s.counters[STEPS] += end - first
    count, total, k = 0, 0, first
    while k < end:
        weight, last, reached, is_own = 0, -1, 0, False
        while True:
            found = s.row_literals[k]
            weight += s.row_weights[k]
            if found == literal:
                total += weight
                is_own = True
            elif s.is_true[found] and s.places[found >> 1] < before:
                last, reached = found, weight
            k += 1
            if k == end or s.row_opens[k]:
                break
        if not is_own and last >= 0:
            s.premises[count], s.gains[count] = last, reached
            total += reached
            count += 1
    surplus, kept = total - s.row_bounds[row] - 1, 0
    for q in range(count):
        if s.gains[q] <= surplus:
            surplus -= s.gains[q]
        else:
            s.premises[kept] = s.premises[q]
            kept += 1
    s.counters[PREMISES] = kept
