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
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import numpy as np

U = 2.0**-53


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
        self.terms, self.sizes = defaultdict(Fraction), defaultdict(Fraction)
        for term in function.get("terms") or []:
            ids = sorted(term["ids"])
            key = tuple(i for i in dict.fromkeys(ids) if not self.is_spin or ids.count(i) % 2)
            self.terms[key] += Fraction(float(term["c"]))
            self.sizes[key] += abs(Fraction(float(term["c"])))
        self.groups = []
        for group in function.get("terms_slc") or []:
            weights = defaultdict(Fraction)
            for member in group["terms"]:
                weights[tuple(member["ids"])] += Fraction(float(member["c"]))
            self.groups.append((Fraction(float(group["c"])), weights))
        every = {i for key in self.terms for i in key} | {i for _, w in self.groups for key in w for i in key}
        every |= {i for term in function.get("terms") or [] for i in term["ids"]}
        self.ids = sorted(every)
        self.place = {i: k for k, i in enumerate(self.ids)}
        self.constant = self.terms.pop((), Fraction(0))

    def cost(self, x):
        total = self.constant + sum(c * math.prod(x[i] for i in key) for key, c in self.terms.items())
        return total + sum(
            c * sum(w * math.prod(x[i] for i in key) for key, w in g.items()) ** 2 for c, g in self.groups
        )

    def integers(self, unit):
        """Whole multiples of a unit by places of variables, and how much a cost may differ from them."""
        found, error = {}, Fraction(0)
        for key, c in self.terms.items():
            k = round(c / unit)
            off = abs(c - k * unit)
            error += off if off > self.sizes[key] / 2**46 else 0
            if k:
                found[tuple(self.place[i] for i in key)] = k
        for c, weights in self.groups:  # a square is at least 0
            error += max(-c, 0) * sum(map(abs, weights.values())) ** 2
        return found, error


def raised(level, base, spacing):
    """The least of base + spacing * (0, 1, ...) that is at least a level."""
    return base - (base - level) // spacing * spacing if spacing else Fraction(base)


def graph_of(terms, n, is_spin):
    """Couplings {(u, v): weight} of spins, n the ghost, and a constant; of bits in quarters."""
    edges, constant = defaultdict(int), 0
    for key, k in terms.items():
        refuse(len(key) > 2, "the problem is not quadratic")
        if is_spin:
            edges[(*key, n)[:2]] += k
        elif len(key) == 1:
            constant += 2 * k
            edges[key[0], n] -= 2 * k
        else:
            constant += k
            edges[key] += k
            edges[key[0], n] -= k
            edges[key[1], n] -= k
    return {edge: w for edge, w in edges.items() if w}, constant


def of_cycles(edges, constant, receipt):
    shift, indptr, values = int(receipt["shift"]), receipt["cycle_indptr"], receipt["cycle_values"]
    number = {edge: e for e, edge in enumerate(edges)}
    pairs = list(zip(receipt["cycle_rows"].tolist(), receipt["cycle_cols"].tolist(), strict=True))
    refuse(any(pair not in number for pair in pairs), "a cycle has a coupling that the problem has not")
    lengths = np.diff(indptr)
    refuse(len(lengths) != len(values) or indptr[0] != 0 or indptr[-1] != len(pairs), "cycles and values do not match")
    refuse(np.any(lengths < 1) or np.any(values < 0), "a cycle is empty or has a negative value")
    refuse(values.dtype.kind != "i" or indptr.dtype.kind != "i", "values must be integers")
    loads, owners, weights = [0] * len(edges), np.repeat(np.arange(len(values)), lengths).tolist(), list(edges.values())
    signs, ends = defaultdict(int), defaultdict(int)
    for c, pair in zip(owners, pairs, strict=True):
        e = number[pair]
        loads[e] += int(values[c])
        signs[c] += weights[e] > 0
        ends[c, pair[0]] += 1
        ends[c, pair[1]] += 1
    refuse(any(signs[c] % 2 == 0 for c in range(len(values))), "a cycle is not frustrated")
    refuse(any(degree % 2 for degree in ends.values()), "a cycle is not closed")
    refuse(
        any(load > abs(w) << shift for load, w in zip(loads, weights, strict=True)), "cycles take more than there is"
    )
    return constant - sum(map(abs, weights)) + Fraction(2 * sum(values.tolist()), 1 << shift)


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
        refuse(
            np.any(abs(s1) != 1) or np.any(abs(s2) != 1) or np.any((i <= j) | (j <= k) | (k < 0)), "a triangle is none"
        )
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


def of_elimination(terms, n, is_spin, receipt):
    order = receipt["order"].tolist()
    refuse(sorted(order) != list(range(n)), "the order must have every variable once")
    refuse(sum(map(abs, terms.values())) >= 2**61, "the numbers are too large")
    rank, buckets, total = {v: r for r, v in enumerate(order)}, [[] for _ in order], 0
    for key, k in terms.items():
        scope = sorted(key, key=rank.get)
        sums = np.indices((2,) * len(key)).sum(axis=0)
        buckets[rank[scope[0]]].append((scope, k * (1 - 2 * (sums % 2)) if is_spin else k * (sums == len(key))))
    for r, v in enumerate(order):
        scope = sorted({u for s, _ in buckets[r] for u in s} | {v}, key=rank.get)
        refuse(len(scope) > 24, "the width is too large")
        joint = np.zeros((2,) * len(scope), np.int64)
        for s, table in buckets[r]:
            joint += table.reshape([2 if u in s else 1 for u in scope])
        least, buckets[r] = joint.min(axis=0), []
        if len(scope) > 1:
            buckets[rank[scope[1]]].append((scope[1:], least))
        else:
            total += int(least)
    return Fraction(total)


def of_tables(terms, n, is_spin, receipt):
    """The tables are the terms: their coefficients over bits agree modulo 2^64, and no sum of them is as large."""
    shift, own, tables, have, want = int(receipt["shift"]), receipt["own"], receipt["tables"], {}, {}
    tables, first, size = tables.astype(np.int64), 0, float(np.abs(own.astype(float)).max(axis=1).sum()) if n else 0.0
    refuse(own.shape != (n, 2), "there must be two values of each variable")
    parts, at = [((i,), own[i].astype(np.int64)) for i in range(n)], 0
    for k in receipt["table_sizes"].tolist():
        parts.append((tuple(receipt["table_variables"][at : at + k].tolist()), tables[first : first + (1 << k)]))
        size += float(np.abs(parts[-1][1].astype(float)).max())
        at, first = at + k, first + (1 << k)
    refuse(size >= 2.0**62 or sum(map(abs, terms.values())) << shift >= 2**61, "the numbers are too large")
    for scope, table in parts:
        over = np.array(table)
        for b in range(len(scope)):
            halves = over.reshape(-1, 2, 1 << b)
            halves[:, 1] -= halves[:, 0]
        for x, c in enumerate(over.tolist()):
            key = tuple(sorted(scope[b] for b in range(len(scope)) if x >> b & 1))
            have[key] = have.get(key, 0) + c
    for key, k in terms.items():
        for x in range(1 << len(key)) if is_spin else [(1 << len(key)) - 1]:
            sub = tuple(sorted(key[b] for b in range(len(key)) if x >> b & 1))
            want[sub] = want.get(sub, 0) + (k << shift) * ((-2) ** len(sub) if is_spin else 1)
    refuse(
        any((have.get(k, 0) - want.get(k, 0)) % 2**64 for k in have.keys() | want.keys()),
        "the tables are not the terms",
    )
    return Fraction(sum(int(table.min()) for _, table in parts), 1 << shift)


def proved(problem, receipt):
    """The bound that a receipt proves."""
    method, unit, n = str(receipt["method"]), Fraction(str(receipt["unit"])), len(problem.ids)
    refuse(unit <= 0, "the unit must be positive")
    is_graph = method in ("cycles", "cycles-lp", "sdp", "sdp-triangles", "trivial-spins")
    own = 4 * unit if is_graph and not problem.is_spin else unit
    terms, error = problem.integers(own)
    values = list(terms.values())
    divisor, size = math.gcd(*values), sum(map(abs, values))
    if is_graph:
        edges, constant = graph_of(terms, n, problem.is_spin)
        base, spacing = constant - sum(map(abs, edges.values())), 2 * math.gcd(*edges.values())
        kinds = {"cycles": of_cycles, "cycles-lp": of_cycles, "sdp": of_matrix, "sdp-triangles": of_matrix}
        level = kinds[method](edges, constant, receipt) if method in kinds else base
    else:
        base, spacing = (-size, 2 * divisor) if problem.is_spin else (0, divisor)
        kinds = {"elimination": of_elimination, "diffusion": of_tables}
        refuse(method not in kinds and method != "trivial", f"method {method!r} is unknown")
        lowest = -size if problem.is_spin else sum(min(k, 0) for k in values)
        level = kinds[method](terms, n, problem.is_spin, receipt) if method in kinds else lowest
    return problem.constant + unit * raised(Fraction(level), base, spacing) - error


def main(problem_file, result_file, receipt_file=None):
    problem, result = Problem(read_json(problem_file)), read_json(result_file)
    best = min(result["solutions"], key=lambda s: s["cost"]) if result.get("solutions") else result
    x = {int(i): int(v) for i, v in best["configuration"].items()}
    refuse(sorted(x) != problem.ids, "the result and the problem have different variables")
    refuse(
        set(x.values()) - ({-1, 1} if problem.is_spin else {0, 1}), "a value of the result is none of the variable's"
    )
    cost, said = problem.cost(x), Fraction(float(best["cost"]))
    scale = sum(problem.sizes.values()) + sum(abs(c) * sum(map(abs, w.values())) ** 2 for c, w in problem.groups)
    refuse(abs(cost - said) > scale / 2**44, f"the cost is {float(cost)!r}, not {best['cost']!r}")
    print(f"cost           {best['cost']!r}, computed again")
    if receipt_file is None:
        print("bound          not checked: there is no receipt")
        return
    with np.load(receipt_file, allow_pickle=False) as receipt:
        least = proved(problem, receipt)
        method = str(receipt["method"])
    claimed = (result.get("bound") or {}).get("value")
    is_said = claimed is not None and Fraction(float(claimed)) - least > scale / 2**44
    refuse(is_said, f"the bound {claimed!r} is not proved, only {float(least)!r}")
    refuse(cost - least < -scale / 2**44, "the cost is below the bound")
    print(f"bound          {float(least)!r}, proved by {method}")
    print("optimal        yes" if abs(cost - least) <= scale / 2**44 else "optimal        not proved")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit("usage: verify.py PROBLEM RESULT [RECEIPT]")
    main(*sys.argv[1:])
