"""What solvers accept as a problem, and how it is read for a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from qiosk.client.streaming import OnlineProblem, StreamingProblem
from qiosk.errors import WrongType
from qiosk.formats.compression import compressed, is_compressed

if TYPE_CHECKING:
    from qiosk.problem import Problem

Source: TypeAlias = "Problem | StreamingProblem | OnlineProblem | str | bytes"
"""Problems that solvers accept: an object, the URI of an uploaded problem, or the bytes of a serialized one."""

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
    if not hasattr(problem, "serialize"):
        raise WrongType(
            f"problem must be a Problem, the URI of an uploaded one or bytes, found {type(problem).__name__}"
        )
    return None, problem.to_blob(compress=compress), problem.name


def _packed(data: bytes, compress: bool) -> bytes:
    return compressed(data, "gzip") if compress and not is_compressed(data) else data
