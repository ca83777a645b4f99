"""Check a result of Qiosk, and the receipt of its lower bound, with NumPy alone: ``python verify.py PROBLEM RESULT
[RECEIPT]``.

This file imports nothing of Qiosk and shares no code with what it checks. The problem is a file of the format
microsoft.qio.v2, the result a results document, both perhaps compressed by gzip; the receipt is an npz file. The cost
of the result is computed again. The bound is proved again from the arrays of the receipt. Coefficients count as whole
multiples of the unit in the receipt; what they differ from that by more than rounding is taken off the bound.
"""

from __future__ import annotations

import gzip
import json
import math
import sys
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np

U = 2.0**-53
MOST_AXES = 24  # variables of a table


def refuse(is_wrong, why):
    if is_wrong:
        raise SystemExit(f"refused        {why}")


def read_json(file):
    data = Path(file).read_bytes()
    return json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)


class Problem:
    """cost = constant + sum of terms {variables: coefficient} + sum of c (sum w x)^2, exact fractions."""

    def __init__(self, document):
        function = document["cost_function"]
        self.is_spin = function["type"].startswith("ising")
        self.terms, self.sizes, self.groups, ids = defaultdict(Fraction), defaultdict(Fraction), [], set()
        for term in function.get("terms") or []:
            c, powers = Fraction(float(term["c"])), Counter(term["ids"])
            ids |= powers.keys()
            key = tuple(sorted(i for i in powers if not self.is_spin or powers[i] % 2))
            self.terms[key] += c
            self.sizes[key] += abs(c)
        for group in function.get("terms_slc") or []:
            weights = defaultdict(Fraction)
            for member in group["terms"]:
                ids.update(member["ids"])
                weights[tuple(member["ids"])] += Fraction(float(member["c"]))
            most = sum(map(abs, weights.values())) ** 2
            self.groups.append((Fraction(float(group["c"])), weights, most))
        self.ids = sorted(ids)
        self.constant = self.terms.pop((), Fraction(0))
        size = sum(self.sizes.values()) + sum(abs(c) * most for c, _, most in self.groups)
        self.rounding = size / 2**44  # of costs in float64

    def cost(self, x):
        def value(terms):
            return sum(c * math.prod(x[i] for i in key) for key, c in terms.items())

        return self.constant + value(self.terms) + sum(c * value(weights) ** 2 for c, weights, _ in self.groups)

    def integers(self, unit):
        """Whole multiples of a unit by places of variables, and how much a cost may differ from them."""
        found, place = {}, {i: k for k, i in enumerate(self.ids)}
        error = sum(max(-c, 0) * most for c, _, most in self.groups)  # a square is at least 0
        for key, c in self.terms.items():
            k = round(c / unit)
            off = abs(c - k * unit)
            error += off if off > self.sizes[key] / 2**46 else 0
            if k:
                found[tuple(place[i] for i in key)] = k
        return found, error


def graph_of(terms, n, is_spin):
    """Couplings {(u, v): weight} of spins, n the ghost, and a constant; of bits in quarters."""
    edges = Counter()
    for key, k in terms.items():
        refuse(len(key) > 2, "the problem is not quadratic")
        for size in [len(key)] if is_spin else range(len(key) + 1):  # x = (1 - s) / 2
            for some in combinations(key, size):
                edges[(*some, n, n)[:2]] += k if is_spin else (-1) ** size * k << 2 - len(key)
    constant = edges.pop((n, n), 0)
    return {edge: w for edge, w in edges.items() if w}, constant


def of_couplings(edges, constant, receipt):
    return constant - sum(map(abs, edges.values()))


def of_cycles(edges, constant, receipt):
    """A frustrated cycle cannot have all couplings at their least: if it takes r of each, they cost 2 r more."""
    shift, indptr, values = int(receipt["shift"]), receipt["cycle_indptr"].tolist(), receipt["cycle_values"]
    pairs = list(zip(receipt["cycle_rows"].tolist(), receipt["cycle_cols"].tolist(), strict=True))
    has_ends = len(indptr) == len(values) + 1 and indptr[0] == 0 and indptr[-1] == len(pairs)
    refuse(not has_ends, "cycles and values do not match")
    refuse(values.dtype.kind != "i" or np.any(values < 0), "a value is negative or not an integer")
    refuse(not edges.keys() >= set(pairs), "a cycle has a coupling that the problem has not")
    loads, total = Counter(), sum(values.tolist())
    for (first, end), value in zip(pairwise(indptr), values.tolist(), strict=True):
        cycle = pairs[first:end]
        refuse(sum(edges[pair] > 0 for pair in cycle) % 2 == 0, "a cycle is not frustrated")
        degrees = Counter(v for pair in cycle for v in pair)
        refuse(any(degree % 2 for degree in degrees.values()), "a cycle is not closed")
        for pair in cycle:
            loads[pair] += value
    refuse(any(load > abs(edges[pair]) << shift for pair, load in loads.items()), "cycles take more than there is")
    return of_couplings(edges, constant, receipt) + Fraction(2 * total, 1 << shift)


def of_matrix(edges, constant, receipt):
    """2 cost = s'Ws >= -sum y where W + Diag(y) is positive semidefinite: Rump, doi:10.1007/s10543-006-0056-1."""
    vertices, y = receipt["vertices"].tolist(), receipt["y"].astype(np.float64)
    at, n = {v: k for k, v in enumerate(vertices)}, len(vertices)
    refuse(len(at) != n or len(y) != n, "vertices and y do not match")
    refuse({v for edge in edges for v in edge} - set(vertices), "a variable is missing")
    refuse(max(map(abs, edges.values()), default=0) >= 2**53, "a weight is not exact in float64")
    matrix = np.zeros((n, n))
    for (u, v), w in edges.items():
        matrix[at[u], at[v]] = matrix[at[v], at[u]] = w
    if "triangles" in receipt:  # s1 x_ij + s2 x_ik + s1 s2 x_jk >= -1 with multipliers, multiples of 2^-shift: exact
        (i, j, k, s1, s2), g, shift = receipt["triangles"].T.astype(int), receipt["multipliers"], int(receipt["shift"])
        refuse(np.any(g < 0) or np.any(g * 2.0**shift % 1), "a multiplier is negative or too fine")
        is_none = (abs(s1) != 1) | (abs(s2) != 1) | (i <= j) | (j <= k) | (k < 0)
        refuse(np.any(is_none), "a triangle is none")
        total = sum(map(Fraction, g.tolist()), Fraction(0))
        refuse((total + int(np.abs(matrix).max(initial=0))) * 2**shift >= 2**53, "multipliers are not exact in float64")
        for u, v, sign in ((i, j, s1), (i, k, s2), (j, k, s1 * s2)):
            np.subtract.at(matrix, (u, v), sign * g)
            np.subtract.at(matrix, (v, u), sign * g)
        constant -= total
    refuse(not np.all(np.isfinite(y)) or np.any(y < 0.0), "y must be finite and not negative")
    gamma = (n + 1) * U / (1 - (n + 1) * U)
    margin = 1.01 * gamma / (1 - gamma) * math.fsum(y) + n * 1e-300
    np.fill_diagonal(matrix, np.nextafter(y - margin, -np.inf))
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        refuse(True, "the matrix is not proved positive semidefinite")
    return constant - sum(map(Fraction, y.tolist()), Fraction(0)) / 2


def of_terms(terms, n, is_spin, receipt):
    return sum(-abs(k) if is_spin else min(k, 0) for k in terms.values())


def table_of(key, k, is_spin):
    """A term for all values of its variables, with an axis for each; spins are 1, -1."""
    refuse(len(key) > MOST_AXES, "a term is too large")
    table = np.array(k, np.int64)
    for _ in key:
        table = np.multiply.outer(table, np.array([1, -1] if is_spin else [0, 1], np.int64))
    return table


def of_elimination(terms, n, is_spin, receipt):
    order = receipt["order"].tolist()
    refuse(sorted(order) != list(range(n)), "the order must have every variable once")
    refuse(sum(map(abs, terms.values())) >= 2**61, "the numbers are too large")
    rank, buckets, total = {v: r for r, v in enumerate(order)}, [[] for _ in order], 0
    for key, k in terms.items():
        scope = sorted(key, key=rank.get)
        buckets[rank[scope[0]]].append((scope, table_of(scope, k, is_spin)))
    for r, v in enumerate(order):
        scope = sorted({v}.union(*(s for s, _ in buckets[r])), key=rank.get)
        refuse(len(scope) > MOST_AXES, "the width is too large")
        joint = np.zeros((2,) * len(scope), np.int64)
        for s, table in buckets[r]:
            joint += table.reshape([2 if u in s else 1 for u in scope])
        least, buckets[r] = joint.min(axis=0), []
        if scope[1:]:
            buckets[rank[scope[1]]].append((scope[1:], least))
        else:
            total += int(least)
    return total


def of_tables(terms, n, is_spin, receipt):
    """The tables are the terms: their coefficients over bits agree modulo 2^64, and no sum of them is as large."""
    shift, own, tables = int(receipt["shift"]), *(receipt[name].astype(np.int64) for name in ("own", "tables"))
    refuse(own.shape != (n, 2), "there must be two values of each variable")
    parts, at, first = [((i,), own[i]) for i in range(n)], 0, 0
    for k in receipt["table_sizes"].tolist():
        parts.append((receipt["table_variables"][at : at + k].tolist(), tables[first : first + (1 << k)]))
        at, first = at + k, first + (1 << k)
    size = sum(np.abs(table.astype(float)).max() for _, table in parts)
    refuse(size >= 2.0**62 or sum(map(abs, terms.values())) << shift >= 2**61, "the numbers are too large")
    rest = Counter()  # tables less terms
    for scope, table in parts + [(key, -table_of(key, k << shift, is_spin)) for key, k in terms.items()]:
        over = table.flatten()
        for b in range(len(scope)):
            halves = over.reshape(-1, 2, 1 << b)
            halves[:, 1] -= halves[:, 0]
        for x, c in enumerate(over.tolist()):
            rest[tuple(sorted(scope[b] for b in range(len(scope)) if x >> b & 1))] += c
    refuse(any(c % 2**64 for c in rest.values()), "the tables are not the terms")
    return Fraction(sum(int(table.min()) for _, table in parts), 1 << shift)


OF_GRAPHS = {"trivial-spins": of_couplings, "cycles": of_cycles, "cycles-lp": of_cycles}
OF_GRAPHS |= {"sdp": of_matrix, "sdp-triangles": of_matrix}
OF_TERMS = {"trivial": of_terms, "elimination": of_elimination, "diffusion": of_tables}


def proved(problem, receipt):
    """The bound that a receipt proves."""
    method, unit, n = str(receipt["method"]), Fraction(str(receipt["unit"])), len(problem.ids)
    refuse(unit <= 0, "the unit must be positive")
    refuse(method not in OF_GRAPHS | OF_TERMS, f"method {method!r} is unknown")
    if method in OF_GRAPHS:
        terms, error = problem.integers(unit if problem.is_spin else 4 * unit)
        edges, constant = graph_of(terms, n, problem.is_spin)
        level, some = OF_GRAPHS[method](edges, constant, receipt), of_couplings(edges, constant, receipt)
        spacing = 2 * math.gcd(*edges.values())
    else:
        terms, error = problem.integers(unit)
        level, some = OF_TERMS[method](terms, n, problem.is_spin, receipt), 0
        spacing = math.gcd(*terms.values())
        if problem.is_spin:
            some, spacing = -sum(map(abs, terms.values())), 2 * spacing
    # levels of configurations differ from one another by multiples of the spacing
    level = some - (some - level) // spacing * spacing if spacing else some
    return problem.constant + unit * level - error


def main(problem_file, result_file, receipt_file=None):
    problem, result = Problem(read_json(problem_file)), read_json(result_file)
    best = min(result["solutions"], key=lambda s: s["cost"]) if result.get("solutions") else result
    x = {int(i): int(v) for i, v in best["configuration"].items()}
    refuse(sorted(x) != problem.ids, "the result and the problem have different variables")
    is_value = set(x.values()) <= ({-1, 1} if problem.is_spin else {0, 1})
    refuse(not is_value, "a value of the result is none of the variable's")
    cost, said = problem.cost(x), Fraction(float(best["cost"]))
    refuse(abs(cost - said) > problem.rounding, f"the cost is {float(cost)!r}, not {best['cost']!r}")
    print(f"cost           {best['cost']!r}, computed again")
    if receipt_file is None:
        print("bound          not checked: there is no receipt")
        return
    with np.load(receipt_file, allow_pickle=False) as receipt:
        least, method = proved(problem, receipt), str(receipt["method"])
    claimed = (result.get("bound") or {}).get("value")
    is_said = claimed is not None and Fraction(float(claimed)) - least > problem.rounding
    refuse(is_said, f"the bound {claimed!r} is not proved, only {float(least)!r}")
    refuse(least - cost > problem.rounding, "the cost is below the bound")
    print(f"bound          {float(least)!r}, proved by {method}")
    print("optimal        yes" if abs(cost - least) <= problem.rounding else "optimal        not proved")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit("usage: verify.py PROBLEM RESULT [RECEIPT]")
    try:
        main(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001  # whatever is wrong with a file, nothing is proved by it
        raise SystemExit(f"refused        a file is malformed: {type(error).__name__}: {error}") from None
