"""Runners that solve nothing: every job ends with the same results, or the same error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import structs

from qiosk.contract.jobs import TracePoint
from qiosk.contract.provenance import Provenance, environment
from qiosk.formats.qio.results import encode
from qiosk.service.jobs.runs import JobRunner, JobSpec, RunResult


@dataclass(frozen=True)
class _Answer:
    """A ``RunResult`` that was known before."""

    document: bytes
    cost: float
    stop_reason: str = "finished"
    trace: Sequence[TracePoint] = ()
    covers_earlier_runs: bool = False
    bound: float | None = None

    @property
    def provenance(self) -> Provenance:
        """This machine, and why the run ended."""
        return structs.replace(environment(), stop_reason=self.stop_reason)

    def receipt(self) -> None:
        """There is none."""

    def to_json(self) -> str:
        """The results document."""
        return self.document.decode()


def answering(configuration: Mapping[int, int], *, cost: float) -> JobRunner:
    """A runner by which every job succeeds with this solution: values by variable, and their cost.

    >>> from qiosk.optimization import Problem, SimulatedAnnealing, Term
    >>> from qiosk.testing import MemoryService, answering
    >>> workspace = MemoryService(answering({0: 1, 1: -1}, cost=-7.0)).workspace()
    >>> job = SimulatedAnnealing(workspace).submit(Problem("pair", [Term(c=1, indices=[0, 1])]))
    >>> results = job.get_results()
    >>> results.cost, results.configuration
    (-7.0, {'0': 1, '1': -1})
    """
    ids = sorted(configuration)
    values = np.array([configuration[i] for i in ids], np.int8)
    document = encode([(np.array(ids, np.int64), values, cost)], {})
    return _runner(lambda: _Answer(document, cost))


def failing(error: Exception) -> JobRunner:
    """A runner by which every job fails with this error; one that is no QioskError is an internal error.

    >>> from qiosk.errors import InvalidInput
    >>> from qiosk.optimization import Problem, SimulatedAnnealing, Term
    >>> from qiosk.testing import MemoryService, failing
    >>> workspace = MemoryService(failing(InvalidInput("input data: too large"))).workspace()
    >>> job = SimulatedAnnealing(workspace).submit(Problem("pair", [Term(c=1, indices=[0, 1])]))
    >>> job.refresh()
    >>> print(job.details.status, job.details.error_data.message, sep=": ")
    Failed: input data: too large
    """

    def fail() -> RunResult:
        raise error

    return _runner(fail)


def _runner(end: Callable[[], RunResult]) -> JobRunner:
    def run(spec: JobSpec, data: bytes, **_hooks: Any) -> RunResult:
        return end()

    return run
