"""Every term at its least."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from qiosk.bounds.bound import Proof
from qiosk.bounds.graph import SpinGraph
from qiosk.bounds.polynomial import Polynomial

METHOD, OF_SPINS = "trivial", "trivial-spins"


def trivial(terms: Polynomial) -> Proof:
    """Spins: minus the sizes of all values. Bits: all negative values."""
    level = -terms.size if terms.is_spin else int(np.minimum(terms.values, 0).sum())
    return Proof(method=METHOD, level=Fraction(level), scale=terms.scale, arrays={})


def trivial_of_graph(graph: SpinGraph) -> Proof:
    """Every coupling of spins at its least, which for bits can be more, and less."""
    return Proof(method=OF_SPINS, level=Fraction(graph.least), scale=graph.scale, arrays={})
