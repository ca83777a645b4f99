"""dimod: ``QioskSampler``, and conversion of models in both directions. Needs ``pip install qiosk[dimod]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qiosk.client.job import DEFAULT_TIMEOUT_S
from qiosk.client.solvers import Solver
from qiosk.client.workspace import Workspace
from qiosk.errors import InvalidValue, extra
from qiosk.interop.labels import Encoded, configuration_of, from_polynomial, labeled, to_polynomial
from qiosk.problem import Problem, ProblemType
from qiosk.solvers.solve import solve
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET, target

with extra("dimod", "qiosk.interop.dimod"):
    import dimod

_SOLVE_OPTIONS = ("timeout", "seed", "number_of_solutions")


class QioskSampler(dimod.Sampler, dimod.PolySampler):  # type: ignore[misc]
    """Samples binary quadratic models, and polynomials of any degree, with a solver of Qiosk.

    ``sample(model, timeout=…, seed=…, number_of_solutions=…, **parameters)`` returns at most ``number_of_solutions``
    distinct samples (1 by default), best first. ``timeout`` is in seconds; other parameters are those of the target.

    Args:
        solver: target name; the default is parameter-free.
        workspace: workspace in which to run jobs; None runs the solver in this process.

    Raises InvalidTarget for an unknown solver.

    >>> import dimod
    >>> from qiosk.interop.dimod import QioskSampler
    >>> bqm = dimod.BinaryQuadraticModel({"a": 1}, {("a", "b"): -2}, 0, "SPIN")
    >>> sample = QioskSampler().sample(bqm, timeout=1).first
    >>> {label: int(value) for label, value in sample.sample.items()}, float(sample.energy)
    ({'a': -1, 'b': -1}, -3.0)
    """

    def __init__(self, solver: str = DEFAULT_TARGET, *, workspace: Workspace | None = None) -> None:
        self._target = target(solver)
        self._workspace = workspace

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Keyword arguments of ``sample``, each with the names of the properties that concern it."""
        names = [parameter.name for parameter in self._target.parameters]
        return {name: ["solver"] for name in dict.fromkeys((*_SOLVE_OPTIONS, *names))}

    @property
    def properties(self) -> Mapping[str, Any]:
        """The properties of the sampler: its target."""
        return {"solver": self._target.id}

    def sample(self, bqm: Any, **parameters: Any) -> Any:
        """Samples of a binary quadratic model, as a SampleSet. Raises as :func:`qiosk.solve`."""
        self._target.check_names(parameters, also=_SOLVE_OPTIONS)
        if not bqm.num_variables:
            return dimod.SampleSet.from_samples_bqm([], bqm)
        samples, order, info = self._samples(from_bqm(bqm), parameters)
        return dimod.SampleSet.from_samples_bqm((samples, order), bqm, info=info)

    def sample_poly(self, poly: Any, **parameters: Any) -> Any:
        """Samples of a BinaryPolynomial, as a SampleSet. Raises as :meth:`sample`."""
        self._target.check_names(parameters, also=_SOLVE_OPTIONS)
        if not poly.variables:
            return dimod.SampleSet.from_samples([], energy=[], vartype=poly.vartype)
        samples, order, info = self._samples(from_binary_polynomial(poly), parameters)
        energies = poly.energies((samples, order))
        return dimod.SampleSet.from_samples((samples, order), energy=energies, vartype=poly.vartype, info=info)

    def _samples(
        self, encoded: Encoded[dict[Any, int]], parameters: Mapping[str, Any]
    ) -> tuple[list[list[int]], list[Any], dict[str, Any]]:
        """Rows of values, the labels of their columns, and information on the run."""
        configurations, info = self._run(encoded.problem, dict(parameters))
        decoded = [encoded.decode(configuration) for configuration in configurations]
        order = list(decoded[0])
        return [[row[label] for label in order] for row in decoded], order, info

    def _run(self, problem: Problem, parameters: dict[str, Any]) -> tuple[list[dict[int, int]], dict[str, Any]]:
        given = {name: value for name, value in parameters.items() if value is not None}
        if self._workspace is None:
            result = solve(problem, self._target.id, **given)
            found = [solution.configuration for solution in result.solutions]
            return found, {"parameters": dict(result.parameters), "stop_reason": result.stop_reason}
        solver = Solver(self._workspace, self._target.id, params=self._target.in_own_units(given))
        job = solver.submit(problem)
        timeout = given.get("timeout")
        results = job.get_results(timeout_secs=None if timeout is None else timeout + DEFAULT_TIMEOUT_S)
        found = [configuration_of(solution["configuration"]) for solution in results["solutions"]]
        return found, {"parameters": results.parameters, "job_id": job.id}


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
