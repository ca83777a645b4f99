"""dimod: ``QioskSampler``, and conversion of models in both directions. Needs ``pip install qiosk[dimod]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qiosk.client.job import DEFAULT_TIMEOUT_S, Job
from qiosk.client.solvers import Solver
from qiosk.client.workspace import Workspace
from qiosk.errors import InvalidValue, extra
from qiosk.interop.labels import Encoded, configuration_of, from_polynomial, labeled, to_polynomial
from qiosk.problem import Problem, ProblemType
from qiosk.solvers.solve import solve
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET, target
from qiosk.solvers.targets.parameters import SEED, TIMEOUT, integer

with extra("dimod", "qiosk.interop.dimod"):
    import dimod

SOLUTIONS_EACH = 10
"""Most samples of one run: the largest ``number_of_solutions``."""

_SOLVE_OPTIONS = ("timeout", "seed", "number_of_solutions")
_OCEAN_OPTIONS = ("num_reads", "initial_states", "time_limit", "label")
_OCEAN_NAMES = {"time_limit": "timeout", "num_sweeps": "sweeps"}
_NUM_READS = integer("num_reads", low=1, high=100_000, meaning="samples")

Found = tuple[list[tuple[float, dict[int, int]]], dict[str, Any]]
"""What a run found: costs and configurations, best first; and information on the run."""


class QioskSampler(dimod.Sampler, dimod.PolySampler):  # type: ignore[misc]
    """Samples binary quadratic models, and polynomials of any degree, with a solver of Qiosk.

    ``sample(model, timeout=…, seed=…, number_of_solutions=…, **parameters)`` returns at most ``number_of_solutions``
    distinct samples (1 by default), best first. ``timeout`` is in seconds; other parameters are those of the target.

    Arguments of Ocean's samplers: ``num_reads`` asks for so many samples; ten of them come from each of several runs,
    which share the time limit. ``initial_states`` are samples to begin from, ``time_limit`` [s] means ``timeout``,
    ``label`` is the name of the jobs, ``num_sweeps`` means ``sweeps``, and ``beta_range`` (beta_start, beta_stop).

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
        return {name: ["solver"] for name in dict.fromkeys((*_SOLVE_OPTIONS, *_OCEAN_OPTIONS, *names))}

    @property
    def properties(self) -> Mapping[str, Any]:
        """The properties of the sampler: its target."""
        return {"solver": self._target.id}

    def sample(self, bqm: Any, **parameters: Any) -> Any:
        """Samples of a binary quadratic model, as a SampleSet. Raises as :func:`qiosk.solve`."""
        reads = self._reads(parameters, bqm.vartype)
        if not bqm.num_variables:
            return dimod.SampleSet.from_samples_bqm([], bqm)
        samples, order, info = self._samples(from_bqm(bqm), reads)
        return dimod.SampleSet.from_samples_bqm((samples, order), bqm, info=info)

    def sample_poly(self, poly: Any, **parameters: Any) -> Any:
        """Samples of a BinaryPolynomial, as a SampleSet. Raises as :meth:`sample`."""
        reads = self._reads(parameters, poly.vartype)
        if not poly.variables:
            return dimod.SampleSet.from_samples([], energy=[], vartype=poly.vartype)
        samples, order, info = self._samples(from_binary_polynomial(poly), reads)
        energies = poly.energies((samples, order))
        return dimod.SampleSet.from_samples((samples, order), energy=energies, vartype=poly.vartype, info=info)

    def _reads(self, parameters: Mapping[str, Any], vartype: Any) -> _Reads:
        """The arguments of ``sample``, checked: those of Ocean's samplers, and those of ``solve``."""
        given = {name: value for name, value in parameters.items() if value is not None}
        known = {parameter.name for parameter in self._target.parameters}
        for name, own in _OCEAN_NAMES.items():
            if name in given and own in known | {"timeout"}:
                if own in given:
                    raise InvalidValue(f"parameter `{name}`: it means the same as `{own}`, give one of them")
                given[own] = given.pop(name)
        if "beta_range" in given and {"beta_start", "beta_stop"} <= known:
            ends = given.pop("beta_range")
            if not isinstance(ends, (list, tuple, np.ndarray)) or len(ends) != 2:
                raise InvalidValue(f"parameter `beta_range`: must be a pair (beta_start, beta_stop), found {ends!r}")
            given["beta_start"], given["beta_stop"] = ends
        for parameter in (TIMEOUT, SEED):
            if parameter.name in given:
                given[parameter.name] = parameter.read(parameter.name, given[parameter.name])
        states = _initial_states(given.pop("initial_states", None), vartype)
        label = given.pop("label", None)
        count = given.pop("num_reads", None)
        if count is not None:
            if "number_of_solutions" in given:
                raise InvalidValue("parameter `num_reads`: it replaces `number_of_solutions`, give one of them")
            count = _NUM_READS.read("num_reads", count)
        self._target.check_names(given, also=(*_SOLVE_OPTIONS, *_OCEAN_OPTIONS))
        return _Reads(count, states, None if label is None else str(label), given)

    def _samples(
        self, encoded: Encoded[dict[Any, int]], reads: _Reads
    ) -> tuple[list[list[int]], list[Any], dict[str, Any]]:
        """Rows of values, best first, the labels of their columns, and information on the first run."""
        runs = self._runs(encoded, reads)
        found = sorted((pair for solutions, _ in runs for pair in solutions), key=lambda pair: pair[0])
        decoded = [encoded.decode(configuration) for _, configuration in found]
        order = list(decoded[0])
        return [[row[label] for label in order] for row in decoded], order, runs[0][1]

    def _runs(self, encoded: Encoded[dict[Any, int]], reads: _Reads) -> list[Found]:
        """What each run found: its solutions with their costs, and information on it."""
        if self._workspace is None:
            runs = []
            for number in range(reads.runs):
                runs.append(self._run(reads.problem(encoded, number), reads.parameters_of(number)))
                if len(runs[-1][0]) < reads.wanted(number):  # there are no more configurations
                    break
            return runs
        solvers = [
            Solver(self._workspace, self._target.id, params=self._target.in_own_units(reads.parameters_of(number)))
            for number in range(reads.runs)
        ]
        jobs = [
            solver.submit(reads.problem(encoded, number), name=reads.label) for number, solver in enumerate(solvers)
        ]
        timeout = reads.given.get("timeout")
        return [self._result_of(job, None if timeout is None else timeout + DEFAULT_TIMEOUT_S) for job in jobs]

    def _run(self, problem: Problem, parameters: Mapping[str, Any]) -> Found:
        result = solve(problem, self._target.id, **parameters)
        found = [(solution.cost, solution.configuration) for solution in result.solutions]
        return found, {"parameters": dict(result.parameters), "stop_reason": result.stop_reason}

    def _result_of(self, job: Job, timeout: float | None) -> Found:
        results = job.get_results(timeout_secs=timeout)
        found = [(solution["cost"], configuration_of(solution["configuration"])) for solution in results["solutions"]]
        return found, {"parameters": results.parameters, "job_id": job.id}


@dataclass(frozen=True, slots=True)
class _Reads:
    """Samples that a caller asks for: their number, where they begin, and the parameters of the runs that find them.

    A run returns at most ``SOLUTIONS_EACH`` samples, so more of them take several runs, with seeds one after the other.
    """

    count: int | None
    states: Sequence[Mapping[Any, int]]
    label: str | None
    given: Mapping[str, Any]

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return 1 if self.count is None else -(-self.count // SOLUTIONS_EACH)

    def wanted(self, number: int) -> int:
        """Samples of a run."""
        if self.count is None:
            return int(self.given.get("number_of_solutions", 1))
        return min(SOLUTIONS_EACH, self.count - number * SOLUTIONS_EACH)

    def parameters_of(self, number: int) -> dict[str, Any]:
        """Parameters of a run; the time limit is divided among all runs."""
        own = dict(self.given)
        if self.count is not None:
            own["number_of_solutions"] = self.wanted(number)
        if "seed" in own and number:
            own["seed"] = (int(own["seed"]) + number + 2**63) % 2**64 - 2**63
        if "timeout" in own and self.runs > 1:
            own["timeout"] = own["timeout"] / self.runs
        return own

    def problem(self, encoded: Encoded[dict[Any, int]], number: int) -> Problem:
        """The problem of a run, with its initial state; there may be fewer states than runs, or none."""
        if not self.states:
            return encoded.problem
        state = self.states[number % len(self.states)]
        labels = encoded.decode({i: i for i in encoded.problem.cost_function().variables.tolist()})
        missing = [label for label in labels if label not in state]
        if missing:
            raise InvalidValue(f"parameter `initial_states`: there is no value of variable {missing[0]!r}")
        initial = {i: int(state[label]) for label, i in labels.items()}
        return Problem.from_cost_function(replace(encoded.problem.cost_function(), initial_configuration=initial))


def _initial_states(states: Any, vartype: Any) -> Sequence[Mapping[Any, int]]:
    """Samples in any form that dimod takes, by label, as values of a vartype."""
    if states is None:
        return ()
    if not isinstance(states, dimod.SampleSet):
        rows, labels = dimod.as_samples(states)
        kind = dimod.SPIN if (rows < 0).any() else dimod.BINARY if (rows == 0).any() else vartype
        states = dimod.SampleSet.from_samples((rows, labels), energy=np.zeros(len(rows)), vartype=kind)
    return [dict(row) for row in states.change_vartype(vartype, inplace=False).samples(sorted_by=None)]


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
