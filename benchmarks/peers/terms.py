"""Terms of any locality as lists, which is how peers take them."""

from __future__ import annotations

import numpy as np

from qiosk.model.compiled import CompiledProblem


def term_lists(problem: CompiledProblem) -> tuple[list[list[int]], list[float]]:
    """Variables and coefficient of every term but the constant; squared linear combinations are not among them."""
    linear = np.flatnonzero(problem.linear)
    keys = [[i] for i in linear.tolist()]
    keys += [list(pair) for pair in zip(problem.pair_rows.tolist(), problem.pair_cols.tolist(), strict=True)]
    bounds, members = problem.term_indptr.tolist(), problem.term_variables.tolist()
    keys += [members[bounds[t] : bounds[t + 1]] for t in range(len(problem.term_values))]
    values = np.concatenate([problem.linear[linear], problem.pair_values, problem.term_values])
    return keys, values.tolist()
