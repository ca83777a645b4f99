"""The exact minimum of problems of small width: variables are minimized out one by one.

The terms that contain a variable are added up in one table over all variables in them; the least over the variable is
a new term of the others. Those variables go first whose elimination connects the fewest new pairs. A configuration is
found on the way back.

Reference: U. Bertelè, F. Brioschi, *Nonserial Dynamic Programming*, Academic Press (1972).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qiosk.bounds.bound import Proof
from qiosk.bounds.order import FRONT, MOST_LOOKED, front_order, min_fill
from qiosk.bounds.polynomial import Polynomial
from qiosk.model.cost_function import I8, I64

METHOD = "elimination"
MOST_WIDTH = 22
"""Variables that others may depend on together: a table has 4 million entries, and is added up twice."""
MOST_WORK = 1 << 33
"""Additions to entries of all tables together, at most: some 15 s."""
MOST_MEMORY = 1 << 30
"""Bytes of all tables that exist at one time, with what is kept for the way back, at most."""
CHUNK = 1 << 22
"""Entries that are made before the caller is asked whether to go on."""
CHEAP = 1 << 20
"""Additions up to which no other order is tried: a millisecond or two."""
SIZES = 32
"""Powers of two that a table may have as its size."""


@dataclass(frozen=True, slots=True)
class Effort:
    """At most: variables that one depends on, additions to tables, and pairs looked at for an order."""

    width: int = MOST_WIDTH
    work: int = MOST_WORK
    looked: int = MOST_LOOKED


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """An order, and the variables that each depends on when it has its turn, by their own turns."""

    order: I64  # (n,)
    indptr: I64  # (n + 1,)
    scopes: I64
    rank: I64  # (n,) the turn of each variable

    def work(self, terms: Polynomial) -> int:
        """Entries of all tables together, each counted as often as a term or a table is added to it."""
        added = np.bincount(_turns(terms, self), minlength=terms.n) + 1
        added += np.bincount(self.rank[self.scopes[self.indptr[:-1][np.diff(self.indptr) > 0]]], minlength=terms.n)
        return int((added << (np.diff(self.indptr) + 1)).sum())


def is_wide(terms: Polynomial, width: int) -> bool:
    """Whether in every order some variable depends on more than ``width`` others: there are too many pairs of them.

    In an elimination of that width a variable has at most so many neighbours that come after it, the last ones fewer.
    """
    width = min(width, terms.n - 1)
    most = width * terms.n - width * (width + 1) // 2
    keys = [np.empty(0, np.int64)]
    sizes = np.diff(terms.indptr)
    for size in np.unique(sizes).tolist():
        members = terms.variables[terms.indptr[:-1][sizes == size, None] + np.arange(size)]
        keys += [members[:, a] * terms.n + members[:, b] for a in range(size) for b in range(a + 1, size)]
        keys = [np.unique(np.concatenate(keys))]
        if len(keys[0]) > most:
            return True
    return False


def planned(terms: Polynomial, effort: Effort = Effort()) -> Generator[None, None, Plan | None]:
    """The order of elimination; None where that takes more effort. Yields between parts of the work.

    Where it connects many, a front that goes through the graph may do better: grids are as wide as their shorter side.
    """
    plan = yield from _filling(terms, effort)
    if plan is not None and plan.work(terms) <= CHEAP:
        return plan
    yield
    order = yield from front_order(terms.n, terms.scopes())
    front = yield from _with_scopes(terms, order, effort.width)
    yield
    plans = [found for found in (plan, front) if found is not None]
    return min(plans, key=lambda found: found.work(terms)) if plans else None


def _filling(terms: Polynomial, effort: Effort) -> Generator[None, None, Plan | None]:
    from qiosk.kernels.exact.order import MOST_VARIABLES, fill_order

    n, rank = terms.n, np.empty(terms.n, np.int64)
    if n <= MOST_VARIABLES:
        order, indptr = np.empty(n, np.int64), np.zeros(n + 1, np.int64)
        scopes = np.empty(n * effort.width, np.int64)
        width = fill_order()(n, terms.indptr, terms.variables, effort.width, effort.looked, order, indptr, scopes)
        if width < 0:
            return None
        rank[order] = np.arange(n)
        return Plan(order, indptr, scopes[: indptr[-1]].copy(), rank)
    found = yield from min_fill(n, terms.scopes(), effort.width, effort.looked)
    return None if found is None else (yield from _with_scopes(terms, found, effort.width))


def _with_scopes(terms: Polynomial, order: list[int], width: int) -> Generator[None, None, Plan | None]:
    """What each variable depends on at its turn, in a given order; None if that is more than ``width`` others."""
    rank = [0] * len(order)
    for turn, u in enumerate(order):
        rank[u] = turn
    waiting: list[set[int]] = [set() for _ in order]
    for ids in terms.scopes():
        waiting[min(rank[i] for i in ids)].update(ids)
    yield
    indptr, scopes = [0], list[int]()
    for turn, u in enumerate(order):
        if turn % FRONT == FRONT - 1:
            yield
        scope = sorted(waiting[turn] - {u}, key=rank.__getitem__)
        if len(scope) > width:
            return None
        waiting[turn] = set()
        scopes += scope
        indptr.append(len(scopes))
        if scope:
            waiting[rank[scope[0]]].update(scope)
    return Plan(*(np.array(numbers, np.int64) for numbers in (order, indptr, scopes, rank)))


def elimination(terms: Polynomial, effort: Effort = Effort()) -> Iterator[Proof | None]:
    """Yields None between parts of the work, and the proof at the end; nothing where that takes more effort."""
    plan = yield from planned(terms, effort)
    if plan is None or plan.work(terms) > effort.work:
        return
    room = room_of(plan)
    sizes = np.diff(plan.indptr)
    kept = np.concatenate([[0], np.cumsum(np.int64(1) << sizes)])
    widest = int(sizes.max(initial=0))
    if 8 * room + int(kept[-1]) + (16 << widest) > MOST_MEMORY:
        return
    yield from _eliminated(terms, plan, room, kept)


def _eliminated(terms: Polynomial, plan: Plan, room: int, kept: I64) -> Iterator[Proof | None]:
    """``room`` is what tables take, and ``kept`` (n + 1,) where the choices of each turn begin."""
    n, turns = terms.n, _turns(terms, plan)
    by_turn = np.argsort(turns, kind="stable")
    lengths = np.diff(terms.indptr)[by_turn]
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    places = np.arange(indptr[-1]) + np.repeat(terms.indptr[:-1][by_turn] - indptr[:-1], lengths)
    state = np.zeros(n + 3, np.int64)
    state[2:] = np.searchsorted(turns[by_turn], np.arange(n + 1))
    heads, nexts, begins = (np.full(n, -1, np.int64) for _ in range(3))
    choices = np.empty(int(kept[-1]), np.int8)
    tables = Tables(state, heads, nexts, begins, np.empty(room, np.int64), kept, choices)
    given = Terms(indptr, terms.variables[places], terms.values[by_turn], terms.is_spin)
    for last in minimize_out(_parts(kept), plan, given, tables):
        if last < n:
            yield None
    yield Proof(
        method=METHOD,
        level=Fraction(int(state[1])),
        scale=terms.scale,
        arrays={"order": plan.order},
        configuration=_configuration(terms, plan, kept, choices),
    )


class Terms(NamedTuple):
    """Terms as the kernel of elimination takes them, grouped by the turn of their first variable."""

    indptr: I64
    variables: I64
    values: I64
    is_spin: bool


class Tables(NamedTuple):
    """What the kernel of elimination reads and writes: see ``kernels.exact.elimination``."""

    state: I64
    heads: I64
    nexts: I64
    begins: I64
    pool: I64
    kept: I64
    choices: I8


def minimize_out(parts: Sequence[int], plan: Plan, terms: Terms, tables: Tables) -> Iterator[int]:
    """Minimize variables out, those of turns ``parts[i]`` to ``parts[i + 1] - 1`` at a time; yields each next turn."""
    from qiosk.kernels.exact.elimination import eliminate

    run, (state, heads, nexts, begins, pool, kept, choices) = eliminate(), tables
    free = np.full(plan.order.size + SIZES, -1, np.int64)
    sums = np.empty((2, 1 << int(np.diff(plan.indptr).max(initial=0))), np.int64)
    of_plan = (plan.order, plan.indptr, plan.scopes)
    for first, last in pairwise(parts):
        run(first, last, *of_plan, *terms, state, heads, nexts, begins, pool, free, sums, kept, choices)
        yield last


def _turns(terms: Polynomial, plan: Plan) -> I64:
    """(T,) the turn at which each term is added: that of its first variable."""
    turns: I64 = np.minimum.reduceat(plan.rank[terms.variables], terms.indptr[:-1])
    return turns


def _parts(kept: I64) -> list[int]:
    """Turns at which to ask the caller, the first and the end among them."""
    chunks = kept[:-1] // (CHUNK // 2)
    return [0, *(np.flatnonzero(np.diff(chunks)) + 1).tolist(), len(kept) - 1]


def room_of(plan: Plan) -> int:
    """Entries of the tables that exist at one time; room that is free again goes to tables of the same size."""
    room, free = 0, [0] * SIZES
    waiting: list[list[int]] = [[] for _ in plan.order]
    rank, indptr = plan.rank, plan.indptr.tolist()
    turns = rank[plan.scopes].tolist()
    for turn, (first, end) in enumerate(pairwise(indptr)):
        for size in waiting[turn]:
            free[size] += 1
        if (size := end - first) > 0:
            if free[size]:
                free[size] -= 1
            else:
                room += 1 << size
            waiting[turns[first]].append(size)
    return room


def _configuration(terms: Polynomial, plan: Plan, kept: I64, choices: NDArray[np.int8]) -> I8:
    """A best configuration: the variables from the last to the first."""
    is_one = np.zeros(terms.n, np.int8)
    order, indptr, begins = plan.order.tolist(), plan.indptr.tolist(), kept.tolist()
    for turn in range(terms.n - 1, -1, -1):
        at = begins[turn]
        for b, i in enumerate(plan.scopes[indptr[turn] : indptr[turn + 1]].tolist()):
            at += int(is_one[i]) << b
        is_one[order[turn]] = choices[at]
    return (1 - 2 * is_one).astype(np.int8) if terms.is_spin else is_one
