"""Runners that solve nothing: every job ends with the same results, or the same error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qiosk.contract.jobs import TracePoint
from qiosk.formats.qio.results import encode
from qiosk.service.runs import ChunkReport, JobRunner, JobSpec, RunResult


@dataclass(frozen=True)
class _Answer:
    """A ``RunResult`` that was known before."""

    document: bytes
    cost: float
    stop_reason: str = "finished"
    trace: Sequence[TracePoint] = ()

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
    answer = _Answer(encode([(np.array(ids, np.int64), values, cost)], {}), cost)

    def run(
        spec: JobSpec,
        data: bytes,
        *,
        is_cancelled: Callable[[], bool],
        on_chunk: Callable[[ChunkReport], None],
        resume: bytes | None,
    ) -> RunResult:
        return answer

    return run


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

    def run(
        spec: JobSpec,
        data: bytes,
        *,
        is_cancelled: Callable[[], bool],
        on_chunk: Callable[[ChunkReport], None],
        resume: bytes | None,
    ) -> RunResult:
        raise error

    return run
