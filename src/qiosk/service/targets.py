"""A fixed table of targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from qiosk.contract.jobs import TargetView
from qiosk.errors import InvalidTarget, ProviderNotFound


@final
class TargetTable:
    """The catalogue of a service whose targets do not change while it runs."""

    def __init__(self, targets: Sequence[TargetView]) -> None:
        self._targets = tuple(targets)
        self._ids: dict[str, dict[str, str]] = {}
        for target in self._targets:
            self._ids.setdefault(target.provider_id.casefold(), {})[target.id.casefold()] = target.id

    def targets(self) -> Sequence[TargetView]:
        """All targets, in the table's order."""
        return self._targets

    def check(self, provider_id: str, target: str) -> None:
        """Raise ProviderNotFound or InvalidTarget unless the provider offers the target; letter case is
        ignored.
        """
        offered = self._ids.get(provider_id.casefold())
        if offered is None:
            raise ProviderNotFound(f"provider {provider_id!r} does not exist")
        if target.casefold() not in offered:
            known = ", ".join(sorted(offered.values()))
            raise InvalidTarget(
                f"target {target!r} is not offered by provider {provider_id!r}, which has {known}"
            )
