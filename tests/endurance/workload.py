"""The jobs of a run: which there are, and how each has to end."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from qiosk.contract.jobs import JobStatus, SubmitJob

TARGET = "microsoft.simulatedannealing.cpu"
RESTARTS = 64

SHARES = {"tiny": 81, "seconds": 7, "long": 0.5, "cancelled": 6.5, "invalid": 5}
"""Kinds of jobs, and how many of a hundred are of each."""
_SWEEPS = {"tiny": (50, 200), "seconds": (10_000, 40_000), "long": (100_000, 200_000), "cancelled": (10_000, 200_000)}
"""Least and most sweeps: 0.5 to 2 s of a core for ``seconds``, and 5 to 10 s for ``long``."""
_PROBLEMS = 8  # of each size
_BROKEN: Sequence[bytes] = (
    b'{"cost_function": {"version": "1.0", "type": "ising", "terms": [{"c": 1, "ids": [0, 1',
    b'{"cost_function": {"version": "1.0", "type": "ising", "terms": [{"c": "much", "ids": [0, 1]}]}}',
    b"\x1f\x8b\x08\x00no gzip follows",
)


@dataclass(frozen=True)
class Planned:
    """A job that is going to be submitted. Those of one ``case`` must find the same solutions.

    ``is_followed``: a client follows it by its live events.
    """

    kind: str
    command: SubmitJob
    case: str
    cancel_after_s: float | None = None
    is_followed: bool = False

    @property
    def id(self) -> str:
        """The job's id."""
        return str(self.command.id)

    def may_end_as(self, cancelled_as: JobStatus | None) -> set[JobStatus]:
        """Final states that are right; ``cancelled_as`` is the state that the answer to a cancellation showed."""
        if cancelled_as is not None:
            return {cancelled_as if cancelled_as.is_final else JobStatus.CANCELLED}
        return {JobStatus.FAILED if self.kind == "invalid" else JobStatus.SUCCEEDED}


@functools.cache
def problem(size: int, number: int) -> bytes:
    """A spin glass."""
    rng = random.Random(f"{size} {number}")
    terms = [{"c": rng.choice([-1, 1]), "ids": [i, j]} for i in range(size) for j in range(i) if rng.random() < 0.3]
    return json.dumps({"cost_function": {"version": "1.0", "type": "ising", "terms": terms}}).encode()


def planned_jobs(seed: int) -> Iterator[Planned]:
    """Jobs without end, in the order in which they are submitted."""
    rng = random.Random(seed)
    for number in count():
        (kind,) = rng.choices(list(SHARES), list(SHARES.values()))
        yield _planned(number, kind, rng)


def _planned(number: int, kind: str, rng: random.Random) -> Planned:
    which = rng.randrange(_PROBLEMS)
    if kind == "invalid":
        data, params, case = _BROKEN[which % len(_BROKEN)], _parameters(100, which), f"broken {which}"
    else:
        size = 12 if kind == "tiny" else 90
        sweeps = rng.randint(*_SWEEPS[kind]) // 50 * 50
        data, params, case = problem(size, which), _parameters(sweeps, which), f"{size} {which} {sweeps}"
    command = SubmitJob(
        id=f"{kind}-{number}",
        name=f"{kind} {number}",
        provider_id="Microsoft",
        target=TARGET,
        input_data=data,
        input_params=params,
        priority="High" if rng.random() < 0.1 else None,
    )
    # A third is cancelled as soon as it is accepted, so mostly while it waits.
    pause_s = rng.choice([0.0, rng.uniform(0.0, 5.0), rng.uniform(5.0, 30.0)])
    return Planned(kind, command, case, pause_s if kind == "cancelled" else None)


def _parameters(sweeps: int, seed: int) -> Mapping[str, object]:
    return {"params": {"sweeps": sweeps, "restarts": RESTARTS, "seed": seed}}
