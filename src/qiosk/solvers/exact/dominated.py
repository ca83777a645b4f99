"""One-hot groups that the penalties of a QUBO keep by themselves: no configuration that breaks them is the only best.

The proof leads any configuration to one that keeps the groups, by steps that never cost more.

1. *Unset.* Variable i with another one k that is set may be unset at no cost if

       h_i + Q_ik + sum of all negative Q_ij, j other than k  >=  0.

   Where that holds both ways the two are exclusive. While two members of a group of mutually exclusive variables are
   set, one of them is unset; in the end every group has at most one.
2. *Set.* Variable i of an empty group may be set at no cost if

       h_i + sum over other groups of the largest positive Q_ij + sum of positive Q_ij of variables in no group  <=  0,

   because every group has at most one member that is set. One such member suffices for a group that crosses no other
   one. In an assignment every variable must be one, because any of them may be the last that fits.

Groups are found as cliques of exclusive pairs. Cliques for which the proof fails, although they may well be meant as
groups, are not used. The bounds are those that common rules for the weights of penalties are made from.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from qiosk.model.arrays.pairs import MANY_PAIRS
from qiosk.model.compiled import CompiledProblem
from qiosk.model.constraints.one_hot import OneHot
from qiosk.model.cost_function import F64, I64
from qiosk.solvers.samplers.one_hot.structure import structure_of

# Pairs up to which groups are looked for: some 0.2 s.
MOST_PAIRS = 2_000_000
MOST_EXCLUSIVE = 400_000
# Members of a group, and the share of variables in groups, from which they are used.
FEWEST_MEMBERS = 3
COVERED_SHARE = 0.5


def dominated_groups(problem: CompiledProblem) -> OneHot | None:
    """Groups of which exactly one member is set in a best configuration; None if they are few, or not proven."""
    if problem.is_spin or not problem.is_quadratic or not 0 < problem.n_pairs <= MOST_PAIRS:
        return None
    wanted = COVERED_SHARE * problem.n
    if problem.n_pairs >= MANY_PAIRS and np.count_nonzero(_partners(problem) >= FEWEST_MEMBERS - 1) < wanted:
        return None
    pairs = _BothWays(problem)
    exclusive = pairs.exclusive
    if np.count_nonzero(np.bincount(pairs.here[exclusive], minlength=problem.n) >= FEWEST_MEMBERS - 1) < wanted:
        return None
    if np.count_nonzero(exclusive) > 2 * MOST_EXCLUSIVE:
        return None
    cliques = _cliques(pairs.here[exclusive], pairs.there[exclusive])
    cliques = [clique for clique in cliques if len(clique) >= FEWEST_MEMBERS]
    groups = _assignments(pairs, cliques) or _choices(pairs, cliques)
    if sum(len(group) for group, _ in groups if groups) < wanted:
        return None
    return OneHot.of(groups)


def _partners(problem: CompiledProblem) -> I64:
    """(n,) with how many others each variable is exclusive, in one pass."""
    from qiosk.kernels.terms import exclusive_partners  # here: small problems need no Numba

    least, partners = np.zeros(problem.n), np.zeros(problem.n, np.int64)
    exclusive_partners()(problem.pair_rows, problem.pair_cols, problem.pair_values, problem.linear, least, partners)
    return partners


class _BothWays:
    """The pairs of a problem of bits, each from both of its ends: here, there (2 P,) and values (2 P,)."""

    def __init__(self, problem: CompiledProblem) -> None:
        self.n = problem.n
        self.linear = problem.linear
        self.here = np.concatenate([problem.pair_rows, problem.pair_cols]).astype(np.int64)
        self.there = np.concatenate([problem.pair_cols, problem.pair_rows]).astype(np.int64)
        self.values = np.concatenate([problem.pair_values, problem.pair_values])

    @property
    def exclusive(self) -> NDArray[np.bool_]:
        """(2 P,) whether either of two variables may be unset at no cost if both are set."""
        least = self.linear + np.bincount(self.here, np.minimum(self.values, 0.0), self.n)
        may_unset = (self.values > 0.0) & (least[self.here] + self.values >= 0.0)
        count = len(self.here) // 2
        return np.asarray(may_unset & np.concatenate([may_unset[count:], may_unset[:count]]), np.bool_)

    def cost_of_setting(self, group_of: I64, cliques: list[list[int]]) -> F64:
        """(n,) the most that setting a variable costs while no group has two members set, and its own ones have none.

        group_of: (n,) number of a group, or of the variable itself beyond all groups. cliques: all groups.
        """
        owner = np.repeat(np.arange(len(cliques)), [len(clique) for clique in cliques])
        members = np.array([i for clique in cliques for i in clique], np.int64)
        sizes = np.bincount(members, minlength=self.n)
        homes = np.full((self.n, max(1, int(sizes.max(initial=0)))), -1, np.int64)
        order = np.argsort(members, kind="stable")
        homes[members[order], _ranks(members[order])] = owner[order]
        outside = self.values > 0.0
        for k in range(homes.shape[1]):
            mine = homes[self.here, k]
            outside &= (mine < 0) | (homes[self.there] != mine[:, None]).all(axis=1)
        here, group, values = self.here[outside], group_of[self.there[outside]], self.values[outside]
        order = np.lexsort((-values, group, here))
        here, group, values = here[order], group[order], values[order]
        is_largest = np.ones(len(here), np.bool_)
        is_largest[1:] = (here[1:] != here[:-1]) | (group[1:] != group[:-1])
        most: F64 = self.linear + np.bincount(here[is_largest], values[is_largest], self.n)
        return most


def _ranks(ordered: I64) -> I64:
    """How many equal values precede each of some values in order."""
    first = np.searchsorted(ordered, ordered, side="left")
    return np.arange(len(ordered)) - first


def _cliques(here: I64, there: I64) -> list[list[int]]:
    """Cliques of a graph such that each edge is in at most one: an edge with all that both of its ends know."""
    neighbours: dict[int, set[int]] = defaultdict(set)
    for i, j in zip(here.tolist(), there.tolist(), strict=True):
        neighbours[i].add(j)
    done: set[tuple[int, int]] = set()
    cliques = []
    for i in sorted(neighbours):
        for j in sorted(neighbours[i]):
            if j < i or (i, j) in done:
                continue
            members = sorted({i, j} | (neighbours[i] & neighbours[j]))
            if all(b in neighbours[a] for a, b in combinations(members, 2)):
                done.update(combinations(members, 2))
                cliques.append(members)
    return cliques


def _assignments(pairs: _BothWays, cliques: list[list[int]]) -> list[tuple[list[int], bool]]:
    """The groups of assignments, if all cliques belong to such and every variable may be set at no cost."""
    structure = structure_of(OneHot.of((clique, True) for clique in cliques), pairs.n)
    if not len(structure.sizes) or 2 * int((structure.sizes**2).sum()) != sum(map(len, cliques)):
        return []
    choice, _ = structure.owners()
    group_of = np.empty(pairs.n, np.int64)
    group_of[structure.variables[structure.variables >= 0]] = choice[structure.variables >= 0]
    cost = pairs.cost_of_setting(group_of, cliques)
    members = np.unique(np.concatenate([np.array(clique) for clique in cliques]))
    return [(clique, True) for clique in cliques] if (cost[members] <= 0.0).all() else []


def _choices(pairs: _BothWays, cliques: list[list[int]]) -> list[tuple[list[int], bool]]:
    """Cliques that do not overlap and have a member that may be set at no cost."""
    chosen, taken = list[list[int]](), set[int]()
    for clique in sorted(cliques, key=len, reverse=True):
        if taken.isdisjoint(clique):
            chosen.append(clique)
            taken.update(clique)
    while chosen:
        group_of = len(chosen) + np.arange(pairs.n)
        for g, clique in enumerate(chosen):
            group_of[clique] = g
        cost = pairs.cost_of_setting(group_of, chosen)
        proven = [clique for clique in chosen if cost[clique].min() <= 0.0]
        if len(proven) == len(chosen):
            break
        chosen = proven
    return [(clique, True) for clique in chosen]
