"""Which bounds suit a problem, and the search for them in small parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from qiosk.bounds import buckets, covering, elimination, factors, packing, semidefinite, triangles
from qiosk.bounds.bound import Bound, Proof
from qiosk.bounds.branch import tree
from qiosk.bounds.graph import SpinGraph, rounded_graph, spin_graph
from qiosk.bounds.polynomial import Polynomial, polynomial
from qiosk.bounds.trivial import METHOD as TRIVIAL
from qiosk.bounds.trivial import attains_every_term, trivial, trivial_of_graph
from qiosk.errors import InvalidValue
from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8
from qiosk.model.exact import ExactCosts
from qiosk.model.sources import cost_function_of
from qiosk.model.transforms.domain import multiplied_out, products_of_groups

AUTO, NONE = "auto", "none"
METHODS = (
    "trivial",
    elimination.METHOD,
    packing.METHOD,
    covering.METHOD,
    semidefinite.METHOD,
    triangles.METHOD,
    factors.METHOD,
    buckets.METHOD,
    tree.METHOD,
)
"""Names of the methods."""
SPARSE_DEGREE = 8.0
"""Mean number of neighbours up to which cycles are better than the semidefinite bound."""
CYCLES_DEGREE = 24.0
"""Mean number of neighbours up to which cycles come first where the semidefinite bound takes ``LATE_S``."""
LATE_S = 0.2
"""Time until the semidefinite bound proves anything that is long beside that of cycles, 0.1 s at most [s]."""
MOST_TERMS = 5_000_000
"""Terms of problems that get more than the trivial bound."""
MOST_PRODUCTS = 2_000_000
"""Products that squared linear combinations are multiplied out to; else each is bounded alone."""
MOST_ELIMINATED = 50_000
"""Terms of problems of which the width is looked at."""

Steps = Iterator[Proof | None]


class Bounder:
    """Searches for lower bounds on the cost of one problem, a part of the work with every call of ``step``.

    ``seconds`` is the time spent so far, ``best`` the best bound so far, which is the trivial one at first. The same
    seed gives the same bounds after the same number of steps. ``known`` may be set to the best configuration (n,) that
    others have found: it is where branch and bound begins.
    """

    def __init__(
        self, problem: CompiledProblem, method: str = AUTO, seed: int = 0, effort: elimination.Effort | None = None
    ) -> None:
        check_method(method)
        self.whole = problem
        self.problem = problem
        if 0 < products_of_groups(problem) <= MOST_PRODUCTS:
            self.problem = multiplied_out(problem)
        self.method = method
        self._effort = effort or elimination.Effort()
        self.seed = seed
        self.is_done = False
        self.known: I8 | None = None
        self._of_squares: Proof | None = None
        began = time.perf_counter()
        self._best = self._trivial(method)
        self._steps = self._chosen(method)
        self.seconds = time.perf_counter() - began
        self._bound = self._bound_of(self._best)

    @cached_property
    def terms(self) -> Polynomial:
        """The problem in integers."""
        return polynomial(self.problem)

    @cached_property
    def _costs(self) -> ExactCosts:
        return ExactCosts(self.problem)

    @cached_property
    def _graph(self) -> SpinGraph:
        return spin_graph(self.problem)

    @cached_property
    def _rounded(self) -> SpinGraph:
        """The graph with weights of which float64 holds the sum."""
        return rounded_graph(self.problem, self._graph)

    @property
    def _dense(self) -> SpinGraph:
        """The graph with weights that float64 holds, unless there are none."""
        return self._graph if semidefinite.is_suited(self._graph) else self._rounded

    @property
    def best(self) -> Bound:
        """The best bound so far."""
        return self._bound

    def cost(self, x: I8) -> Fraction:
        """The exact cost of a configuration (n,) of a problem whose squared linear combinations are multiplied out."""
        return self._costs.of(x) if self.terms.scale.error else self.terms.scale.cost(self.terms.level(x))

    def is_attained(self, x: I8, least: Fraction | None = None) -> bool:
        """Whether a configuration (n,) costs exactly as much as a bound, by default the best: it is optimal then."""
        if len(self.problem.group_values):  # too large to be multiplied out
            return False
        if self.terms.scale.error and self._best.method == TRIVIAL:
            return attains_every_term(self.problem, x)
        return self.cost(x) == (self._best.least if least is None else least)

    def take(self, proof: Proof) -> bool:
        """Take what was proved elsewhere; returns whether the bound became better."""
        if proof.least <= self._best.least:
            return False
        self._best = proof
        self._bound = self._bound_of(proof)
        return True

    def step(self) -> bool:
        """A part of the work, mostly some 20 ms; returns whether the bound became better."""
        if self.is_done:
            return False
        began = time.perf_counter()
        proof = None
        try:
            proof = next(self._steps)
        except StopIteration:
            self.is_done = True
        self.seconds += time.perf_counter() - began
        return proof is not None and self.take(proof)

    def _bound_of(self, proof: Proof) -> Bound:
        """Without a certificate where squares are bounded one by one, which no checker repeats."""
        found = Bound.of(proof, self.seconds)
        return replace(found, certificate={}) if proof is self._of_squares or len(self.problem.group_values) else found

    def _trivial(self, method: str) -> Proof:
        proof = trivial(self.terms)
        if self.problem is not self.whole:
            self._of_squares = trivial(polynomial(self.whole))
            proof = max(proof, self._of_squares, key=lambda each: each.least)
        is_small = self.problem.is_quadratic and not self.problem.is_spin and len(self.terms.values) <= MOST_TERMS
        if method == NONE or not is_small:
            return proof
        other = trivial_of_graph(self._graph)
        return other if other.least > proof.least else proof

    def _chosen(self, method: str) -> Steps:
        if method in (NONE, "trivial"):
            return iter(())
        if method == AUTO:
            return self._suited()
        if method == elimination.METHOD:
            return elimination.elimination(self.terms)
        if method == factors.METHOD:
            return factors.diffusion(self.terms)
        if method == buckets.METHOD:
            return buckets.mini_buckets(self.terms)
        if not self.problem.is_quadratic:
            raise InvalidValue(
                f"bound {method!r}: is for quadratic problems, and squared linear combinations of at most "
                f"{MOST_PRODUCTS} products"
            )
        return self._of_graph(method)

    def _of_graph(self, method: str) -> Steps:
        if method == tree.METHOD:
            return self._branched() if len(self._graph.weights) else iter(())
        if method in (semidefinite.METHOD, triangles.METHOD):
            if self._graph.vertices > semidefinite.MOST_VERTICES:
                raise InvalidValue(
                    f"bound {method!r}: is for at most {semidefinite.MOST_VERTICES} variables, found "
                    f"{self._graph.vertices}"
                )
            bounds = semidefinite.semidefinite if method == semidefinite.METHOD else triangles.with_triangles
            return bounds(self._dense, self.seed)
        if method == covering.METHOD:
            if not covering.is_installed():
                raise InvalidValue(f"bound {method!r}: needs highspy; install qiosk[lp]")
            return covering.covering(self._graph, self.seed)
        return packing.packing(self._graph, self.seed)

    def _branched(self) -> Steps:
        from qiosk.bounds.branch.choice import relaxation_of

        def known() -> I8 | None:
            return self.known if self.known is None or is_spin else (1 - 2 * self.known).astype(np.int8)

        is_spin, relaxation = self.problem.is_spin, relaxation_of(self._graph, self.seed, lambda: self._rounded)
        for proof in tree.branched(relaxation, known):
            if proof is not None and proof.configuration is not None and not is_spin:
                proof = replace(proof, configuration=((1 - proof.configuration) // 2).astype(np.int8))
            yield proof

    def _suited(self) -> Steps:
        """The exact minimum where that is cheap, else what suits the size and the density."""
        count = len(self.terms.values)
        if count == 0 or count > MOST_TERMS:
            return
        if count <= MOST_ELIMINATED and not elimination.is_wide(self.terms, self._effort.width):
            for proof in elimination.elimination(self.terms, self._effort):
                yield proof
                if proof is not None:
                    return
        if not self.problem.is_quadratic:
            yield from buckets.mini_buckets(self.terms)
            return
        graph = self._graph
        if not len(graph.weights):
            return
        is_sparse = 2 * len(graph.weights) <= SPARSE_DEGREE * graph.vertices
        if not is_sparse and graph.vertices <= semidefinite.MOST_VERTICES:
            if has_cycles_first(graph.vertices, len(graph.weights)):
                yield from packing.first_packing(graph, self.seed)
            yield from triangles.with_triangles(self._dense, self.seed)
        elif covering.is_installed() and len(graph.weights) <= covering.MOST_EDGES:
            yield from covering.covering(graph, self.seed)
        else:
            yield from packing.packing(graph, self.seed)


def has_cycles_first(vertices: int, edges: int) -> bool:
    """Whether ``auto`` proves something with cycles before the semidefinite bound, which is better but takes longer."""
    return 2 * edges <= CYCLES_DEGREE * vertices and semidefinite.first_seconds(vertices, edges) > LATE_S


def check_method(method: Any) -> None:
    """Raise InvalidValue unless there is a method of this name, or it is ``auto`` or ``none``."""
    names = (AUTO, NONE, *METHODS)
    if method not in names:
        raise InvalidValue(f"bound: must be one of {', '.join(names)}, found {method!r}")


def bound(
    problem: Any,
    method: str = AUTO,
    *,
    seconds: float = 10.0,
    seed: int = 0,
    is_enough: Callable[[Bound], bool] = lambda found: False,
) -> Bound:
    """A lower bound on the cost of every configuration of a problem.

    Args:
        problem: in any form that :func:`qiosk.solve` takes.
        method: ``auto`` chooses by size and density; else one of ``qiosk.bounds.METHODS``.
        seconds: when to stop looking for a better one [s]; parts of the work that have begun are ended.
        seed: any integer; the same seed gives the same bound, unless the time is over before.
        is_enough: is called with the trivial bound and every better one, and returns whether to stop.

    Raises:
        InvalidValue: no such method, or it is not for problems like this one.

    The references are at the modules of the methods; ``docs/bounds.md`` says when which is chosen.

    >>> from qiosk.bounds import bound
    >>> bound({(0, 0): -1, (0, 1): 3, (1, 1): -2}).value
    -2.0
    """
    bounder = Bounder(compile_problem(cost_function_of(problem)), method, seed)
    is_over = is_enough(bounder.best)
    while not is_over and not bounder.is_done and bounder.seconds < seconds:
        is_over = bounder.step() and is_enough(bounder.best)
    return bounder.best
