"""Mini-buckets: elimination where that is too wide, as a bound.

Variables are minimized out one by one, as in elimination. Where the tables that contain one have more other variables
together than a table may have, they are divided into groups, the mini-buckets, and each is minimized alone: a variable
may then have another value in each of them, so the result is a bound. The wider the tables, the better it is. The
tables are those that diffusion leaves, so it is never worse than that one's: the least of a sum is at least the sum of
what is least.

Reference: R. Dechter, I. Rish, *Mini-buckets: a general scheme for bounded inference*, J. ACM 50, 107 (2003),
doi:10.1145/636865.636866.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from qiosk.bounds import factors as tables_of
from qiosk.bounds.bound import Proof
from qiosk.bounds.elimination import CHUNK, MOST_WORK, Plan, Tables, Terms, minimize_out, room_of
from qiosk.bounds.factors import Factors, diffused, factors_of, rounded_up
from qiosk.bounds.polynomial import Polynomial
from qiosk.model.cost_function import I64

METHOD = "mini-buckets"
WIDTHS = (8, 11, 14, 17, 20)
"""Variables that a new table may have, one after the other."""
MOST_MEMORY = 1 << 29
"""Bytes of all tables that exist at one time, at most."""
MOST_AT_ONCE = 1 << 26
"""Additions for one mini-bucket, at most: some 0.1 s, in which the caller cannot be asked whether to go on."""
MOST_TABLES = 60_000
"""Tables of problems that are not left to diffusion alone."""
AT_ONCE = 4000
"""Tables that are put in their places before the caller is asked whether to go on; some 20 ms."""
PLANNED = 5000
"""Variables of tables that are divided before the caller is asked whether to go on; some 20 ms."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Buckets:
    """Which tables are added up, and then minimized over a variable: the new table is one of the others.

    Tables are numbered: (n,) of single variables, those of the factors, and new ones, as they are made.
    """

    scopes: list[set[int]]  # of all tables
    variables: list[int]  # of each mini-bucket
    members: list[list[int]]  # tables of each mini-bucket
    homes: list[int]  # the mini-bucket of each table; -1 where that is a constant

    @property
    def is_exact(self) -> bool:
        """Whether no variable was divided."""
        return len(set(self.variables)) == len(self.variables)

    @property
    def works(self) -> list[int]:
        """Of each mini-bucket: entries of tables, each counted as often as a table is added to it."""
        new = self.scopes[len(self.homes) - len(self.variables) :]
        return [(len(some) + 1) << (len(scope) + 1) for some, scope in zip(self.members, new, strict=True)]


def mini_buckets(terms: Polynomial) -> Iterator[Proof | None]:
    """Yields None between parts of the work, and better and better proofs: of diffusion, and then of mini-buckets."""
    factors = factors_of(terms)
    if factors is None:
        return
    yield None
    yield from diffused(terms, factors)
    best = factors.least
    if not factors.is_sound or terms.n + len(factors.scopes) > MOST_TABLES:
        return
    for width in WIDTHS:
        if width + 1 < max(map(len, factors.scopes), default=0):
            continue
        buckets = yield from planned(terms.n, factors, width)
        is_fast = sum(buckets.works) <= MOST_WORK and max(buckets.works, default=0) <= MOST_AT_ONCE
        level = (yield from _least(factors, buckets)) if is_fast else None
        if level is None:
            return
        if level > best:
            best = level
            yield _proof(terms, factors, buckets, level)
        if buckets.is_exact:
            return


def planned(n: int, factors: Factors, width: int) -> Generator[None, None, Buckets]:
    """The order: next is the variable whose tables have the fewest other variables together.

    Of its tables, larger ones first, each goes to the mini-bucket with which it has most variables in common and less
    than ``width`` others, or makes a new one.
    """
    scopes = [{i} for i in range(n)] + [set(scope) for scope in factors.scopes]
    homes = [-1] * len(scopes)
    holders: list[set[int]] = [set() for _ in range(n)]
    for f, scope in enumerate(scopes):
        for i in scope:
            holders[i].add(f)
    keys = [sum(len(scopes[f]) - 1 for f in holders[i]) for i in range(n)]
    heap = [(key, i) for i, key in enumerate(keys)]
    heapq.heapify(heap)
    variables, members = list[int](), list[list[int]]()
    is_left, work = [True] * n, 0
    while heap:
        key, v = heapq.heappop(heap)
        if not is_left[v] or keys[v] != key:
            continue
        is_left[v] = False
        touched = set[int]()
        for some, scope in _divided(scopes, sorted(holders[v]), width):
            new, rest = len(scopes), scope - {v}
            for f in some:
                homes[f] = len(variables)
                work += len(scopes[f])
                for i in scopes[f]:
                    holders[i].discard(f)
                    keys[i] -= len(scopes[f]) - 1
            scopes.append(rest)
            homes.append(-1)
            variables.append(v)
            members.append(some)
            for i in rest:
                holders[i].add(new)
                keys[i] += len(rest) - 1
            touched |= rest
        for i in touched:
            heapq.heappush(heap, (keys[i], i))
        if work > PLANNED:
            work = 0
            yield
    return Buckets(scopes=scopes, variables=variables, members=members, homes=homes)


def _divided(scopes: list[set[int]], some: list[int], width: int) -> list[tuple[list[int], set[int]]]:
    """Tables in groups, with all variables of each."""
    groups: list[tuple[list[int], set[int]]] = []
    for f in sorted(some, key=lambda f: -len(scopes[f])):
        own = scopes[f]
        fitting = [group for group in groups if len(group[1] | own) <= width + 1]
        if fitting:
            members, scope = max(fitting, key=lambda group: len(group[1] & own))
            members.append(f)
            scope |= own
        else:
            groups.append(([f], set(own)))
    return groups


def _least(factors: Factors, buckets: Buckets) -> Generator[None, None, Fraction | None]:
    """What all minimized tables add up to; None where that takes too much memory.

    Each mini-bucket has a copy of its variable. So this is the elimination of a problem with more variables, whose
    turns are those of mini-buckets; before them, every given table has a turn in which nothing is done.
    """
    given = len(buckets.homes) - len(buckets.variables)
    plan = yield from _with_copies(buckets, given)
    sizes, total = np.diff(plan.indptr), len(buckets.homes)
    width, room = int(sizes.max(initial=0)), room_of(plan)
    if 8 * room + (17 << width) > MOST_MEMORY:
        return None
    pool, begins = np.zeros(room, np.int64), np.full(total, -1, np.int64)
    begins[:given] = np.cumsum(np.int64(1) << sizes[:given]) - (np.int64(1) << sizes[:given])
    for f, at in enumerate(begins[:given].tolist()):
        table = _in_order(factors, f, plan, buckets)
        pool[at : at + len(table)] = table
        if f % AT_ONCE == AT_ONCE - 1:
            yield
    heads, nexts = np.full(total, -1, np.int64), np.full(total, -1, np.int64)
    for f, home in enumerate(buckets.homes[:given]):
        nexts[f], heads[given + home] = heads[given + home], f
    state = np.zeros(total + 3, np.int64)
    state[0] = int((np.int64(1) << sizes[:given]).sum())
    kept, choices = np.zeros(total + 1, np.int64), np.empty(1 << width, np.int8)
    nothing = np.zeros(0, np.int64)
    tables = Tables(state, heads, nexts, begins, pool, kept, choices)
    for _ in minimize_out(_parts(buckets, given), plan, Terms(np.zeros(1, np.int64), nothing, nothing, True), tables):
        yield
    return Fraction(int(state[1]), 1 << factors.shift)


def _with_copies(buckets: Buckets, given: int) -> Generator[None, None, Plan]:
    """A turn for every table; variables are copies, whose names are those of the turns that minimize them."""
    total = len(buckets.homes)
    copies: list[dict[int, int]] = [{} for _ in range(total)]
    for f in range(total - 1, -1, -1):
        if (home := buckets.homes[f]) >= 0:
            later = copies[given + home]
            v = buckets.variables[home]
            copies[f] = {i: given + home if i == v else later[i] for i in buckets.scopes[f]}
        if f % AT_ONCE == AT_ONCE - 1:
            yield
    scopes = [sorted(own.values()) for own in copies]
    indptr = np.zeros(total + 1, np.int64)
    np.cumsum([len(scope) for scope in scopes], out=indptr[1:])
    turns = np.arange(total)
    return Plan(turns, indptr, np.array([i for scope in scopes for i in scope], np.int64), turns)


def _in_order(factors: Factors, f: int, plan: Plan, buckets: Buckets) -> I64:
    """A given table with its bits in the order of their turns."""
    n = len(factors.own)
    if f < n:
        own: I64 = factors.own[f]
        return own
    scope = factors.scopes[f - n]
    table: I64 = factors.tables[factors.starts[f - n] : factors.starts[f - n + 1]]
    given = len(buckets.homes) - len(buckets.variables)
    turns = plan.scopes[plan.indptr[f] : plan.indptr[f + 1]].tolist()
    bits = [scope.index(buckets.variables[turn - given]) for turn in turns]
    k = len(scope)  # the last axis is bit 0
    return table.reshape((2,) * k).transpose([k - 1 - bits[k - 1 - axis] for axis in range(k)]).ravel()


def _parts(buckets: Buckets, given: int) -> list[int]:
    """Turns at which to ask the caller, from the first mini-bucket on."""
    parts, room = [given], CHUNK
    for turn, work in enumerate(buckets.works, given):
        room -= work // 2
        if room < 0:
            parts.append(turn + 1)
            room = CHUNK
    return parts if parts[-1] == len(buckets.homes) else [*parts, len(buckets.homes)]


def _proof(terms: Polynomial, factors: Factors, buckets: Buckets, level: Fraction) -> Proof:
    """What mini-buckets of tables prove: a checker adds up the same tables and minimizes over the same variables."""
    proof = tables_of.proof_of(terms, factors, METHOD)
    return replace(
        proof,
        level=Fraction(rounded_up(terms, level)),
        arrays={
            **proof.arrays,
            "bucket_variables": np.array(buckets.variables, np.int64),
            "bucket_sizes": np.array(list(map(len, buckets.members)), np.int64),
            "bucket_tables": np.array([f for some in buckets.members for f in some], np.int64),
        },
    )
