"""Literals, rows and the state of a search.

Literal ``2 v`` is that variable v is 1, literal ``2 v + 1`` that it is 0. A row is ``sum weight * literal <= bound``
with positive weights, where a literal that is true counts 1. Its literals come in blocks: inside a block each one
implies those before it, so the block of a number in unary takes one of a few values that grow along it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.compiler import INTERNAL, inlined

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

(
    TRAIL,
    HEAD,
    LEVEL,
    QUEUED,
    FIRST_QUEUED,
    PREMISES,
    LEARNED,
    CLAUSES,
    POOLED,
    HEAPED,
    STEPS,
    CONFLICTS,
    RESTARTS,
    UNTIL_RESTART,
    CLAUSE_LIMIT,
    DECISIONS,
) = range(16)
"""Places in ``Search.counters``: assigned literals, and those of them that were propagated; the level; rows that wait,
and the first of them; lengths of ``premises`` and ``learned``; clauses, and their literals; variables in the heap;
steps, conflicts and restarts so far; conflicts until the next restart; clauses at which half of them are dropped;
decisions so far."""

PAUSED, SOLVED, EXHAUSTED = range(3)
"""What a call of the search ends with."""
NO_REASON, BY_PAIR, BY_ROW, BY_CLAUSE = -1, 0, 1, 2
"""Why a literal is true: a decision, or ``4 * index + kind``; the index is a literal, a row or a clause."""


class Search(NamedTuple):
    """n variables, R rows; room for C clauses of P literals in all."""

    implied_start: I64  # (2 n + 1,)
    implied: I32  # literals that a literal implies
    row_start: I64  # (R + 1,)
    row_literals: I32
    row_weights: I64
    row_opens: U8  # 1 where a block begins
    row_bounds: I64  # (R,)
    row_spreads: I64  # (R,) largest total weight of a block
    use_start: I64  # (2 n + 1,)
    use_rows: I32  # rows that a literal is in
    use_weights: I64
    is_true: U8  # (2 n,)
    levels: I32  # (n,)
    reasons: I64  # (n,)
    places: I32  # (n,) in the trail
    trail: I32  # (n,) literals in the order in which they became true
    marks: I32  # (n + 2,) length of the trail where a level begins
    row_sums: I64  # (R,) weight of the literals that are true and were propagated
    row_queue: I32  # (R,) a ring
    is_queued: U8  # (R,)
    activities: F64  # (n,)
    heap: I32  # (n,) unassigned variables, and perhaps others; the most active one first
    heap_places: I32  # (n,) -1: not in the heap
    phases: U8  # (n,) 1: the variable is next tried as 0
    clause_start: I64  # (C + 1,)
    clause_ranks: I32  # (C,) levels among a clause's literals when it was learned
    pool: I32  # (P,) literals of clauses; the first two of each are watched
    watch_heads: I32  # (2 n,) node ``2 clause + k`` watches literal k of a clause; -1: none
    watch_after: I32  # (2 C,)
    seen: U8  # (n,) zeros between calls
    premises: I32  # (2 n,) true literals that together imply a literal or a conflict
    gains: I64  # (2 n,)
    learned: I32  # (n + 1,)
    dropped: I32  # (n + 1,)
    stamps: I64  # (n + 1,) by level
    counters: I64  # (16,)
    step: F64  # (1,) what a conflict adds to activities


@inlined(**INTERNAL)
def assign(s: Any, literal: Any, reason: Any) -> None:
    """Make a literal true."""
    v, place = literal >> 1, s.counters[TRAIL]
    s.is_true[literal] = 1
    s.levels[v], s.reasons[v], s.places[v] = s.counters[LEVEL], reason, place
    s.trail[place] = literal
    s.counters[TRAIL] = place + 1


@inlined(**INTERNAL)
def queue_row(s: Any, row: Any) -> None:
    """Let a row wait to be looked at, once."""
    if s.is_queued[row] == 0:
        s.is_queued[row] = 1
        place = s.counters[FIRST_QUEUED] + s.counters[QUEUED]
        s.row_queue[place % s.row_queue.size] = row
        s.counters[QUEUED] += 1
