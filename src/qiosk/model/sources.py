"""What ``solve`` and solvers accept as a problem besides a ``Problem``, and what to do with anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qiosk.errors import InvalidValue, WrongType
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.model.matrix import terms_from_matrix

_BQM = "qiosk.interop.dimod.from_bqm(…), or sample it with qiosk.interop.dimod.QioskSampler()"
_ADVICE = {
    "dimod": _BQM,
    "pyqubo": "qiosk.interop.pyqubo.from_pyqubo(model.compile())",
    "cpp_pyqubo": "qiosk.interop.pyqubo.from_pyqubo(model.compile())",
    "qiskit_optimization": "qiosk.interop.qiskit.from_quadratic_program(…).problem()",
    "qubovert": "qiosk.interop.qubovert.from_qubovert(…)",
    "ommx": "qiosk.interop.ommx",
    "networkx": "a function of qiosk.interop.networkx, such as max_cut(graph)",
    "pandas": "its values: problem.to_numpy()",
}
"""How to convert what other libraries call a problem, by the package that its class is in."""
_DQM = "qiosk.interop.dimod.from_dqm(…).solve(), or QioskSampler().sample_dqm(…)"
_MODELS = {
    ("dimod", "ConstrainedQuadraticModel"): "qiosk.interop.dimod.from_cqm(…).solve(), or QioskSampler().sample_cqm(…)",
    ("dimod", "DiscreteQuadraticModel"): _DQM,
    ("dimod", "CaseLabelDQM"): _DQM,
}
"""The same for single classes, by their package and name."""


def cost_function_of(source: Any) -> CostFunction:
    """The cost function of what a caller gave as a problem.

    A ``CostFunction``; anything with a ``cost_function()``, such as a ``Problem`` or an encoded problem of ``interop``;
    a ``Model``; a QUBO, either as a dict of coefficients by (i, j) with integers i and j, or as a square matrix of
    NumPy or SciPy. Raises WrongType, which says how to convert anything else.
    """
    if isinstance(source, CostFunction):
        return source
    if isinstance(source, type):
        raise WrongType(f"problem: must be a Problem, found the class {source.__name__}; make an instance of it")
    found: CostFunction
    if hasattr(source, "cost_function"):
        found = source.cost_function()
        return found
    if callable(getattr(source, "problem", None)):  # a Model
        found = source.problem().cost_function()
        return found
    package = type(source).__module__.partition(".")[0]
    if isinstance(source, Mapping) and source and package not in _ADVICE:
        return _from_dict(source)
    if isinstance(source, np.ndarray) or (package == "scipy" and hasattr(source, "tocoo")):
        return _from_matrix(source)
    use = _MODELS.get((package, type(source).__name__), _ADVICE.get(package))
    advice = f"; use {use}" if use else ""
    raise WrongType(f"problem: must be a Problem, or have a cost_function(), found {type(source).__name__}{advice}")


def _from_matrix(matrix: Any) -> CostFunction:
    coefficients, indptr, ids = terms_from_matrix(matrix, None, 0.0, is_ising=False)
    if not np.isfinite(coefficients).all():
        raise InvalidValue("problem: the entries of a matrix must be finite numbers")
    return CostFunction(ProblemType.pubo, coefficients, indptr, ids)


def _from_dict(qubo: Mapping[Any, Any]) -> CostFunction:
    keys = [key if isinstance(key, tuple) else (key,) for key in qubo]
    for key in keys:
        if not all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) and i >= 0 for i in key):
            raise WrongType(
                f"problem: keys of a dict must be pairs (i, j) of integers of at least 0, found {key!r}; "
                f"for other labels use dimod.BinaryQuadraticModel.from_qubo(…) and {_BQM}"
            )
    try:
        coefficients = np.array(list(qubo.values()), np.float64)
    except (TypeError, ValueError) as error:
        raise WrongType(f"problem: the values of a dict must be numbers: {error}") from None
    if coefficients.ndim != 1 or not np.isfinite(coefficients).all():
        raise InvalidValue("problem: the values of a dict must be finite numbers")
    indptr = np.cumsum([0, *(len(key) for key in keys)], dtype=np.int64)
    return CostFunction(ProblemType.pubo, coefficients, indptr, np.array([i for key in keys for i in key], np.int64))
