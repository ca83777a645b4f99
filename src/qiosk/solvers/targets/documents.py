"""Results documents, by the provider of a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qiosk.formats.qio import results as qio_results
from qiosk.formats.qio.results import SolutionColumns
from qiosk.model.constraints.hard_constraints import Violation

RUNNING = "running"
"""The message of a document about a run in progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsContent:
    """What a results document is written from."""

    target: str
    solutions: Sequence[SolutionColumns]  # best first
    parameters: Mapping[str, Any]  # in effect
    input_data_uri: str  # of the problem; empty where there is none
    message: str  # why the run ended, or RUNNING
    seconds: float  # spent so far
    provenance: Mapping[str, Any]  # as JSON values
    violated: Sequence[Violation] | None = None  # by the best solution; None if the problem has no hard constraints
    bound: Mapping[str, Any] | None = None  # no configuration costs less: value, gap and method
    more: Mapping[str, Any] = field(default_factory=dict)  # further members, as JSON values

    @property
    def extra(self) -> Mapping[str, Any]:
        """Members at the root that the provider's format does not have."""
        found: dict[str, Any] = {} if self.bound is None else {"bound": self.bound}
        found["provenance"] = self.provenance
        if self.violated is not None:
            found["violated"] = [{"name": v.name, "violation": v.amount} for v in self.violated]
        return {**found, **self.more}


Document = Callable[[ResultsContent], bytes]
"""Writes the results blob of a target."""


def microsoft_document(found: ResultsContent) -> bytes:
    """``microsoft.qio-results.v2``. Its parameters can be passed back to the old SDK's classes, none of which takes
    the number of solutions: 1 is left out.
    """
    parameters = {k: v for k, v in found.parameters.items() if (k, v) != ("number_of_solutions", 1)}
    return qio_results.encode(found.solutions, parameters, found.extra)


def toshiba_document(found: ResultsContent) -> bytes:
    """Toshiba's: every solution contains the loops, the stop reason and the time of the run."""
    run = {"runs": int(found.parameters.get("loops", 1)), "message": found.message, "time": found.seconds}
    return qio_results.encode_toshiba(
        found.solutions,
        found.parameters,
        run,
        target=found.target,
        input_data_uri=found.input_data_uri,
        extra=found.extra,
    )


def oneqbit_document(solver_name: str) -> Document:
    """``microsoft.qio-results.v1`` of 1QBit's solver of this name."""

    def document(found: ResultsContent) -> bytes:
        return qio_results.encode_oneqbit(
            found.solutions,
            {**found.parameters, "solver_name": solver_name},
            target=found.target,
            input_data_uri=found.input_data_uri,
            extra=found.extra,
        )

    return document
