"""Binary quadratic models, as dwave-samplers takes and returns them."""

from __future__ import annotations

import dimod
import numpy as np

from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8


def binary_model(problem: CompiledProblem) -> dimod.BinaryQuadraticModel:
    """The problem over variables 0..n-1, in that order, without its constant."""
    pairs = problem.pair_rows, problem.pair_cols, problem.pair_values
    vartype = dimod.SPIN if problem.is_spin else dimod.BINARY
    return dimod.BinaryQuadraticModel.from_numpy_vectors(problem.linear, pairs, 0.0, vartype)


def in_order(found: dimod.SampleSet) -> I8:
    """Samples (R, n), columns by variable."""
    return np.asarray(found.record.sample, np.int8)[:, np.argsort(np.array(found.variables))]
