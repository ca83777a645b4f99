"""The provenance of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
from msgspec import structs

from qiosk.contract.provenance import MAX_LISTED, Provenance, environment
from qiosk.model.cost_function import CostFunction
from qiosk.model.digest import problem_digest

MOST_TERMS = 1_000_000
"""Terms of the largest problem whose digest is made during a run: it takes some 0.1 s."""


@dataclass(frozen=True, eq=False)
class RunFacts:
    """What a run knows from its beginning on. ``began_at`` is in UTC."""

    target: str
    seed: int
    given: Mapping[str, Any]
    threads: int
    began_at: datetime
    cost_function: CostFunction

    def so_far(self, parameters: Mapping[str, Any]) -> Provenance:
        """The provenance during the run. Without the digest of a large problem, which would hold up the search."""
        is_small = self.cost_function.n_terms <= MOST_TERMS
        return structs.replace(
            environment(self.threads),
            target=self.target,
            problem=self._digest if is_small else None,
            given=_plain(self.given),
            parameters=_plain(parameters),
            seed=self.seed,
            began_at=self.began_at,
        )

    def at_end(self, parameters: Mapping[str, Any], statistics: Mapping[str, Any], ended_at: datetime) -> Provenance:
        """The provenance of a result."""
        short = {name: value for name, value in _plain(statistics).items() if not _is_long(value)}
        return structs.replace(
            self.so_far(parameters),
            problem=self._digest,
            stop_reason=short.pop("stop_reason"),
            statistics=short,
            ended_at=ended_at,
        )

    @cached_property
    def _digest(self) -> str:
        return problem_digest(self.cost_function)


def now() -> datetime:
    """The time of day, in UTC."""
    return datetime.now(UTC)


def _is_long(value: Any) -> bool:
    return isinstance(value, list) and len(value) > MAX_LISTED


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values without arrays and scalars of NumPy."""
    return {
        name: value.tolist() if isinstance(value, np.ndarray | np.generic) else value for name, value in values.items()
    }
