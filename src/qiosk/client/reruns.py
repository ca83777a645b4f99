"""Jobs that do what other jobs did, again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qiosk.client.details import JobDetails
from qiosk.contract.provenance import Provenance
from qiosk.errors import Conflict, InvalidValue
from qiosk.model.cost_function import CostFunction
from qiosk.model.digest import problem_digest

RERUN_OF = "rerunOf"
"""The metadata of a rerun that names the job that it repeats."""


def changes_to_repeat(job: JobDetails, read_problem: Callable[[], CostFunction]) -> dict[str, Any]:
    """The members with which a job is submitted again so that it does the same.

    Raises Conflict if the job has not ended, has no results, or did not come to its end; InvalidValue if its input,
    which ``read_problem`` reads, is another problem by now.
    """
    found = job.provenance
    if not job.is_final:
        raise Conflict(f"job {job.id}: has not ended, its status is {job.status}")
    if not job.has_results:
        raise Conflict(f"job {job.id}: has no results to compare with, its status is {job.status}")
    if found is None or found.problem is None or found.seed is None:
        raise Conflict(f"job {job.id}: its provenance lacks the problem or the seed: its run did not come to its end")
    digest = problem_digest(read_problem())
    if digest != found.problem:
        raise InvalidValue(f"job {job.id}: the digest of its input must be {found.problem}, found {digest}")
    return {
        "input_params": _as_given(job.input_params, found),
        "metadata": {**(job.metadata or {}), RERUN_OF: job.id},
    }


def _as_given(submitted: Any, found: Provenance) -> dict[str, Any]:
    """Input parameters in the provider's form, with what a provenance has ``given``."""
    members = dict(submitted) if isinstance(submitted, Mapping) else {}
    given = {**{name: value for name, value in found.given.items() if name != "kernel"}, "seed": found.seed}
    if isinstance(members.get("params"), Mapping):
        return {**members, "params": {**members["params"], **given}}
    return {**members, **given}
