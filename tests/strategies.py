"""Hypothesis strategies for problems, and a plain way to write one down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from qiosk.model.cost_function import CONSTANT, CostFunction, Groups, ProblemType

Terms = Sequence[tuple[float, Sequence[int]]]
GroupTerms = Sequence[tuple[float, Sequence[tuple[float, int | None]]]]

ids = st.one_of(st.integers(0, 4), st.sampled_from([7, 100, 10**6, 2**40, 2**63 - 1]))
integers = st.integers(-9, 9).map(float)
reals = st.floats(-1e3, 1e3, allow_subnormal=False)


def cost_function(kind: ProblemType | str, terms: Terms, groups: GroupTerms = ()) -> CostFunction:
    """The cost function of terms (c, ids) and groups (c, [(weight, id or None), ...])."""
    return CostFunction(
        ProblemType(kind),
        np.array([c for c, _ in terms], np.float64),
        np.cumsum([0, *(len(i) for _, i in terms)], dtype=np.int64),
        np.array([i for _, some in terms for i in some], np.int64),
        Groups(
            np.array([c for c, _ in groups], np.float64),
            np.cumsum([0, *(len(m) for _, m in groups)], dtype=np.int64),
            np.array([w for _, members in groups for w, _ in members], np.float64),
            np.array([CONSTANT if i is None else i for _, members in groups for _, i in members], np.int64),
        ),
    )


@st.composite
def cost_functions(
    draw: st.DrawFn, coefficients: st.SearchStrategy[float] = integers, max_terms: int = 8
) -> CostFunction:
    """Problems of all types, up to 10 variables, locality up to 5; repeated ids in PUBO."""
    kind = draw(st.sampled_from(ProblemType))
    members = st.lists(ids, max_size=5, unique=kind.is_ising)
    terms = draw(st.lists(st.tuples(coefficients, members), max_size=max_terms))
    if not kind.is_grouped:
        return cost_function(kind, terms)
    member = st.tuples(coefficients, st.none() | ids)
    group = st.tuples(coefficients, st.lists(member, max_size=4, unique_by=lambda m: m[1]))
    return cost_function(kind, terms, draw(st.lists(group, max_size=3)))
