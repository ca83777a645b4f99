"""What solvers accept as a problem, and how it is read for a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from qiosk.client.streaming import OnlineProblem, StreamingProblem
from qiosk.formats.compression import compressed, is_compressed

if TYPE_CHECKING:
    from qiosk.problem import Problem

Source: TypeAlias = "Problem | StreamingProblem | OnlineProblem | str | bytes"
"""Problems that solvers accept: an object, the URI of an uploaded problem, or the bytes of a serialized one. Also all
that ``qiosk.solve`` accepts: a ``Model``, an encoded problem, a QUBO as a dict or a matrix."""

UNNAMED = "Optimization problem"
"""Name of a job whose problem has no name."""


def read_source(problem: Source, compress: bool) -> tuple[str | None, bytes | None, str]:
    """URI or bytes of a problem, and the name of its job."""
    if isinstance(problem, str):
        return problem, None, UNNAMED
    if isinstance(problem, bytes):
        return None, _packed(problem, compress), UNNAMED
    if isinstance(problem, StreamingProblem):
        return problem.upload(), None, problem.name
    if isinstance(problem, OnlineProblem):
        return problem.uploaded_blob_uri, None, problem.name
    if isinstance(problem, type) or not hasattr(problem, "to_blob"):
        from qiosk.model.sources import cost_function_of
        from qiosk.problem import Problem

        problem = Problem.from_cost_function(cost_function_of(problem))
    return None, problem.to_blob(compress=compress), problem.name or UNNAMED


def _packed(data: bytes, compress: bool) -> bytes:
    return compressed(data, "gzip") if compress and not is_compressed(data) else data
