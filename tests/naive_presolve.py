"""The rules of presolve as they are defined, slow and obvious, on a problem of spins that fits in a dictionary."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterable
from fractions import Fraction

from qiosk.model.compiled import CompiledProblem

GHOST = -1
Couplings = dict[int, dict[int, Fraction]]


def couplings(problem: CompiledProblem) -> Couplings:
    """By spin: its neighbours and couplings, and its field as that to ``GHOST``."""
    found: Couplings = {u: {} for u in range(problem.n)}
    for u, field in enumerate(problem.linear.tolist()):
        if field:
            found[u][GHOST] = Fraction(field)
    pairs = zip(problem.pair_rows.tolist(), problem.pair_cols.tolist(), problem.pair_values.tolist(), strict=True)
    for u, v, weight in pairs:
        if weight:
            found[u][v] = found[v][u] = Fraction(weight)
    return found


def applicable(given: Couplings, *, is_strict: bool) -> set[str]:
    """The rules that apply somewhere."""

    def outweighs(size: Fraction, rest: Fraction) -> bool:
        return size > rest or (size == rest and not is_strict)

    rules = set()
    for u, row in given.items():
        if len(row) <= 3:
            rules.add(f"degree {len(row)}")
        for v, weight in row.items():
            size = abs(weight)
            if outweighs(size, sum(map(abs, row.values()), Fraction(0)) - size):
                rules.add("fixed" if v == GHOST else "dominated")
            if v != GHOST and outweighs(2 * size, outside(given, u, v, -1 if weight > 0 else 1)):
                rules.add("pair")
    return rules


def outside(given: Couplings, u: int, v: int, sign: int) -> Fraction:
    """The most that all others gain by ``sign * s_u * s_v`` being -1: the sum of |w_uk - sign w_vk|."""
    others = (set(given[u]) | set(given[v])) - {u, v}
    zero = Fraction(0)
    return sum((abs(given[u].get(k, zero) - sign * given[v].get(k, zero)) for k in others), zero)


def persistent(problem: CompiledProblem) -> dict[int, int]:
    """Spins and their values by roof duality: a maximum flow by shortest augmenting paths.

    Node (u, s) is spin u having value s; the source is the ghost being +1, and the sink that it is -1. What the source
    reaches through capacities that are left is so in every optimum.
    """
    source, sink = (GHOST, 1), (GHOST, -1)
    capacity: dict[tuple[int, int], dict[tuple[int, int], Fraction]] = {}
    for u, row in couplings(problem).items():
        for v, weight in row.items():
            for s in (1, -1):
                here, there = (u, s), (v, s if weight < 0 else -s)
                capacity.setdefault(here, {})[there] = abs(weight)
                capacity.setdefault(there, {})[here] = abs(weight)
    capacity.setdefault(source, {})
    while True:
        before, waiting = {source: source}, deque([source])
        while waiting:
            node = waiting.popleft()
            for after, room in capacity[node].items():
                if room > 0 and after not in before:
                    before[after] = node
                    waiting.append(after)
        if sink not in before:
            return {u: s for u, s in before if u != GHOST}
        path, node = [], sink
        while node != source:
            path.append((before[node], node))
            node = before[node]
        least = min(capacity[a][b] for a, b in path)
        for a, b in path:
            capacity[a][b] -= least
            capacity[b][a] += least


def twins(given: Couplings, *, is_strict: bool) -> set[tuple[int, int]]:
    """Pairs of spins that are merged because what they feel of all others is proportional."""
    found = set()
    for u, v in itertools.combinations(given, 2):
        mine, its = ({k: w for k, w in given[a].items() if k not in (u, v)} for a in (u, v))
        if not mine or set(mine) != set(its):
            continue
        ratios = {mine[k] / its[k] for k in mine}
        if len(ratios) > 1:
            continue
        (ratio,) = ratios
        between = given[u].get(v, Fraction(0))
        if between:
            if abs(ratio) == 1 and between * ratio < 0:
                found.add((u, v))
        elif not is_strict or is_odd(mine.values()):
            found.add((u, v))
    return found


def is_odd(weights: Iterable[Fraction]) -> bool:
    """Whether the sum of weights is an odd multiple of their common divisor, so that no signs make it 0."""
    weights = list(weights)
    scale = math.lcm(*(w.denominator for w in weights))
    whole = [int(w * scale) for w in weights]
    return sum(whole) // math.gcd(*whole) % 2 == 1


def blocks(edges: set[tuple[int, int]]) -> list[set[tuple[int, int]]]:
    """Biconnected components: two edges are in one if no vertex separates them."""
    found: list[set[tuple[int, int]]] = []
    for edge in sorted(edges):
        for block in found:
            if are_together(edges, edge, next(iter(block))):
                block.add(edge)
                break
        else:
            found.append({edge})
    return found


def are_together(edges: set[tuple[int, int]], first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Whether two edges are connected, also where any one vertex is removed, to which edges then lead from one side."""
    for vertex in {v for edge in edges for v in edge} | {None}:
        reached, grows = {first}, True
        while grows:
            ends = {v for edge in reached for v in edge} - {vertex}
            more = {edge for edge in edges if ends & set(edge)} | reached
            grows = len(more) > len(reached)
            reached = more
        if second not in reached:
            return False
    return True
