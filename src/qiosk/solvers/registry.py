"""Target names to targets.

Light to import: a solver's module, and with it the kernels, is loaded when its target is first run.
"""

from __future__ import annotations

from collections.abc import Sequence

from qiosk.contract.jobs import TargetView
from qiosk.errors import InvalidTarget, ProviderNotFound
from qiosk.solvers.target import Target
from qiosk.solvers.targets import annealing, bifurcation, population, pticm, quantum, tabu, tempering

DEFAULT_TARGET = "microsoft.paralleltempering-parameterfree.cpu"

_FAMILIES = (annealing, bifurcation, population, pticm, quantum, tabu, tempering)
_TARGETS: dict[str, Target] = {found.id: found for family in _FAMILIES for found in family.TARGETS}


def target(name: str) -> Target:
    """The target of this name, in any case. Raises InvalidTarget."""
    found = _TARGETS.get(name.lower())
    if found is None:
        raise InvalidTarget(f"target {name!r} is not offered; targets are {', '.join(_TARGETS)}")
    return found


def targets() -> Sequence[Target]:
    """Every target, by name."""
    return tuple(_TARGETS[name] for name in sorted(_TARGETS))


class Catalogue:
    """The targets, as the job service asks for them."""

    def targets(self) -> Sequence[TargetView]:
        """Every target that can be run."""
        return [TargetView(id=found.id, provider_id=found.provider_id) for found in targets()]

    def check(self, provider_id: str, name: str) -> None:
        """Raises ProviderNotFound or InvalidTarget unless the provider offers the target."""
        offered = [found for found in targets() if found.provider_id.lower() == provider_id.lower()]
        if not offered:
            known = sorted({found.provider_id for found in targets()})
            raise ProviderNotFound(f"provider {provider_id!r} is unknown; providers are {', '.join(known)}")
        if name.lower() not in [found.id for found in offered]:
            raise InvalidTarget(
                f"target {name!r} is not offered by provider {provider_id}; "
                f"its targets are {', '.join(found.id for found in offered)}"
            )
