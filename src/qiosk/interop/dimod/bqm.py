"""Problems from binary quadratic models and polynomials of dimod, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from qiosk.errors import InvalidValue, extra
from qiosk.interop.labels import Encoded, from_polynomial, labeled, to_polynomial
from qiosk.problem import Problem, ProblemType

with extra("dimod", "qiosk.interop.dimod"):
    import dimod


def from_bqm(bqm: Any, name: str = "binary quadratic model") -> Encoded[dict[Any, int]]:
    """A problem from a BinaryQuadraticModel, over its own spins or bits; ``decode`` returns values by label.

    >>> import dimod, qiosk
    >>> from qiosk.interop.dimod import from_bqm
    >>> encoded = from_bqm(dimod.BinaryQuadraticModel({"a": 1}, {("a", "b"): -2}, 0, "SPIN"))
    >>> encoded.decode(qiosk.solve(encoded, timeout=1))
    {'a': -1, 'b': -1}
    """
    linear, (rows, cols, values), offset, labels = bqm.to_numpy_vectors(return_labels=True)
    problem = Problem(name, problem_type=_problem_type(bqm.vartype))
    n, pairs = len(linear), len(values)
    problem.add_terms(
        coefficients=np.concatenate([[float(offset)], linear, values]).astype(np.float64),
        ids=np.concatenate([np.arange(n), np.stack([rows, cols], axis=1).ravel()]).astype(np.int64),
        indptr=np.cumsum(np.repeat([0, 0, 1, 2], [1, 1, n, pairs]), dtype=np.int64),
    )
    return labeled(problem, list(labels))


def to_bqm(problem: Problem) -> Any:
    """The BinaryQuadraticModel of a problem; its labels are the ids. Raises InvalidValue for terms above degree 2.

    >>> from qiosk import Problem
    >>> from qiosk.interop.dimod import to_bqm
    >>> problem = Problem("two spins")
    >>> problem.add_term(c=-2, indices=[0, 1])
    >>> bqm = to_bqm(problem)
    >>> bqm.vartype.name, {pair: float(c) for pair, c in bqm.quadratic.items()}
    ('SPIN', {(1, 0): -2.0})
    """
    terms, is_ising = to_polynomial(problem)
    bqm = dimod.BinaryQuadraticModel(dimod.SPIN if is_ising else dimod.BINARY)
    for ids, c in terms.items():
        match ids:
            case ():
                bqm.offset += c
            case (i,):
                bqm.add_linear(i, c)
            case (i, j):
                bqm.add_quadratic(i, j, c)
            case _:
                raise InvalidValue(f"problem: terms must have at most 2 variables for a model, found {len(ids)}")
    return bqm


def from_binary_polynomial(poly: Any, name: str = "binary polynomial") -> Encoded[dict[Any, int]]:
    """A problem from a BinaryPolynomial of any degree; ``decode`` returns values by label.

    >>> import dimod, qiosk
    >>> from qiosk.interop.dimod import from_binary_polynomial
    >>> encoded = from_binary_polynomial(dimod.BinaryPolynomial({"abc": -1, "a": 0.5, "b": 0.25}, "SPIN"))
    >>> encoded.decode(qiosk.solve(encoded, timeout=1))
    {'a': -1, 'b': -1, 'c': 1}
    """
    is_ising = _problem_type(poly.vartype).is_ising
    # keys are sets, whose order differs between processes: without sorting, a seed would not determine the result
    terms = {tuple(sorted(key, key=str)): c for key, c in poly.items()}
    return from_polynomial(terms, is_ising=is_ising, name=name)


def to_binary_polynomial(problem: Problem) -> Any:
    """The BinaryPolynomial of a problem; its labels are the ids.

    >>> from qiosk import Problem
    >>> from qiosk.interop.dimod import to_binary_polynomial
    >>> problem = Problem("three spins")
    >>> problem.add_term(c=-1, indices=[0, 1, 2])
    >>> float(to_binary_polynomial(problem).energy({0: 1, 1: 1, 2: -1}))
    1.0
    """
    terms, is_ising = to_polynomial(problem)
    return dimod.BinaryPolynomial(terms, dimod.SPIN if is_ising else dimod.BINARY)


def _problem_type(vartype: Any) -> ProblemType:
    return ProblemType.ising if vartype is dimod.SPIN else ProblemType.pubo
