"""Small problems of all kinds, and their least costs by trying all configurations."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from qiosk.model.compile import compile_problem
from strategies import cost_function

WEIGHTS = {
    "equal": st.just(1),
    "units": st.integers(-1, 1),
    "few": st.integers(-3, 3),
    "many": st.integers(-(10**6), 10**6),
    "decades": st.builds(lambda k, sign: sign * 10**k, st.integers(0, 6), st.sampled_from([-1, 1])),
    "huge": st.sampled_from([2**52, -(2**52), 1, -1, 2**52 - 1]),
    "tiny": st.sampled_from([k * 2.0**-40 for k in (-3, -1, 1, 2)]),
    "far": st.sampled_from([2**53, -(2**53), 1, 2.0**-40, -(2.0**-40)]),
    "digits": st.sampled_from([0.6180339887498949, -0.7390851332151607, 0.5671432904097838, -0.26149721284764277]),
}


@st.composite
def problems(draw, locality=2, most=10):
    """Cost functions of up to ``most`` variables: sparse and dense, in parts, with fields or none, with zero rows."""
    n = draw(st.integers(0, most))
    sets = [s for k in range(2, locality + 1) for s in itertools.combinations(range(n), k)]
    chosen = draw(st.lists(st.sampled_from(sets), unique=True, max_size=3 * n)) if sets else []
    if draw(st.booleans()):
        chosen = sets[: 3 * n]
    weight = WEIGHTS[draw(st.sampled_from(sorted(WEIGHTS)))]
    fields = draw(st.booleans())
    terms = [(float(draw(weight)), ids) for ids in chosen]
    terms += [(float(draw(weight)) if fields else 0.0, [i]) for i in range(n)]
    return cost_function(draw(st.sampled_from(["ising", "pubo"])), [*terms, (float(draw(weight)), [])])


def least_cost(function):
    """By trying all configurations, in fractions."""
    problem = compile_problem(function)
    terms = [(Fraction(c), [i]) for i, c in enumerate(problem.linear.tolist())]
    terms += [
        (Fraction(c), [i, j])
        for i, j, c in zip(problem.pair_rows, problem.pair_cols, problem.pair_values.tolist(), strict=True)
    ]
    for t, c in enumerate(problem.term_values.tolist()):
        terms.append((Fraction(c), problem.term_variables[problem.term_indptr[t] : problem.term_indptr[t + 1]]))
    bits = np.arange(1 << problem.n)[:, None] >> np.arange(problem.n) & 1
    values = 1 - 2 * bits if problem.is_spin else bits
    total = np.zeros(len(values), object)
    for c, ids in terms:
        total = total + c * values[:, np.array(ids, np.int64)].prod(axis=1).astype(object)
    return Fraction(problem.constant) + Fraction(min(total))
