"""Rows of a model as rows of literals with positive weights, for the kernel of ``qiosk.kernels.propagation``.

A product of bits becomes a bit that is equal to it. A choice whose options have several values in a row becomes a
number in unary there: bit k is that the value is at least the k-th. So the bounds of such values are propagated, and
what is learned about them is short. Steps of domain walls are such numbers as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from qiosk.modeling.expression import Monomial, Sense
from qiosk.modeling.rows import Row

FEWEST_VALUES = 3
"""Values that the options of a choice have in a row from which they become a number in unary."""

Literal = int
"""``2 v``: variable v is 1; ``2 v + 1``: it is 0."""


@dataclass(slots=True)
class LiteralRow:
    """``sum weight * literal <= bound``; ``opens`` marks where a block begins, in which each implies those before."""

    literals: list[Literal]
    weights: list[int]
    opens: list[bool]
    bound: int


@dataclass(slots=True)
class Encoding:
    """What the kernel is given: variables from 0 on, of which the first are the model's bits.

    ``pairs`` of literals are never both true. ``groups`` are the choices: bits of which exactly one is 1.
    """

    n_variables: int
    pairs: list[tuple[Literal, Literal]] = field(default_factory=list)
    rows: list[LiteralRow] = field(default_factory=list)
    groups: list[list[int]] = field(default_factory=list)
    is_contradictory: bool = False
    _home: dict[int, int] = field(default_factory=dict)  # the group of a bit
    _steps: dict[int, tuple[int, int]] = field(default_factory=dict)  # of a domain wall: its number, and the place
    _products: dict[Monomial, int] = field(default_factory=dict)
    _chains: dict[tuple[int, tuple[int, ...]], list[Literal]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Add a row of the model."""
        if row.bound.denominator != 1:
            self.is_contradictory = True
            return
        bound = int(row.bound)
        if row.is_one_of and len(row.terms) == 2 and row.sense is Sense.AT_MOST:
            (a,), (b,) = row.terms
            self.pairs.append((2 * a, 2 * b))
            return
        terms = self._linear(row.terms)
        if row.sense is not Sense.AT_LEAST:
            self._add_at_most(terms, bound)
        if row.sense is not Sense.AT_MOST:
            self._add_at_most({v: -c for v, c in terms.items()}, -bound)

    def add_objective(self, terms: Mapping[Monomial, int]) -> int:
        """Add a row for an objective to be minimized, whose bound can be lowered later; its number."""
        row = self._row(self._linear(terms), 0)
        row.bound = sum(row.weights)
        self.rows.append(row)
        return len(self.rows) - 1

    def find_groups(self, rows: Iterable[Row]) -> None:
        """Choices and steps among the rows, before these are added: choices that share no bit, the longest first."""
        wanted = list(rows)
        exact = [[bits[0] for bits in row.terms] for row in wanted if _is_exactly_one(row)]
        for members in sorted(exact, key=len, reverse=True):
            if not any(bit in self._home for bit in members):
                self._home |= dict.fromkeys(members, len(self.groups))
                self.groups.append(members)
        self._find_steps(filter(None, map(_step, wanted)))

    def _find_steps(self, implications: Iterable[tuple[int, int]]) -> None:
        """Domain walls: paths of bits of which each implies the one before it, and no other."""
        before, after = dict[int, int](), dict[int, int]()
        for bit, implied in implications:
            if bit not in before and implied not in after and bit not in self._home and implied not in self._home:
                before[bit], after[implied] = implied, bit
        for number, first in enumerate(bit for bit in after if bit not in before):
            place, step = 0, first
            self._steps[step] = number, place
            while step in after:
                step, place = after[step], place + 1
                self._steps[step] = number, place

    def _linear(self, terms: Mapping[Monomial, int]) -> dict[int, int]:
        return {bits[0] if len(bits) == 1 else self._product(bits): c for bits, c in terms.items()}

    def _product(self, bits: Monomial) -> int:
        """The variable that is 1 if all bits are."""
        if bits not in self._products:
            v = self._products[bits] = self._new_variable()
            self.pairs.extend((2 * v, 2 * bit + 1) for bit in bits)
            self._add_clause([2 * v, *(2 * bit + 1 for bit in bits)])
        return self._products[bits]

    def _new_variable(self) -> int:
        self.n_variables += 1
        return self.n_variables - 1

    def _add_clause(self, literals: Sequence[Literal]) -> None:
        """At least one of the literals is true."""
        self._append(
            LiteralRow([a ^ 1 for a in literals], [1] * len(literals), [True] * len(literals), len(literals) - 1)
        )

    def _add_at_most(self, terms: Mapping[int, int], bound: int) -> None:
        self._append(self._row(terms, bound))

    def _append(self, row: LiteralRow) -> None:
        if row.bound < 0:
            self.is_contradictory = True
        elif sum(row.weights) <= row.bound:
            return
        elif len(row.literals) == 2 and all(row.opens) and max(row.weights) <= row.bound:
            self.pairs.append((row.literals[0], row.literals[1]))
        else:
            self.rows.append(row)

    def _row(self, terms: Mapping[int, int], bound: int) -> LiteralRow:
        """Of a sum of variables that is at most a bound: blocks of choices and steps, then all others one by one."""
        row = LiteralRow([], [], [], bound)
        together: dict[tuple[str, int], list[int]] = {}
        for v, c in terms.items():
            if v in self._home:
                together.setdefault(("choice", self._home[v]), []).append(v)
            elif v in self._steps:
                kind = "steps up" if c > 0 else "steps down"
                together.setdefault((kind, self._steps[v][0]), []).append(v)
            else:
                _add_single(row, v, c)
        for (kind, number), members in together.items():
            if kind != "choice":
                self._add_steps(row, members, terms, is_up=kind == "steps up")
            elif not self._add_choice(row, number, terms):
                for v in members:
                    _add_single(row, v, terms[v])
        return row

    def _add_steps(self, row: LiteralRow, members: list[int], terms: Mapping[int, int], *, is_up: bool) -> None:
        members.sort(key=lambda v: self._steps[v][1], reverse=not is_up)
        for k, v in enumerate(members):
            _add_single(row, v, terms[v], is_open=k == 0)

    def _add_choice(self, row: LiteralRow, number: int, terms: Mapping[int, int]) -> bool:
        """The value of a choice as a number in unary; False, and nothing done, where it has too few values."""
        members = self.groups[number]
        of_members = [terms.get(v, 0) for v in members]
        values = sorted(set(of_members))
        if len(values) < FEWEST_VALUES:
            return False
        rank_of = {value: rank for rank, value in enumerate(values)}
        literals = self._chain(number, tuple(rank_of[value] for value in of_members))
        row.bound -= values[0]
        row.literals += literals
        row.weights += [high - low for low, high in pairwise(values)]
        row.opens += [True] + [False] * (len(literals) - 1)
        return True

    def _chain(self, number: int, ranks: tuple[int, ...]) -> list[Literal]:
        """Literals 1, 2, … m, of which literal k is that the rank of the chosen option is at least k."""
        m = max(ranks)
        reverse = tuple(m - rank for rank in ranks)
        if reverse < ranks:
            return [a ^ 1 for a in reversed(self._chain(number, reverse))]
        if (number, ranks) not in self._chains:
            self._chains[number, ranks] = self._new_chain(self.groups[number], ranks, m)
        return self._chains[number, ranks]

    def _new_chain(self, members: Sequence[int], ranks: Sequence[int], m: int) -> list[Literal]:
        literals = [2 * self._new_variable() for _ in range(m)]
        by_rank: list[list[int]] = [[] for _ in range(m + 1)]
        for bit, rank in zip(members, ranks, strict=True):
            by_rank[rank].append(bit)
        self.pairs.extend((above, below ^ 1) for below, above in pairwise(literals))
        for rank, bits in enumerate(by_rank):
            reached = [literals[rank - 1]] if rank else []
            exceeded = [literals[rank]] if rank < m else []
            self.pairs.extend((2 * bit, a ^ 1) for bit in bits for a in reached)
            self.pairs.extend((2 * bit, a) for bit in bits for a in exceeded)
            self._add_clause([*(a ^ 1 for a in reached), *exceeded, *(2 * bit for bit in bits)])
        return literals


def _add_single(row: LiteralRow, v: int, c: int, *, is_open: bool = True) -> None:
    """A term ``c * v`` of the left side; ``c v = |c| (1 - v) - |c|`` if c is negative."""
    row.literals.append(2 * v + (c < 0))
    row.weights.append(abs(c))
    row.opens.append(is_open)
    row.bound += abs(c) if c < 0 else 0


def _is_exactly_one(row: Row) -> bool:
    return row.is_one_of and row.sense is Sense.EQUAL and len(row.terms) > 1


def _step(row: Row) -> tuple[int, int] | None:
    """A bit, and the one that it implies, where the row says just that."""
    if row.is_one_of or len(row.terms) != 2 or row.sense is Sense.EQUAL or row.bound != 0:
        return None
    (a, c), (b, d) = row.terms.items()
    if len(a) != 1 or len(b) != 1 or {c, d} != {1, -1}:
        return None
    is_first_larger = (c == -1) == (row.sense is Sense.AT_MOST)
    return (b[0], a[0]) if is_first_larger else (a[0], b[0])
