"""The exact minimum of problems of small width: variables are minimized out one by one.

The terms that contain a variable are added up in one table over all variables in them; the least over the variable is
a new term of the others. Variables go in the order of :mod:`qiosk.bounds.order`. A configuration is found on the way
back.

Reference: U. Bertelè, F. Brioschi, *Nonserial Dynamic Programming*, Academic Press (1972).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from qiosk.bounds.bound import Proof
from qiosk.bounds.order import MOST_LOOKED, min_fill
from qiosk.bounds.polynomial import Polynomial
from qiosk.model.cost_function import I8, I64

METHOD = "elimination"
MOST_WIDTH = 22
"""Variables that others may depend on together: a table has twice 4 million entries."""
MOST_ENTRIES = 1 << 32
"""Entries of all tables together, at most: some 20 s."""
MOST_MEMORY = 1 << 30
"""Bytes of all tables that exist at one time, with what is kept for the way back, at most."""
CHUNK = 1 << 22
"""Entries that are made before the caller is asked whether to go on."""


@dataclass(slots=True)
class Table:
    """Values (2, …, 2) over variables in the order of elimination; index 1 is a spin of -1, or a bit of 1."""

    scope: list[int]
    values: I64


@dataclass(slots=True)
class _Plan:
    """An order, each variable's place in it, and the variables that each depends on when it is eliminated."""

    order: list[int]
    rank: list[int]
    scopes: list[list[int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Effort:
    """At most: variables that one depends on, entries of all tables, and pairs looked at for an order."""

    width: int = MOST_WIDTH
    entries: int = MOST_ENTRIES
    looked: int = MOST_LOOKED


def elimination(terms: Polynomial, effort: Effort = Effort()) -> Iterator[Proof | None]:
    """Yields None between parts of the work, and the proof at the end; nothing where that takes more effort."""
    order = yield from min_fill(terms.n, terms.scopes(), effort.width, effort.looked)
    if order is None:
        return
    plan = _planned(terms, order)
    if not _is_affordable(plan, effort.entries):
        return
    constant, choices, done = 0, list[NDArray[np.bool_]](), 0
    buckets = bucketed(terms, plan.rank)
    for place, u in enumerate(order):
        scope = plan.scopes[place]
        joint = joined(buckets[place], [u, *scope])
        buckets[place] = []
        choices.append(joint[1] < joint[0])
        least: I64 = joint.min(axis=0)
        if scope:
            buckets[plan.rank[scope[0]]].append(Table(scope, least))
        else:
            constant += int(least)
        done += joint.size
        if done > CHUNK:
            done = 0
            yield None
    yield Proof(
        method=METHOD,
        level=Fraction(constant),
        scale=terms.scale,
        arrays={"order": np.array(order, np.int64)},
        configuration=_configuration(terms, plan, choices),
    )


def bucketed(terms: Polynomial, rank: list[int]) -> list[list[Table]]:
    """(n,) the terms as tables, each where the first of its variables is eliminated."""
    buckets: list[list[Table]] = [[] for _ in range(terms.n)]
    for ids, value in zip(terms.scopes(), terms.values.tolist(), strict=True):
        scope = sorted(ids, key=rank.__getitem__)
        buckets[rank[scope[0]]].append(Table(scope, product_table(len(scope), value, is_spin=terms.is_spin)))
    return buckets


def product_table(size: int, value: int, *, is_spin: bool) -> I64:
    """(2, …, 2) a value times the product of so many spins, or bits."""
    if is_spin:
        table = np.array(value, np.int64)
        for _ in range(size):
            table = np.stack([table, -table], axis=-1)
        return table
    table = np.zeros((2,) * size, np.int64)
    table[(1,) * size] = value
    return table


def joined(tables: list[Table], scope: list[int]) -> I64:
    """The sum of tables over a scope that contains theirs, in the same order."""
    joint = np.zeros((2,) * len(scope), np.int64)
    for table in tables:
        inside = set(table.scope)
        joint += table.values.reshape([2 if v in inside else 1 for v in scope])
    return joint


def _planned(terms: Polynomial, order: list[int]) -> _Plan:
    rank = [0] * len(order)
    for place, u in enumerate(order):
        rank[u] = place
    waiting: list[set[int]] = [set() for _ in order]
    for ids in terms.scopes():
        waiting[min(rank[i] for i in ids)].update(ids)
    plan = _Plan(order, rank)
    for place, u in enumerate(order):
        scope = sorted(waiting[place] - {u}, key=rank.__getitem__)
        waiting[place] = set()
        plan.scopes.append(scope)
        if scope:
            waiting[rank[scope[0]]].update(scope)
    return plan


def _is_affordable(plan: _Plan, entries: int) -> bool:
    """Whether all tables together, and those that exist at one time, are small enough."""
    if sum(2 << len(scope) for scope in plan.scopes) > entries:
        return False
    live, most, kept = 0, 0, 0
    taken = [0] * len(plan.order)  # bytes of the tables that wait for a variable
    for place, scope in enumerate(plan.scopes):
        most = max(most, live + (32 << len(scope)))
        live -= taken[place]
        kept += 1 << len(scope)
        if scope:
            taken[plan.rank[scope[0]]] += 8 << len(scope)
            live += 8 << len(scope)
    return most + kept <= MOST_MEMORY


def _configuration(terms: Polynomial, plan: _Plan, choices: list[NDArray[np.bool_]]) -> I8:
    """A best configuration: the variables from the last to the first."""
    is_one = np.zeros(terms.n, np.int8)
    for place in range(terms.n - 1, -1, -1):
        is_one[plan.order[place]] = choices[place][tuple(is_one[plan.scopes[place]])]
    return (1 - 2 * is_one).astype(np.int8) if terms.is_spin else is_one
