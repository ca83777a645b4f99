"""Check a result of Qiosk, and the receipt of its lower bound: ``python verify.py PROBLEM RESULT [RECEIPT]``.

This file needs NumPy alone and shares no code with what it checks. PROBLEM has the format microsoft.qio.v2, RESULT is a
results document, RECEIPT an npz file. Costs are exact fractions, bounds those of terms rounded to the receipt's unit.
"""

import gzip
import json
import math
import sys
from collections import Counter, defaultdict
from fractions import Fraction
from functools import reduce
from itertools import accumulate, combinations, pairwise, product
from pathlib import Path

import numpy as np


def refuse(is_wrong, why):
    if is_wrong:
        raise SystemExit(f"refused        {why}")


class Problem:
    """cost = constant + sum of terms {variables: coefficient} in exact fractions; squared sums are multiplied out."""

    def __init__(self, function):
        self.is_spin = function["type"].startswith("ising")
        found = [(Fraction(float(term["c"])), term["ids"]) for term in function.get("terms") or []]
        for group in function.get("terms_slc") or []:
            c, members = Fraction(float(group["c"])), [(Fraction(float(m["c"])), m["ids"]) for m in group["terms"]]
            found += [(c * a * b, ids + others) for (a, ids), (b, others) in product(members, repeat=2)]
        self.terms, self.sizes, self.ids = defaultdict(Fraction), defaultdict(Fraction), set()
        for c, powers in ((c, Counter(ids)) for c, ids in found):
            self.ids |= powers.keys()
            key = tuple(sorted(i for i in powers if not self.is_spin or powers[i] % 2))
            self.terms[key] += c
            self.sizes[key] += abs(c)
        self.ids, self.constant, self.rounding = sorted(self.ids), self.terms[()], sum(self.sizes.values()) / 2**44


class Receipt:
    """Arrays that prove a bound on a problem in integers: cost >= constant + unit (sum of terms) - error."""

    def __init__(self, problem, arrays):
        self.arrays, self.method, unit = arrays, str(arrays["method"]), Fraction(str(arrays["unit"]))
        self.n, self.is_spin, place = len(problem.ids), problem.is_spin, {i: k for k, i in enumerate(problem.ids)}
        is_graph = self.method in ("trivial-spins", "cycles", "cycles-lp", "sdp", "sdp-triangles")
        self.terms, error, whole = {}, Fraction(0), 4 * unit if is_graph and not self.is_spin else unit
        self.shift = int(arrays["shift"]) if "shift" in arrays else 0  # of values in 2^-shift
        refuse(unit <= 0 or not 0 <= self.shift < 64, "the unit must be positive, and the shift 0 to 63")
        for key, c in problem.terms.items():
            k = round(c / whole) if key else 0
            off = abs(c - k * whole) if key else 0
            error += off if off > problem.sizes[key] / 2**46 else 0  # decimal fractions count as what they round to
            if k:
                self.terms[tuple(place[i] for i in key)] = k
        level, some, spacing = self.of_graph() if is_graph else self.of_terms()
        level = some - (some - level) // spacing * spacing if spacing else some  # all levels are whole spacings apart
        self.bound = problem.constant + unit * level - error

    def of_graph(self):
        """As couplings {(u, v): weight} of spins, where n is a ghost, and a constant; of bits in quarters."""
        edges, n = Counter(), self.n
        for key, k in self.terms.items():
            refuse(len(key) > 2, "the problem is not quadratic")
            for size in [len(key)] if self.is_spin else range(len(key) + 1):  # x = (1 - s) / 2
                for some in combinations(key, size):
                    edges[(*some, n, n)[:2]] += k if self.is_spin else (-1) ** size * k << 2 - len(key)
        constant, edges = edges.pop((n, n), 0), {edge: w for edge, w in edges.items() if w}
        least, spacing = constant - sum(map(abs, edges.values())), 2 * math.gcd(*edges.values())
        if self.method.startswith("sdp"):
            return constant + self.least_of_matrix(edges), least, spacing
        return least + (self.gain_of_cycles(edges) if self.method != "trivial-spins" else 0), least, spacing

    def gain_of_cycles(self, edges):
        """A frustrated cycle cannot have all couplings at their least: if it takes r of each, they cost 2 r more."""
        names = ("cycle_rows", "cycle_cols", "cycle_indptr", "cycle_values")
        *pairs, indptr, values = (self.arrays[name].astype(int).tolist() for name in names)
        pairs, loads, gain = list(zip(*pairs, strict=True)), Counter(), sum(values)
        is_whole = indptr[0] == 0 and indptr[-1] == len(pairs) and min(values, default=0) >= 0
        refuse(not is_whole, "cycles and values do not match")
        refuse(not edges.keys() >= set(pairs), "a cycle has a coupling that the problem has not")
        for (first, end), value in zip(pairwise(indptr), values, strict=True):
            cycle = pairs[first:end]
            is_closed = all(degree % 2 == 0 for degree in Counter(v for pair in cycle for v in pair).values())
            refuse(not is_closed or sum(edges[p] > 0 for p in cycle) % 2 == 0, "a cycle is open or not frustrated")
            for pair in cycle:
                loads[pair] += value
        # couplings that were larger by what cycles take too much would cost so much less
        gain -= sum(max(0, load - (abs(edges[pair]) << self.shift)) for pair, load in loads.items())
        return Fraction(2 * gain, 1 << self.shift)

    def least_of_matrix(self, edges):
        """2 cost = s'Ws >= -sum y where W + Diag(y) is positive semidefinite: Rump, doi:10.1007/s10543-006-0056-1."""
        at, y = {v: k for k, v in enumerate(self.arrays["vertices"].tolist())}, self.arrays["y"].astype(float)
        n, total, largest = len(y), Fraction(0), max(map(abs, edges.values()), default=0)
        refuse(len(at) != n or not {v for edge in edges for v in edge} <= at.keys(), "vertices and y do not match")
        matrix = np.zeros((n, n))
        for (u, v), w in edges.items():
            matrix[at[u], at[v]] = matrix[at[v], at[u]] = w
        if self.method == "sdp-triangles":  # s1 x_ij + s2 x_ik + s1 s2 x_jk >= -1 with multipliers in 2^-shift
            (i, j, k, s1, s2), g = self.arrays["triangles"].astype(int).T, self.arrays["multipliers"].astype(float)
            is_fine = (abs(s1) == 1) & (abs(s2) == 1) & (i > j) & (j > k) & (k >= 0) & (g * 2.0**self.shift % 1 == 0)
            refuse(not np.all(is_fine & (g >= 0)), "a triangle or its multiplier is none")
            total = sum(map(Fraction, g.tolist()), total)
            for u, v, sign in ((i, j, s1), (i, k, s2), (j, k, s1 * s2)):  # below the diagonal, which is what is read
                np.subtract.at(matrix, (u, v), sign * g)
        refuse((total + largest) * 2**self.shift >= 2**53, "a weight is not exact in float64")
        refuse(not np.all(np.isfinite(y) & (y >= 0.0)), "y must be finite and not negative")
        margin = 1.01 * (n + 1) * 2.0**-53 / (1 - (n + 1) * 2.0**-52) * math.fsum(y) + n * 1e-300
        np.fill_diagonal(matrix, np.nextafter(y - margin, -np.inf))
        np.linalg.cholesky(matrix)  # raises LinAlgError where nothing is proved
        return -total - sum(map(Fraction, y.tolist()), Fraction(0)) / 2

    def of_terms(self):
        """As they are, as tables of all values of their variables, or of factors."""
        least, spacing = -sum(map(abs, self.terms.values())), math.gcd(*self.terms.values()) * (1 + self.is_spin)
        if self.method == "trivial":
            return least if self.is_spin else sum(min(k, 0) for k in self.terms.values()), least, spacing
        refuse(self.method not in ("elimination", "diffusion", "mini-buckets"), f"method {self.method!r} is unknown")
        is_whole = self.method == "elimination"
        level = self.by_buckets(self.tables(), self.arrays["order"].tolist()) if is_whole else self.by_tables()
        return level, least, spacing

    def tables(self):
        """An axis for each variable of a term; spins are 1, -1."""
        refuse(max(map(len, self.terms), default=0) > 24, "a term is too large")
        refuse(sum(map(abs, self.terms.values())) << self.shift >= 2**61, "the numbers are too large")
        axis = np.array([1, -1] if self.is_spin else [0, 1])
        return [(key, reduce(np.multiply.outer, [axis] * len(key), k << self.shift)) for key, k in self.terms.items()]

    def by_tables(self):
        """Tables whose coefficients over bits are those of the terms, but for a rest that is taken off."""
        own, tables, members = (self.arrays[name].astype(int) for name in ("own", "tables", "table_variables"))
        parts, at, first = [((i,), own[i].reshape(2)) for i in range(self.n)], 0, 0
        for k in self.arrays["table_sizes"].tolist():
            scope, table = members[at : at + k].tolist(), tables[first : first + (1 << min(k, 30))]
            parts.append((scope, table.reshape((2,) * len(scope))))
            at, first = at + k, first + len(table)
        refuse(sum(abs(table.astype(float)).max() for _, table in parts) >= 2.0**61, "the numbers are too large")
        rest = Counter()  # tables less terms; sums that overflow are right modulo 2^64
        for scope, table in parts + [(key, -table) for key, table in self.tables()]:
            over = table.flatten()
            for b in range(len(scope)):
                halves = over.reshape(-1, 2, 1 << b)
                halves[:, 1] -= halves[:, 0]
            for x, c in enumerate(over.tolist()):
                rest[tuple(sorted(scope[b] for b in range(len(scope)) if x >> b & 1))] += c
        off = [(c + 2**63) % 2**64 - 2**63 for c in rest.values()]
        refuse(sum(map(abs, off)) >= 2**62, "the tables are not the terms")
        order, counts, members = [self.arrays[k].tolist() for k in self.arrays if k[:7] == "bucket_"] or ([], [], [])
        groups = [members[a:b] for a, b in pairwise(accumulate(counts, initial=0))]
        least = self.by_buckets([(s[::-1], table) for s, table in parts], order, groups)  # the last axis is bit 0
        return Fraction(least - sum(c for c in off if c > 0), 1 << self.shift)

    def by_buckets(self, parts, order, groups=None):
        """Tables of a variable are added up, all or in groups (which only lowers the sum), and minimized over it."""
        rank, buckets = defaultdict(lambda: math.inf, {v: -r for r, v in enumerate(reversed(order))}), defaultdict(dict)
        for f, (scope, table) in enumerate(parts):
            buckets[min(scope, key=rank.__getitem__)][f] = scope, table
        for new, (v, group) in enumerate(zip(order, groups or [()] * len(set(order)), strict=True), len(parts)):
            some = [buckets[v].pop(f) for f in group or list(buckets[v])]
            scope = sorted({v}.union(*(s for s, _ in some)))
            refuse(len(scope) > 24, "the width is too large")
            joint, left = np.zeros((2,) * len(scope), int), [u for u in scope if u != v]
            for s, table in some:
                joint += table.transpose(np.argsort(s)).reshape([2 if u in s else 1 for u in scope])
            buckets[min(left, key=rank.__getitem__, default=None)][new] = left, joint.min(axis=scope.index(v))
        return sum(int(table.min()) for bucket in buckets.values() for _, table in bucket.values())


def main(problem_file, result_file, receipt_file=None):
    files = [Path(file).read_bytes() for file in (problem_file, result_file)]
    given, result = (json.loads(gzip.decompress(file) if file[:2] == b"\x1f\x8b" else file) for file in files)
    problem, claimed = Problem(given["cost_function"]), (result.get("bound") or {}).get("value")
    best = min(result.get("solutions") or [result], key=lambda s: s["cost"])
    x = {int(i): int(v) for i, v in best["configuration"].items()}
    refuse(sorted(x) != problem.ids, "the result and the problem have different variables")
    refuse(not set(x.values()) <= ({-1, 1} if problem.is_spin else {0, 1}), "a value is none of its variable's")
    cost = sum(c * math.prod(x[i] for i in key) for key, c in problem.terms.items())
    off = abs(cost - Fraction(float(best["cost"])))
    refuse(off > problem.rounding, f"the cost is {float(cost)!r}, not {best['cost']!r}")
    print(f"cost           {best['cost']!r}, computed again")
    if receipt_file is None:
        return print("bound          not checked: there is no receipt")
    receipt = Receipt(problem, np.load(receipt_file, allow_pickle=False))
    is_proved = claimed is None or Fraction(float(claimed)) - receipt.bound <= problem.rounding
    refuse(not is_proved, f"the bound {claimed!r} is not proved, only {float(receipt.bound)!r}")
    refuse(receipt.bound - cost > problem.rounding, "the cost is below the bound")
    print(f"bound          {float(receipt.bound)!r}, proved by {receipt.method}")
    print("optimal        yes" if cost - receipt.bound <= problem.rounding else "optimal        not proved")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001  # whatever is wrong with a file, nothing is proved by it
        raise SystemExit(f"refused        {type(error).__name__}: {error}") from None
