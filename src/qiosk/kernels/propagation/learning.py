"""Clauses learned from conflicts: the first unique implication point, and which clauses are kept.

References: J. P. Marques-Silva and K. A. Sakallah, IEEE Trans. Comput. 48, 506 (1999), doi:10.1109/12.769433
(learning); N. Eén and N. Sörensson, SAT 2003, doi:10.1007/978-3-540-24605-3_37 (minimal clauses, activities);
G. Audemard and L. Simon, IJCAI 2009, https://www.ijcai.org/Proceedings/09/Papers/074.pdf (levels of a clause as its
rank).
"""

from __future__ import annotations

from typing import Any

from qiosk.kernels.compiler import INTERNAL, called, inlined
from qiosk.kernels.propagation.deduction import find_premises
from qiosk.kernels.propagation.heap import bump
from qiosk.kernels.propagation.state import CLAUSES, LEARNED, LEVEL, POOLED, PREMISES, STEPS, TRAIL

_RANKS = 64
KEPT_RANK = 2
"""Clauses of so few levels are always kept."""


@called(**INTERNAL)
def learn(s: Any) -> Any:
    """From the premises of a conflict to the clause ``learned``, its new literal first; the level to go back to."""
    count, of_level, place = 1, 0, s.counters[TRAIL] - 1
    while True:
        s.counters[STEPS] += s.counters[PREMISES]
        for k in range(s.counters[PREMISES]):
            literal = s.premises[k]
            v = literal >> 1
            if s.seen[v] == 0 and s.levels[v] > 0:
                s.seen[v] = 1
                bump(s, v)
                if s.levels[v] == s.counters[LEVEL]:
                    of_level += 1
                else:
                    s.learned[count] = literal ^ 1
                    count += 1
        while s.seen[s.trail[place] >> 1] == 0:
            place -= 1
        literal = s.trail[place]
        s.seen[literal >> 1] = 0
        of_level -= 1
        place -= 1
        if of_level == 0:
            break
        find_premises(s, literal >> 1)
    s.learned[0] = literal ^ 1
    s.counters[LEARNED] = _without_implied(s, count)
    return _latest_level(s)


@called(**INTERNAL)
def _without_implied(s: Any, count: Any) -> Any:
    """Leave out literals of ``learned`` that the others imply; how many are left."""
    kept, dropped = 1, 0
    for k in range(1, count):
        literal = s.learned[k]
        is_implied = s.reasons[literal >> 1] >= 0
        if is_implied:
            find_premises(s, literal >> 1)
            for q in range(s.counters[PREMISES]):
                v = s.premises[q] >> 1
                if s.seen[v] == 0 and s.levels[v] > 0:
                    is_implied = False
                    break
        if is_implied:
            s.dropped[dropped] = literal
            dropped += 1
        else:
            s.learned[kept] = literal
            kept += 1
    for k in range(1, kept):
        s.seen[s.learned[k] >> 1] = 0
    for k in range(dropped):
        s.seen[s.dropped[k] >> 1] = 0
    return kept


@inlined(**INTERNAL)
def _latest_level(s: Any) -> Any:
    """The level of the latest literal of ``learned`` but the first, which is put in the second place."""
    level = 0
    for k in range(1, s.counters[LEARNED]):
        literal = s.learned[k]
        if s.levels[literal >> 1] > level:
            level = s.levels[literal >> 1]
            s.learned[k], s.learned[1] = s.learned[1], literal
    return level


@called(**INTERNAL)
def rank_of_learned(s: Any, stamp: Any) -> Any:
    """How many levels the literals of ``learned`` are of; ``stamp`` grows from call to call."""
    rank = 0
    for k in range(s.counters[LEARNED]):
        level = s.levels[s.learned[k] >> 1]
        if s.stamps[level] != stamp:
            s.stamps[level] = stamp
            rank += 1
    return rank


@called(**INTERNAL)
def keep_learned(s: Any, rank: Any) -> Any:
    """Store ``learned``, of at least two literals, as a clause; its number."""
    clause, first = s.counters[CLAUSES], s.counters[POOLED]
    for k in range(s.counters[LEARNED]):
        s.pool[first + k] = s.learned[k]
    s.counters[CLAUSES], s.counters[POOLED] = clause + 1, first + s.counters[LEARNED]
    s.clause_start[clause + 1] = s.counters[POOLED]
    s.clause_ranks[clause] = rank
    watch(s, clause)
    return clause


@inlined(**INTERNAL)
def watch(s: Any, clause: Any) -> None:
    """Watch the first two literals of a clause."""
    for k in range(2):
        literal = s.pool[s.clause_start[clause] + k]
        s.watch_after[2 * clause + k] = s.watch_heads[literal]
        s.watch_heads[literal] = 2 * clause + k


@called(**INTERNAL)
def drop_clauses(s: Any, are_all_dropped: Any) -> None:
    """At level 0: drop all clauses, or the half that has the most levels, and those that are satisfied there."""
    sizes = s.dropped  # borrowed, as counts by rank
    for k in range(min(_RANKS, sizes.size)):
        sizes[k] = 0
    last = min(_RANKS, sizes.size) - 1
    for clause in range(s.counters[CLAUSES]):
        sizes[min(last, s.clause_ranks[clause])] += 1
    wanted, limit = s.counters[CLAUSES] // 2, 0
    while limit < last and wanted >= sizes[limit]:
        wanted -= sizes[limit]
        limit += 1
    for literal in range(s.watch_heads.size):
        s.watch_heads[literal] = -1
    count, end, begin = 0, 0, s.clause_start[0]
    for clause in range(s.counters[CLAUSES]):
        finish = s.clause_start[clause + 1]  # which may be overwritten below, but not before it is read
        rank = s.clause_ranks[clause]
        is_kept = not are_all_dropped and (rank <= KEPT_RANK or rank < limit)
        for k in range(begin, finish):
            is_kept = is_kept and s.is_true[s.pool[k]] == 0
        if is_kept:
            for k in range(begin, finish):
                if s.is_true[s.pool[k] ^ 1] == 0:
                    s.pool[end] = s.pool[k]
                    end += 1
            s.clause_ranks[count] = rank
            count += 1
            s.clause_start[count] = end
        begin = finish
    s.counters[CLAUSES], s.counters[POOLED] = count, end
    for clause in range(count):
        watch(s, clause)
