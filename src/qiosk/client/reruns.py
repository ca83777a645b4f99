"""Jobs that do what other jobs did, again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qiosk.contract.provenance import Provenance
from qiosk.errors import Conflict, InvalidValue
from qiosk.model.digest import problem_digest

if TYPE_CHECKING:
    from qiosk.client.job import Job

RERUN_OF = "rerunOf"
"""The metadata of a rerun that names the job that it repeats."""


def rerun_job(job: Job) -> Job:
    """Submit a job that does what another one did, again, and return it; ``job.compare(again)`` compares them.

    It has the same target, the same input and the parameters and the seed of the other one's provenance. Its metadata
    has the id of the other one as ``rerunOf``. Raises Conflict if that has not ended, or did not come to its end;
    InvalidValue if its input is another problem by now.
    """
    if not job.has_completed():
        job.refresh()
    found = job.provenance
    if not job.has_completed():
        raise Conflict(f"job {job.id}: has not ended, its status is {job.status}")
    if found is None or found.problem is None or found.seed is None:
        raise Conflict(f"job {job.id}: its run did not come to its end, so there is nothing to compare with")
    digest = problem_digest(job.cost_function())
    if digest != found.problem:
        raise InvalidValue(f"job {job.id}: the digest of its input must be {found.problem}, found {digest}")
    return job.resubmit(
        input_params=_as_given(job.details.input_params, found),
        metadata={**(job.details.metadata or {}), RERUN_OF: job.id},
    )


def _as_given(submitted: Any, found: Provenance) -> dict[str, Any]:
    """Input parameters in the provider's form, with what a provenance has ``given``."""
    members = dict(submitted) if isinstance(submitted, Mapping) else {}
    given = {**{name: value for name, value in found.given.items() if name != "kernel"}, "seed": found.seed}
    if isinstance(members.get("params"), Mapping):
        return {**members, "params": {**members["params"], **given}}
    return {**members, **given}
