"""Run again what a result was found by, and compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from qiosk.contract.jobs import JobProgress
from qiosk.contract.provenance import Provenance, environment
from qiosk.errors import InvalidTarget, InvalidValue, MissingSection, WrongType
from qiosk.formats.comparison import ROUNDS, Comparison, compare, provenance_of
from qiosk.formats.qio.results import decode
from qiosk.model.digest import problem_digest
from qiosk.model.sources import cost_function_of
from qiosk.modeling.jobs import model_of, solve_job
from qiosk.modeling.model import Model
from qiosk.modeling.rounds.adaptive import solve_here
from qiosk.solvers.result import Result
from qiosk.solvers.setup import Setup
from qiosk.solvers.solve import followed
from qiosk.solvers.targets.catalogue import target

Progress = bool | Callable[[JobProgress], bool | None] | None


@dataclass(frozen=True, kw_only=True)
class Rerun:
    """A run that was made again: its ``result``, and its ``comparison`` with the result that was there before."""

    result: Result
    comparison: Comparison

    @property
    def is_same(self) -> bool:
        """Whether costs and configurations of all solutions are the same."""
        return self.comparison.is_same


def rerun(
    problem: Any, before: Result | Mapping[str, Any], *, threads: int | None = None, progress: Progress = None
) -> Rerun:
    """Run again what a result was found by, in this process, and compare.

    The target, its parameters, the seed and the number of threads are those of the result's provenance. The results
    are the same unless a run depends on how fast the machine is: then ``comparison.is_decided_by_time``. They may
    differ between releases of Qiosk.

    Args:
        problem: the same problem, as :func:`qiosk.solve` takes it, or the same model.
        before: a result, of :func:`qiosk.solve`, of a job, or a results document that was read from a file.
        threads: threads to sweep in, instead of as many as before. The result does not depend on it.
        progress: as :func:`qiosk.solve` has it.

    Raises:
        InvalidValue: the problem is another one: its digest differs. Or the results are of another version of Qiosk,
            and this one has no such target or parameter.
        MissingSection: the results have no provenance, or it lacks what a rerun needs.
        QioskError: whatever else :func:`qiosk.solve` raises.

    >>> import qiosk
    >>> problem = qiosk.Problem("pair")
    >>> problem.add_terms(coefficients=[1, -2], ids=[[0, 1], [1, 2]])
    >>> result = qiosk.solve(problem, "microsoft.tabu.cpu", sweeps=10)
    >>> again = qiosk.rerun(problem, result)
    >>> again.is_same, again.comparison.differences
    (True, {})
    """
    document = _document(before)
    provenance = provenance_of(decode(document))
    setup = setup_again(provenance, threads)
    if ROUNDS in provenance.statistics:
        result = _search_in_rounds(problem, setup, str(provenance.problem), progress)
    else:
        cost_function = cost_function_of(problem)
        check_problem(problem_digest(cost_function), provenance.problem)
        with followed(progress) as hooks:
            result = setup.run(cost_function, hooks)
    return Rerun(result=result, comparison=compare(document, result.to_json().encode()))


def setup_again(provenance: Provenance, threads: int | None = None) -> Setup:
    """The target and the parameters of a provenance.

    Raises MissingSection if it lacks what a rerun needs; InvalidValue if this version has no such target or parameter.
    """
    for member in ("target", "problem", "seed"):
        if getattr(provenance, member) is None:
            raise MissingSection(f"the provenance: `{member}` is missing: the run did not come to its end")
    given = dict(provenance.given)
    kernel = given.pop("kernel", None)
    try:
        chosen = target(str(provenance.target))
        chosen.check_names(given)
    except (InvalidTarget, InvalidValue) as error:
        before, now = provenance.versions.qiosk, environment().versions.qiosk
        raise InvalidValue(
            f"the results are of Qiosk {before}, and cannot be found by {now}: {error.message}"
        ) from error
    return Setup(
        target=chosen,
        given={**given, "seed": provenance.seed},
        threads=threads or provenance.machine.threads,
        kernel=kernel,
    )


def check_problem(found: str, wanted: str | None) -> None:
    """Raises InvalidValue unless the digest that was ``found`` is the one of the results."""
    if found != wanted:
        raise InvalidValue(f"problem: its digest must be {wanted}, as that of the results, found {found}")


def _search_in_rounds(problem: Any, setup: Setup, wanted: str, progress: Progress) -> Result:
    """The result of a model, which began with automatic weights, or with those of a submitted problem."""
    model = problem if isinstance(problem, Model) else model_of(cost_function_of(problem))
    if model is None:
        raise InvalidValue("problem: must be a Model, or be made by one: so was the problem of the results")
    first = problem_digest(model.problem().cost_function())
    if first == wanted or isinstance(problem, Model):
        check_problem(first, wanted)
        return solve_here(model, setup, progress).result
    cost_function = cost_function_of(problem)
    check_problem(problem_digest(cost_function), wanted)
    with followed(progress) as hooks:
        return solve_job(cost_function, setup, hooks)


def _document(before: Result | Mapping[str, Any]) -> bytes:
    if isinstance(before, Result):
        return before.to_json().encode()
    if not isinstance(before, Mapping):
        raise WrongType(f"results: must be a Result or a results document, found {type(before).__name__}")
    return msgspec.json.encode(before)
