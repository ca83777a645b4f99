"""A semidefinite bound, for dense problems of up to some thousand variables.

In place of spins there are unit vectors v_i, and the least sum of w_ij v_i.v_j is found by leading each vector to where
its couplings pull it. That value is no bound, since its distance from the least is unknown. Its dual is one: with
M = W + Diag(y), where W is the symmetric matrix of the couplings, and every spin vector s

    2 sum_ij w_ij s_i s_j = s'Ws = s'Ms - sum y  >=  - sum y     if M is positive semidefinite.

y_i = |sum_j w_ij v_j| is nearly so, and adding minus its least eigenvalue to all makes it so. The proof is a Cholesky
factorization of M - cI in float64 that runs through, with c as large as its rounding can be (Rump). So no computed
eigenvalue is trusted. Large matrices are not left to a BLAS: its threads would make a search wait on a busy machine,
and its results depend on them.

References: P.-W. Wang, W.-C. Chang, J. Z. Kolter, doi:10.48550/arXiv.1706.00476 (mixing method); S. M. Rump, BIT Numer.
Math. 46, 433 (2006), doi:10.1007/s10543-006-0056-1.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.bounds.bound import Proof
from qiosk.bounds.graph import SpinGraph, spin_graph
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I32, I64

METHOD = "sdp"
SPEED = 3e9
"""Operations in a second, about."""
MOST_VERTICES = 4000
"""Rows of the largest matrix: some 400 MB with its factor, and 3 s for a factorization."""
LARGEST_WEIGHT = 2**53
"""Weights below this are exact in float64."""
WORK = 50_000_000
"""Multiplications before the caller is asked whether to go on; some 20 ms."""
STAGES: tuple[tuple[Any, float, int], ...] = (
    (np.float32, 1e-5, 500),
    (np.float32, 1e-7, 1500),
    (np.float64, 1e-11, 300),
)
"""Arithmetic of the sweeps, the change of the sum of y in one, as a share of it, at which they end, and sweeps at most.
A proof follows each."""
SWEEPS_BETWEEN = 10
"""Sweeps from one look at the sum of y to the next."""
EPSILON = 2.0**-53
MOST_TRIES = 40
"""Factorizations that are tried until one runs through; each time four times as much is added to y."""
LANCZOS_STEPS = 80
DENSE_SPECTRUM = 40
"""Rows of a matrix up to which all of its eigenvalues are computed."""


@dataclass(slots=True, eq=False)
class Couplings:
    """Couplings of the vertices that have any, without the others, in float64: exact."""

    places: I64  # (n,) the vertices
    rows: I64  # (E,)
    cols: I64  # (E,)
    weights: F64  # (E,)

    @property
    def n(self) -> int:
        """Vertices."""
        return len(self.places)

    def matrix(self) -> F64:
        """(n, n) symmetric, with zeros on the diagonal."""
        matrix = np.zeros((self.n, self.n))
        matrix[self.rows, self.cols] = self.weights
        matrix[self.cols, self.rows] = self.weights
        return matrix

    def adjacency(self) -> tuple[I64, I32, F64]:
        """CSR: indptr (n + 1,), neighbours and weights (2 E,)."""
        ends = np.concatenate([self.rows, self.cols])
        others = np.concatenate([self.cols, self.rows]).astype(np.int32)
        weights = np.concatenate([self.weights, self.weights])
        order = np.argsort(ends, kind="stable")
        indptr = np.zeros(self.n + 1, np.int64)
        np.cumsum(np.bincount(ends, minlength=self.n), out=indptr[1:])
        return indptr, others[order], weights[order]


def is_suited(graph: SpinGraph) -> bool:
    """Whether the matrix is small enough, and its entries are exact in float64."""
    is_small = len(graph.weights) > 0 and graph.vertices <= MOST_VERTICES
    return is_small and int(np.abs(graph.weights).max()) < LARGEST_WEIGHT


def first_seconds(vertices: int, edges: int) -> float:
    """About the time of the first proof [s]."""
    return (vertices**3 / 3 + 2 * edges * math.sqrt(2 * vertices) * 60) / SPEED


def couplings_of(graph: SpinGraph) -> Couplings:
    """The couplings of a graph."""
    places, where = np.unique(np.concatenate([graph.rows, graph.cols]), return_inverse=True)
    m = len(graph.weights)
    return Couplings(places, where[:m], where[m:], graph.weights.astype(np.float64))


def semidefinite(graph: SpinGraph, seed: int) -> Iterator[Proof | None]:
    """Yields None between parts of the work, and each proof that is better than the one before."""
    if not is_suited(graph):
        return
    couplings = couplings_of(graph)
    mixing, best = Mixing(couplings, seed), None
    for dtype, tolerance, most in STAGES:
        yield from mixing.run(dtype, tolerance, most)
        y = yield from repaired(couplings.matrix(), mixing.pulls, seed)
        if y is None:
            continue
        proof = proof_of(graph, couplings, y)
        if best is None or proof.level > best:
            best = proof.level
            yield proof


def eigenvalue_proof(problem: CompiledProblem) -> Proof | None:
    """What the least eigenvalue of the couplings proves: all y are the same; None where that is not proved."""
    graph = spin_graph(problem) if problem.is_quadratic else None
    if graph is None or not is_suited(graph):
        return None
    couplings = couplings_of(graph)
    steps = repaired(couplings.matrix(), np.zeros(couplings.n), 0)
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            y = ended.value
            return None if y is None else proof_of(graph, couplings, y)


def proof_of(graph: SpinGraph, couplings: Couplings, y: F64) -> Proof:
    """What a feasible y (n,) proves."""
    level = graph.constant - sum(map(Fraction, y.tolist()), Fraction(0)) / 2
    return Proof(
        method=METHOD,
        level=graph.rounded_up(level),
        scale=graph.scale,
        arrays={"vertices": couplings.places.astype(np.int32), "y": y},
    )


class Mixing:
    """Unit vectors (n, d) for the vertices, and how strongly each is pulled (n,)."""

    def __init__(self, couplings: Couplings, seed: int) -> None:
        self.indptr, self.others, self.weights = couplings.adjacency()
        n = couplings.n
        d = -(-(math.isqrt(2 * n) + 1) // 8) * 8
        vectors = np.random.default_rng((seed % 2**64, 0xB2)).normal(size=(n, d))
        self.vectors: NDArray[Any] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        self.pulls = np.zeros(n)

    def run(self, dtype: Any, tolerance: float, most: int) -> Iterator[None]:
        """Sweeps until the sum of the pulls changes by less than ``tolerance`` in one."""
        before = 0.0
        self.vectors, weights = self.vectors.astype(dtype), self.weights.astype(dtype)
        for sweep in range(most):
            yield from self._sweep(weights)
            if sweep % SWEEPS_BETWEEN == 0:
                total = float(self.pulls.sum())
                if abs(total - before) <= SWEEPS_BETWEEN * tolerance * total:
                    return
                before = total

    def _sweep(self, weights: NDArray[Any]) -> Iterator[None]:
        from qiosk.kernels.bounds.mixing import mix_vectors

        mix, (n, d), first, work = mix_vectors(), self.vectors.shape, 0, 0
        pull = np.empty(d, self.vectors.dtype)
        while first < n:
            end = int(np.searchsorted(self.indptr, self.indptr[first] + WORK // d, side="right")) - 1
            last = min(n, max(first + 1, end))
            mix(self.indptr, self.others, weights, self.vectors, self.pulls, pull, first, last)
            work += int(self.indptr[last] - self.indptr[first]) * d
            first = last
            yield


def repaired(matrix: F64, y: F64, seed: int) -> Generator[None, None, F64 | None]:
    """y (n,) with as little added as makes matrix + Diag(y) provably positive semidefinite.

    ``matrix`` (n, n) has zeros on its diagonal, which is changed. None if it is not proved at last.
    """
    n = len(y)
    diagonal = np.einsum("ii->i", matrix)
    diagonal[:] = y
    least = yield from _least_eigenvalue(matrix, seed)
    shift = max(0.0, -least)
    extra = 4.0 * _margin(n, float(np.sum(y)) + n * shift) + np.finfo(np.float64).tiny
    for _ in range(MOST_TRIES):
        candidate: F64 = y + (shift + extra)
        diagonal[:] = candidate
        if (yield from is_proved(matrix)):
            return candidate
        extra *= 4.0
    return None


def is_proved(matrix: F64) -> Generator[None, None, bool]:
    """Whether a symmetric matrix (n, n), exact as it is, is proved positive semidefinite; n**3 / 3 operations."""
    from qiosk.kernels.bounds.factor import factor_rows

    diagonal = np.diag(matrix)
    if np.any(diagonal < 0.0):
        return False
    n, shifted = len(matrix), matrix.copy()
    np.einsum("ii->i", shifted)[:] = np.nextafter(diagonal - _margin(n, math.fsum(diagonal)), -np.inf)
    factor, row = factor_rows(), 0
    while row < n:
        last, work = row, 0
        while last < n and work < WORK:
            work += last * (n - last) + n
            last += 1
        if factor(shifted, row, last) < last:
            return False
        row = last
        yield
    return True


def warm_up() -> None:
    """Compile, or load, what a proof takes."""
    for _ in is_proved(np.eye(2)):
        pass


def _margin(n: int, trace: float) -> float:
    """What rounding in a Cholesky factorization of so many rows can amount to in an eigenvalue, at most."""
    gamma = (n + 1) * EPSILON / (1.0 - (n + 1) * EPSILON)
    return 1.01 * gamma / (1.0 - gamma) * trace + n * 1e-300


def _least_eigenvalue(matrix: F64, seed: int) -> Generator[None, None, float]:
    """About the least eigenvalue; for large matrices by the method of Lanczos, less what it may be off."""
    n = len(matrix)
    if n <= DENSE_SPECTRUM:
        return float(np.linalg.eigvalsh(matrix)[0])
    steps_at_most = min(LANCZOS_STEPS, n - 1)
    basis = np.zeros((steps_at_most + 1, n))
    alphas, betas = np.zeros(steps_at_most), np.zeros(steps_at_most)
    vector = np.random.default_rng((seed % 2**64, 0xB3)).normal(size=n)
    basis[0] = vector / np.linalg.norm(vector)
    size = float(np.abs(matrix).max())
    for k in range(steps_at_most):
        product = np.einsum("ij,j->i", matrix, basis[k])
        alphas[k] = float((product * basis[k]).sum())
        for _ in range(2):
            product -= np.einsum("kj,k->j", basis[: k + 1], np.einsum("kj,j->k", basis[: k + 1], product))
        betas[k] = float(np.linalg.norm(product))
        if betas[k] <= 1e-13 * size:
            break
        basis[k + 1] = product / betas[k]
        yield
    steps = k + 1
    values, vectors = np.linalg.eigh(
        np.diag(alphas[:steps]) + np.diag(betas[: steps - 1], 1) + np.diag(betas[: steps - 1], -1)
    )
    return float(values[0] - betas[steps - 1] * abs(vectors[-1, 0]))
