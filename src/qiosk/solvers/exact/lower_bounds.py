"""Configurations that attain a lower bound on the cost, found by linear algebra: they are optimal.

Two bounds are tried.

*Every term at its minimum.* For spins, the cost is at least the constant minus the sizes of all coefficients. That is
attained iff every product of spins has the sign opposite to its coefficient, which are linear equations modulo 2: an
unfrustrated problem, however rugged its landscape (p-spin models without frustration, XORSAT). For bits, the cost is at
least the constant and all negative coefficients, which is attained, if at all, where all bits of those terms are 1 and
no others: a single long term is a needle in a haystack for a search. Fields and pairs of bits are also tried as spins.

*All of the configuration in the lowest eigenspace.* With J the symmetric matrix of couplings and no fields, the cost is
at least constant + n * lambda / 2, lambda the least eigenvalue of J; that is attained iff s lies in the eigenspace of
lambda. A few more coordinates than the eigenspace has dimensions, d, fix a vector in it; for them, s there means a few
linear equations with real coefficients. The vectors with odd entries that nearly fulfil these, together with twice all
others, form a lattice in which one with all entries -1 or +1 is exceptionally short, and lattice reduction finds it if
d is not too large. That solves planted Wishart problems with half as many constraints as variables, and more.

References: F. Ricci-Tersenghi, Science 330, 1639 (2010), doi:10.1126/science.1189804 (XORSAT); K. Aardal, C. A. J.
Hurkens, A. K. Lenstra, Math. Oper. Res. 25, 427 (2000), doi:10.1287/moor.25.3.427.12219 (equations in bounded integers
by lattice reduction).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from qiosk.bounds.graph import spin_graph
from qiosk.bounds.semidefinite import eigenvalue_proof
from qiosk.bounds.semidefinite import warm_up as warm_up_factor
from qiosk.bounds.trivial import attains_every_term
from qiosk.kernels.lattice import reduce_lattice
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8, I64
from qiosk.model.flips import cost_of
from qiosk.solvers.checkpoint import checkpointed
from qiosk.solvers.exact import parities
from qiosk.solvers.search.resolution import Resolution

# Operations on words that solving parities may take: some 10 ms.
PARITY_WORK = 20_000_000
# Pairs that are tried, at most: as many that agree take some 0.1 s, ones that do not far less.
MOST_PAIRS = 100_000
# Share of the sizes that add up to a field below which it is their rounding error.
FIELD_ROUNDING = 2.0**-44
# Variables of the largest matrix whose eigenvectors are computed, which takes some 20 ms.
LARGEST_MATRIX = 256
# Share of all pairs from which couplings count as dense.
DENSE_SHARE = 0.5
# Dimensions of the largest eigenspace that is searched. In larger ones reduction hardly finds anything.
LARGEST_EIGENSPACE = 64
# Eigenvalues that differ by less than this share of the largest are the same.
SAME_EIGENVALUE = 1e-9
# Equations, and what a deviation in them weighs: together they clearly distinguish s from the 2**d vectors of its size.
EQUATIONS = 12
EQUATION_WEIGHT = 2.0**14
# Length of 1 in the lattice: it outweighs the rounding of the equations, which makes deviations of some units.
LATTICE_UNIT = 8
# How much shorter a row must be to be moved before another (the delta of Lovász).
LOVASZ_DELTA = 0.999
# Row reductions in a call, some 20 ms of them in the largest lattices, and calls at most. Eigenspaces of 50 dimensions
# took 120 000 reductions where half as many constraints as variables were planted, 800 000 where three quarters were.
REDUCTIONS_PER_CALL = 20_000
MOST_CALLS = 60
# Other coordinates are tried when a reduction ends without success: so often, each so many further on. Of 30 planted
# Wishart problems with 100 spins and 50 constraints, the first attempt solved 29 and the second the other.
MOST_ATTEMPTS = 4
ATTEMPT_STRIDE = 7


def unfrustrated(problem: CompiledProblem) -> I8 | None:
    """A configuration (n,) with every term at its least; None if there is none, or if finding out takes too long."""
    if problem.one_hot is not None:
        return None
    if not problem.is_spin and (x := _only_negative_terms(problem)) is not None:
        return x
    if len(problem.group_values):
        return None
    if not problem.is_spin:
        is_tried = problem.is_quadratic and 0 < problem.n_pairs <= MOST_PAIRS
        bits = _even_bits(problem, _fields(problem)) if is_tried else None
        return None if bits is None else np.asarray(1 - bits, np.int8)
    bits = _even_bits(problem, problem.linear) if problem.is_quadratic else _bits(problem)
    return None if bits is None else np.asarray(1 - 2 * bits, np.int8)


def is_proven(problem: CompiledProblem, x: I8) -> bool:
    """Whether integers prove that no configuration costs less than x (n,), which attains one of the two bounds.

    Coefficients without a common unit permit that only where every term is at its least.
    """
    if attains_every_term(problem, x):
        return True
    if not problem.is_quadratic or len(problem.group_values):
        return False
    graph = spin_graph(problem)
    if graph.scale.error:
        return False
    spins = x if problem.is_spin else (1 - 2 * x).astype(np.int8)
    level = graph.level(np.append(spins, np.ones(int(graph.has_ghost), np.int8)))
    if level == graph.least:
        return True
    proof = problem.derived(eigenvalue_proof) if problem.n <= LARGEST_MATRIX else None
    return proof is not None and proof.level == level


def _only_negative_terms(problem: CompiledProblem) -> I8 | None:
    """The bits that are 1 where all negative terms count; None if that makes a positive term or a square count."""
    p = problem
    if np.any(p.group_values < 0.0):
        return None
    x = (p.linear < 0.0).astype(np.int8)
    for rows, cols, values in p.pair_blocks():
        x[rows[values < 0.0]] = x[cols[values < 0.0]] = 1
    x[p.term_variables[np.repeat(p.term_values < 0.0, np.diff(p.term_indptr))]] = 1
    pairs = sum(float(np.minimum(values, 0.0).sum()) for _, _, values in p.pair_blocks())
    least = p.constant + np.minimum(p.linear, 0.0).sum() + pairs + np.minimum(p.term_values, 0.0).sum()
    return x if cost_of(p, x) <= least + Resolution.of(p).rounding else None


def _fields(problem: CompiledProblem) -> F64:
    """(n,) twice the fields of spins s = 2 x - 1 in place of the bits x, without what is only rounding."""
    ends = [problem.pair_rows, problem.pair_cols]
    halves = sum(np.bincount(end, problem.pair_values, problem.n) for end in ends) / 2.0
    sizes = sum(np.bincount(end, np.abs(problem.pair_values), problem.n) for end in ends) + np.abs(problem.linear)
    fields: F64 = problem.linear + halves
    fields[np.abs(fields) <= FIELD_ROUNDING * sizes] = 0.0
    return fields


def _bits(problem: CompiledProblem) -> I8 | None:
    """Bits x for which every product of spins (-1)**x has the right sign: -1 iff an odd number of them is set."""
    values, indptr, variables = _all_terms(problem)
    n, terms = problem.n, len(values)
    if terms == 0 or terms * n * min(n, terms) > 64 * PARITY_WORK:
        return None
    owner = np.repeat(np.arange(terms), np.diff(indptr))
    return parities.solve(parities.pack(owner, variables, terms, n), values > 0.0, n)


def _even_bits(problem: CompiledProblem, fields: F64) -> I8 | None:
    """The same for ``fields`` (n,) and pairs. One more spin, +1, turns fields into pairs."""
    n = problem.n
    if problem.n_pairs > MOST_PAIRS:  # large problems do not have their pairs in a list
        return None
    values = np.concatenate([fields, problem.pair_values])
    is_there = np.flatnonzero(values)
    if not 0 < len(is_there) <= MOST_PAIRS:
        return None
    first = np.concatenate([np.arange(n), problem.pair_rows])[is_there].astype(np.int64)
    second = np.concatenate([np.full(n, n), problem.pair_cols])[is_there].astype(np.int64)
    bits = parities.solve_pairs(first, second, values[is_there] > 0.0, n + 1)
    return None if bits is None else bits[:n] ^ bits[n]


def _all_terms(problem: CompiledProblem) -> tuple[F64, I64, I64]:
    """(T,) coefficients that are not 0, and the variables of the terms, (T + 1,) indptr and (E,)."""
    linear = np.arange(problem.n, dtype=np.int64)
    pairs = np.stack([problem.pair_rows, problem.pair_cols], axis=1).astype(np.int64)
    values = np.concatenate([problem.linear, problem.pair_values, problem.term_values])
    sizes = np.concatenate([np.full(len(linear), 1), np.full(len(pairs), 2), np.diff(problem.term_indptr)])
    variables = np.concatenate([linear, pairs.ravel(), problem.term_variables.astype(np.int64)])
    is_there = values != 0.0
    kept = np.repeat(is_there, sizes)
    indptr = np.concatenate([[0], np.cumsum(sizes[is_there])]).astype(np.int64)
    return values[is_there], indptr, variables[kept]


@checkpointed
@dataclass(slots=True)
class EigenspaceState:
    """All that is needed to continue: the lattice of the present attempt, as far as it is reduced."""

    table: I64 = field(default_factory=lambda: np.empty((0, 0), np.int64))
    calls: int = 0
    attempt: int = 0
    is_over: bool = False


@dataclass(frozen=True, eq=False)
class LowestEigenspace:
    """Searches for spins in the lowest eigenspace of the couplings, a little in every call.

    Only of dense couplings: the few dimensions that the rest of the space has are a sum of few products of vectors.
    """

    problem: CompiledProblem

    @property
    def is_eligible(self) -> bool:
        """Whether the problem is searched: couplings only, of most pairs of few enough spins."""
        p = self.problem
        if (
            not EQUATIONS < p.n <= LARGEST_MATRIX
            or not p.is_spin
            or not p.is_quadratic
            or np.any(p.linear)
            or p.one_hot is not None
        ):
            return False
        return bool(np.count_nonzero(p.pair_values) >= DENSE_SHARE * p.n * (p.n - 1) / 2)

    def warm_up(self) -> None:
        """Compile, or load, what the search needs: only a proof in most cases, where the least eigenvalue is alone."""
        warm_up_factor()
        if 1 < self._spectrum[1].shape[1] <= self._largest:
            reduce_lattice()(np.eye(2, dtype=np.int64), LOVASZ_DELTA, 1)

    def advance(self, state: EigenspaceState) -> I8 | None:
        """Search on; a configuration (n,) of least cost as soon as there is one, and None otherwise."""
        if state.is_over:
            return None
        bound, space = self._spectrum
        if space.shape[1] == 1 or space.shape[1] > self._largest:
            state.is_over = True
            s = np.where(space[:, 0] < 0.0, -1, 1).astype(np.int8)
            return s if self._attains(bound, s) else None
        part = np.roll(space, -ATTEMPT_STRIDE * state.attempt, axis=0)[: space.shape[1] + EQUATIONS]
        if not state.table.size:
            equations = np.linalg.qr(part, mode="complete")[0][:, space.shape[1] :]
            state.table = _odd_lattice(np.rint(EQUATION_WEIGHT * equations).astype(np.int64))
        state.calls += 1
        is_reduced = reduce_lattice()(state.table, LOVASZ_DELTA, REDUCTIONS_PER_CALL) >= 0
        for s in _signs_in(state.table, part, space):
            if self._attains(bound, s):
                state.is_over = True
                return s
        if is_reduced:
            state.attempt += 1
            state.table = state.table[:0]
        state.is_over = state.attempt == MOST_ATTEMPTS or state.calls == MOST_CALLS
        return None

    def _attains(self, bound: float, s: I8) -> bool:
        return bool(cost_of(self.problem, s) <= bound + self._resolution.rounding)

    @cached_property
    def _resolution(self) -> Resolution:
        return Resolution.of(self.problem)

    @property
    def _largest(self) -> int:
        """Dimensions of the largest eigenspace that is searched."""
        return min(LARGEST_EIGENSPACE, self.problem.n - EQUATIONS)

    @cached_property
    def _spectrum(self) -> tuple[float, F64]:
        """The least cost that the least eigenvalue permits, and an orthonormal basis (n, d) of its eigenspace."""
        p = self.problem
        matrix, unit = np.zeros((p.n, p.n)), np.abs(p.pair_values).max()
        matrix[p.pair_rows, p.pair_cols] = matrix[p.pair_cols, p.pair_rows] = p.pair_values / unit
        values, vectors = np.linalg.eigh(matrix)
        is_least = values <= values[0] + SAME_EIGENVALUE * np.abs(values).max()
        return p.constant + 0.5 * float(values[0] * unit) * p.n, vectors[:, is_least]


def _odd_lattice(equations: I64) -> I64:
    """Basis (m + 1, m + 1 + e) of the vectors x (m,) with all entries even, or all odd, times LATTICE_UNIT.

    After x comes an even or an odd multiple of LATTICE_UNIT accordingly, then the values of x in the ``equations``
    (m, e).
    """
    m = len(equations)
    table = np.zeros((m + 1, m + 1 + equations.shape[1]), np.int64)
    table[:m, :m] = 2 * LATTICE_UNIT * np.eye(m, dtype=np.int64)
    table[:m, m + 1 :] = 2 * equations
    table[m, : m + 1] = LATTICE_UNIT
    table[m, m + 1 :] = equations.sum(axis=0)
    return table


def _signs_in(table: I64, part: F64, space: F64) -> Iterator[I8]:
    """Vectors (n,) of -1 and +1 in ``space`` (n, d), one for a row of ``table`` that is so as far as ``part`` goes."""
    size = len(part)
    for row in np.flatnonzero((np.abs(table[:, : size + 1]) == LATTICE_UNIT).all(axis=1)):
        s = np.rint(space @ np.linalg.lstsq(part, table[row, :size] / LATTICE_UNIT, rcond=None)[0])
        if np.all(np.abs(s) == 1.0):
            yield s.astype(np.int8)
