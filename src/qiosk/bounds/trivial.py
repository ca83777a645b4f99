"""Every term at its least."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from qiosk.bounds.bound import Proof
from qiosk.bounds.graph import SpinGraph
from qiosk.bounds.polynomial import Polynomial
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8

METHOD, OF_SPINS = "trivial", "trivial-spins"


def trivial(terms: Polynomial) -> Proof:
    """Spins: minus the sizes of all values. Bits: all negative values."""
    level = -terms.size if terms.is_spin else int(np.minimum(terms.values, 0).sum())
    return Proof(method=METHOD, level=Fraction(level), scale=terms.scale, arrays={})


def trivial_of_graph(graph: SpinGraph) -> Proof:
    """Every coupling of spins at its least, which for bits can be more, and less."""
    return Proof(method=OF_SPINS, level=Fraction(graph.least), scale=graph.scale, arrays={})


def attains_every_term(problem: CompiledProblem, x: I8) -> bool:
    """Whether a configuration (n,) has every term at its least, so that none costs less, whatever the coefficients."""
    p = problem
    if len(p.group_values):
        return False

    def is_least(values: F64, products: I8) -> bool:
        return not np.any(values * products > np.minimum(values, -values if p.is_spin else 0.0))

    if not is_least(p.linear, x):
        return False
    if not all(is_least(values, x[rows] * x[cols]) for rows, cols, values in p.pair_blocks()):
        return False
    if not len(p.term_values):
        return True
    return is_least(p.term_values, np.multiply.reduceat(x[p.term_variables], p.term_indptr[:-1]))
