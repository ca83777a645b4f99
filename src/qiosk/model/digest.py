"""A digest of the content of a problem."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike

from qiosk.model.cost_function import CostFunction


def problem_digest(cost_function: CostFunction) -> str:
    """``sha256:`` and the digest of a problem's type, its terms in their order, and its initial configuration.

    It does not depend on the format of the file that the problem was read from, nor on the types of its columns; names
    and metadata do not count.

    >>> from qiosk.model.digest import problem_digest
    >>> from qiosk.optimization import Problem, Term
    >>> pair = Problem("pair", terms=[Term(c=1, indices=[0, 1])])
    >>> same = Problem.deserialize(pair.serialize())
    >>> problem_digest(pair.cost_function()) == problem_digest(same.cost_function())
    True
    """
    groups = cost_function.groups
    found = hashlib.sha256(f"qiosk problem 1 {cost_function.problem_type}".encode())

    def add(values: ArrayLike, dtype: str) -> None:
        found.update(np.ascontiguousarray(values, dtype).data)

    add([cost_function.n_terms, len(groups)], "<i8")
    for block in cost_function.blocks():
        add(block.coefficients, "<f8")
        add(np.diff(block.indptr), "<i8")
        add(block.ids, "<i8")
    add(groups.coefficients, "<f8")
    add(groups.indptr, "<i8")
    add(groups.weights, "<f8")
    add(groups.ids, "<i8")
    add(sorted((cost_function.initial_configuration or {}).items()), "<i8")
    return f"sha256:{found.hexdigest()}"
