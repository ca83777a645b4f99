"""``QioskSampler``: the methods of dimod's samplers, and of Ocean's hybrid samplers, by solvers of Qiosk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import dimod
import numpy as np

from qiosk.client.job import DEFAULT_TIMEOUT_S, Job
from qiosk.client.solvers import Solver
from qiosk.client.solvers.provider_formats import format_of
from qiosk.client.workspace import Workspace
from qiosk.interop.dimod.bqm import from_binary_polynomial, from_bqm
from qiosk.interop.dimod.cqm import from_cqm
from qiosk.interop.dimod.dqm import cases_of, from_dqm
from qiosk.interop.dimod.reads import MODEL_OPTIONS, READ_OPTIONS, SOLVE_OPTIONS, Reads, model_arguments, reads_of
from qiosk.interop.labels import Encoded, configuration_of
from qiosk.modeling import Model, Solution
from qiosk.problem import Problem
from qiosk.solvers.solve import solve
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET, target

Found = tuple[list[tuple[float, dict[int, int]]], dict[str, Any]]
"""What a run found: costs and configurations, best first; and information on the run."""


class QioskSampler(dimod.Sampler, dimod.PolySampler):  # type: ignore[misc]
    """Samples binary quadratic models, and polynomials of any degree, with a solver of Qiosk.

    ``sample(model, timeout=…, seed=…, number_of_solutions=…, **parameters)`` returns at most ``number_of_solutions``
    distinct samples (1 by default), best first. ``timeout`` is in seconds; other parameters are those of the target.

    Arguments of Ocean's samplers: ``num_reads`` asks for so many samples; ten of them come from each of several runs,
    which share the time limit. ``initial_states`` are samples to begin from, ``time_limit`` [s] means ``timeout``,
    ``label`` is the name of the jobs, ``num_sweeps`` means ``sweeps``, and ``beta_range`` (beta_start, beta_stop).

    ``sample_cqm`` and ``sample_dqm`` solve a model with constraints, or with discrete variables. They take
    ``time_limit``, ``label``, ``number_of_solutions`` and the parameters of the target, and search as
    :meth:`qiosk.modeling.Model.solve` does, also in jobs.

    Args:
        solver: target name; the default chooses for itself, and has no parameters of a search.
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
        return {name: ["solver"] for name in dict.fromkeys((*SOLVE_OPTIONS, *READ_OPTIONS, *MODEL_OPTIONS, *names))}

    @property
    def properties(self) -> Mapping[str, Any]:
        """The properties of the sampler: its target."""
        return {"solver": self._target.id}

    def sample(self, bqm: Any, **parameters: Any) -> Any:
        """Samples of a binary quadratic model, as a SampleSet. Raises as :func:`qiosk.solve`."""
        reads = reads_of(self._target, parameters, bqm.vartype)
        if not bqm.num_variables:
            return dimod.SampleSet.from_samples_bqm([], bqm)
        samples, order, info = self._samples(from_bqm(bqm), reads)
        return dimod.SampleSet.from_samples_bqm((samples, order), bqm, info=info)

    def sample_poly(self, poly: Any, **parameters: Any) -> Any:
        """Samples of a BinaryPolynomial, as a SampleSet. Raises as :meth:`sample`."""
        reads = reads_of(self._target, parameters, poly.vartype)
        if not poly.variables:
            return dimod.SampleSet.from_samples([], energy=[], vartype=poly.vartype)
        samples, order, info = self._samples(from_binary_polynomial(poly), reads)
        energies = poly.energies((samples, order))
        return dimod.SampleSet.from_samples((samples, order), energy=energies, vartype=poly.vartype, info=info)

    def sample_cqm(self, cqm: Any, **parameters: Any) -> Any:
        """Samples of a ConstrainedQuadraticModel, as a SampleSet with ``is_feasible`` and ``is_satisfied``, best first.

        Energies are those of the objective and of violated soft constraints, as dimod counts them. In ``info``,
        ``status`` is that of :meth:`qiosk.modeling.Model.solve`, also where a job searches. Arguments: see the class.
        Raises as :func:`from_cqm` and :func:`qiosk.solve`, also for a constraint that no values satisfy.

        >>> import dimod
        >>> from qiosk.interop.dimod import QioskSampler
        >>> n, box = dimod.Integer("n", upper_bound=5), dimod.Binary("box")
        >>> cqm = dimod.ConstrainedQuadraticModel()
        >>> cqm.set_objective(-2 * n + 3 * box)
        >>> label = cqm.add_constraint(n - 2 * box <= 3, label="room")
        >>> found = QioskSampler().sample_cqm(cqm, time_limit=5, seed=1)
        >>> {label: int(value) for label, value in found.first.sample.items()}, float(found.first.energy)
        ({'box': 1, 'n': 5}, -7.0)
        >>> bool(found.first.is_feasible), found.info["status"], found.info["constraint_labels"]
        (True, 'optimal', ['room'])
        """
        label, given = model_arguments(self._target, parameters)
        labels = list(cqm.variables)
        if not labels:
            return dimod.SampleSet.from_samples_cqm([], cqm)
        model = from_cqm(cqm)
        solutions, info = self._solutions(model, label, given)
        names = list(model.variables)[: len(labels)]
        rows = np.array([[solution.values[name] for name in names] for solution in solutions], np.float64)
        return dimod.SampleSet.from_samples_cqm((rows, labels), cqm, info=info)

    def sample_dqm(self, dqm: Any, **parameters: Any) -> Any:
        """Samples of a DiscreteQuadraticModel, as a SampleSet of the numbers of cases, best first.

        Arguments: see the class. Raises as :func:`qiosk.solve`.

        >>> import dimod
        >>> from qiosk.interop.dimod import QioskSampler
        >>> dqm = dimod.DiscreteQuadraticModel()
        >>> elm, oak = dqm.add_variable(3, label="elm"), dqm.add_variable(3, label="oak")
        >>> dqm.set_linear("oak", [0, 2, 1])
        >>> dqm.set_quadratic("oak", "elm", {(0, 0): 5, (0, 1): 5, (0, 2): -1})
        >>> sample = QioskSampler().sample_dqm(dqm, time_limit=5, seed=1).first
        >>> {label: int(case) for label, case in sample.sample.items()}, float(sample.energy)
        ({'elm': 2, 'oak': 0}, -1.0)
        """
        label, given = model_arguments(self._target, parameters)
        labels = list(dqm.variables)
        if not labels:
            return dimod.SampleSet.from_samples([], vartype="DISCRETE", energy=[])
        model = from_dqm(dqm)
        solutions, info = self._solutions(model, label, given)
        samples = np.array([cases_of(dqm, list(solution.values.values())) for solution in solutions]), labels
        return dimod.SampleSet.from_samples(samples, vartype="DISCRETE", energy=dqm.energies(samples), info=info)

    def _solutions(
        self, model: Model, label: str | None, given: Mapping[str, Any]
    ) -> tuple[Sequence[Solution], dict[str, Any]]:
        """Solutions of a model, best first, and information on the run or the job."""
        if self._workspace is None:
            answer = model.solve(self._target.id, **given)
            others = [s for s in map(model.decode, answer.result.solutions) if s.values != answer.values]
            result = answer.result
            return [answer, *others], {
                "status": str(answer.status),
                "parameters": dict(result.parameters),
                "stop_reason": str(result.stop_reason),
            }
        job = self._solver(self._workspace, given).submit(model.problem(), name=label)
        timeout = given.get("timeout")
        found, info = self._result_of(job, None if timeout is None else timeout + DEFAULT_TIMEOUT_S)
        solutions = [model.decode(configuration) for _, configuration in found]
        return solutions, {"status": job.get_results()["model"]["status"], **info}

    def _samples(
        self, encoded: Encoded[dict[Any, int]], reads: Reads
    ) -> tuple[list[list[int]], list[Any], dict[str, Any]]:
        """Rows of values, best first, the labels of their columns, and information on the first run."""
        runs = self._runs(encoded, reads)
        found = sorted((pair for solutions, _ in runs for pair in solutions), key=lambda pair: pair[0])
        decoded = [encoded.decode(configuration) for _, configuration in found]
        order = list(decoded[0])
        return [[row[label] for label in order] for row in decoded], order, runs[0][1]

    def _runs(self, encoded: Encoded[dict[Any, int]], reads: Reads) -> list[Found]:
        """What each run found: its solutions with their costs, and information on it."""
        if self._workspace is None:
            runs = []
            for number in range(reads.runs):
                runs.append(self._run(reads.problem(encoded, number), reads.parameters_of(number)))
                if len(runs[-1][0]) < reads.wanted(number):  # there are no more configurations
                    break
            return runs
        solvers = [self._solver(self._workspace, reads.parameters_of(number)) for number in range(reads.runs)]
        jobs = [
            solver.submit(reads.problem(encoded, number), name=reads.label) for number, solver in enumerate(solvers)
        ]
        timeout = reads.given.get("timeout")
        return [self._result_of(job, None if timeout is None else timeout + DEFAULT_TIMEOUT_S) for job in jobs]

    def _solver(self, workspace: Workspace, given: Mapping[str, Any]) -> Solver:
        """What submits jobs of the target with these parameters."""
        target, form = self._target, asdict(format_of(self._target.id))
        return Solver(workspace, target.id, params=target.in_own_units(given), **form)

    def _run(self, problem: Problem, parameters: Mapping[str, Any]) -> Found:
        result = solve(problem, self._target.id, **parameters)
        found = [(solution.cost, solution.configuration) for solution in result.solutions]
        return found, {"parameters": dict(result.parameters), "stop_reason": result.stop_reason}

    def _result_of(self, job: Job, timeout: float | None) -> Found:
        results = job.get_results(timeout_secs=timeout)
        found = [(solution["cost"], configuration_of(solution["configuration"])) for solution in results["solutions"]]
        return found, {"parameters": results.parameters, "job_id": job.id}
