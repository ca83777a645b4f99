"""Whether two results documents of the same run are the same, and what was different about the runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import structs

from qiosk.contract import codec
from qiosk.contract.provenance import ENDED_BY_PACE, Provenance
from qiosk.errors import MissingSection, UnreadableInput, WrongType
from qiosk.formats.qio.results import ResultsDocument, decode

ROUNDS = "rounds"
"""The statistic of results of searches in rounds: why each round ended."""
PACED = "is_paced"
"""The statistic that tells whether time has changed what a search did, such as the length of its rounds."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs of the same target on the same problem, with the same parameters and the same seed.

    ``is_same_cost`` and ``is_same_configuration`` tell whether all their solutions are the same, in the same order; if
    the costs of the best differ, they are ``cost_before`` and ``cost``. ``stop_reason_before`` and ``stop_reason`` tell
    why the runs ended. If ``is_decided_by_time``, one of them depends on how fast the machine is: it, or one of its
    rounds, was killed, or was ended by a time limit, a user, a target cost or a gap; a bound computed beside it ended
    it; or the statistic ``is_paced`` says that time has changed what it did. Then equal results cannot be expected.
    ``differences`` are versions, properties of the machine, the kernel and parameters in effect that differ, as they
    were before and are now, by name; without lists.
    """

    is_same_cost: bool
    is_same_configuration: bool
    is_decided_by_time: bool
    cost_before: float
    cost: float
    stop_reason_before: str | None
    stop_reason: str | None
    differences: Mapping[str, tuple[Any, Any]]

    @property
    def is_same(self) -> bool:
        """Whether costs and configurations are the same."""
        return self.is_same_cost and self.is_same_configuration


def provenance_of(document: ResultsDocument) -> Provenance:
    """The provenance in a results document. Raises MissingSection if there is none, UnreadableInput if it is none."""
    found = document.extra.get("provenance")
    if found is None:
        raise MissingSection("the results: `provenance` is missing: another service or an early version wrote them")
    try:
        return codec.convert(Provenance, found)
    except UnreadableInput as error:
        raise WrongType(f"the results: `provenance` cannot be read: {error.message}") from error


def compare(before: bytes, after: bytes) -> Comparison:
    """Compare two results documents. Raises as ``formats.qio.results.decode`` and ``provenance_of``."""
    first, second = decode(before), decode(after)
    origin, again = provenance_of(first), provenance_of(second)
    costs = [solution[2] for solution in first.solutions], [solution[2] for solution in second.solutions]
    if not all(costs):
        raise MissingSection("the results: `solutions` is empty")
    return Comparison(
        is_same_cost=costs[0] == costs[1],
        is_same_configuration=_are_configurations_equal(first, second),
        is_decided_by_time=_is_decided_by_time(origin, again),
        cost_before=costs[0][0],
        cost=costs[1][0],
        stop_reason_before=origin.stop_reason,
        stop_reason=again.stop_reason,
        differences=dict(_differences(origin, again)),
    )


def _are_configurations_equal(first: ResultsDocument, second: ResultsDocument) -> bool:
    if len(first.solutions) != len(second.solutions):
        return False
    pairs = zip(first.solutions, second.solutions, strict=True)
    return all(np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]) for a, b in pairs)


def _is_decided_by_time(*runs: Provenance) -> bool:
    rounds = [run.statistics.get(ROUNDS) or () for run in runs]
    reasons = {run.stop_reason for run in runs}.union(*rounds)
    # without a time limit the rounds of equal searches are the same, so time is what ended the shorter one
    return (
        None in reasons  # the best so far of a run that was killed
        or bool(reasons & ENDED_BY_PACE)
        or len({len(each) for each in rounds}) > 1
        or any(run.statistics.get(PACED) for run in runs)
        or ("optimal" in reasons and any(_has_bounds(run) for run in runs))
    )


def _has_bounds(run: Provenance) -> bool:
    """Whether bounds were computed beside the search: they take turns by the clock."""
    return run.given.get("gap") is not None or run.given.get("bound", "none") != "none"


def _differences(before: Provenance, after: Provenance) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for member in ("versions", "machine"):
        old, new = (structs.asdict(getattr(run, member)) for run in (before, after))
        yield from ((name, (old[name], new[name])) for name in old if old[name] != new[name])
    kernels = before.statistics.get("kernel"), after.statistics.get("kernel")
    if kernels[0] != kernels[1]:
        yield "kernel", kernels
    for name in dict.fromkeys((*before.parameters, *after.parameters)):
        values = before.parameters.get(name), after.parameters.get(name)
        if values[0] != values[1] and not any(isinstance(value, list) for value in values):
            yield f"parameter {name}", values
