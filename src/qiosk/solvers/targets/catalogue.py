"""Target names to targets.

Light to import: a solver's module, and with it the kernels, is loaded when its target is first run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from qiosk.contract.jobs import TargetView
from qiosk.errors import InvalidTarget, ProviderNotFound
from qiosk.solvers.targets import annealing, auto, bifurcation, population, pticm, quantum, tabu, tempering
from qiosk.solvers.targets.target import Target

DEFAULT_TARGET = auto.AUTO
"""The target of a run for which none was named."""

_FREE = "-parameterfree"

_FAMILIES = (annealing, auto, bifurcation, population, pticm, quantum, tabu, tempering)
_TARGETS: dict[str, Target] = {found.id: found for family in _FAMILIES for found in family.TARGETS}


def target(name: str) -> Target:
    """The target of this name, in any case. Raises InvalidTarget."""
    found = _TARGETS.get(name.lower())
    if found is None:
        hint = _nearest(name, _TARGETS) or f"; targets are {', '.join(_TARGETS)}"
        raise InvalidTarget(f"target {name!r} is not offered{hint}")
    return found


def full_name(name: str, params: Iterable[str] = ()) -> str:
    """The target of a solver's name, the middle part of its targets' (``tabu``); other names stay as they are.

    It is the parameter-free target if that has all of the parameters. Microsoft's come before those of others.
    """
    solver, given = name.lower(), set(params)
    found = [each for each in _TARGETS.values() if each.id.split(".")[1].removesuffix(_FREE) == solver]
    if "." in name or not found:
        return name
    found.sort(key=lambda each: (each.provider_id != "Microsoft", not each.is_parameter_free))
    own = [each for each in found if each.provider_id == found[0].provider_id]
    return next((each for each in own if given <= {parameter.name for parameter in each.parameters}), own[-1]).id


def _nearest(name: str, offered: Iterable[str]) -> str | None:
    """ "did you mean" and the target whose solver's name is nearest to a part of ``name``; None if none is near.

    Whole names are not compared, because ``microsoft.`` and ``.cpu`` are most of the short ones.
    """
    solver_of = {target_id: target_id.split(".")[1] for target_id in offered}
    solvers = set(solver_of.values())
    near = [solver for part in name.lower().split(".") for solver in get_close_matches(part, solvers, 1, cutoff=0.75)]
    meant = [target_id for target_id, solver in solver_of.items() if solver in near]
    return f", did you mean {get_close_matches(name.lower(), meant, 1, cutoff=0)[0]!r}?" if meant else None


def targets() -> Sequence[Target]:
    """Every target, by name."""
    return tuple(_TARGETS[name] for name in sorted(_TARGETS))


class Catalogue:
    """The targets, in the form that the job service needs."""

    def targets(self) -> Sequence[TargetView]:
        """Every target that can be run."""
        return [TargetView(id=found.id, provider_id=found.provider_id) for found in targets()]

    def with_timeout(self, name: str, input_params: Any, seconds: float) -> dict[str, Any]:
        """The ``inputParams`` of a job with another time limit [s]. Raises InvalidTarget, InvalidValue."""
        return target(name).with_timeout(input_params, seconds)

    def check(self, provider_id: str, name: str) -> None:
        """Raises ProviderNotFound or InvalidTarget unless the provider offers the target."""
        offered = [found for found in targets() if found.provider_id.lower() == provider_id.lower()]
        if not offered:
            known = sorted({found.provider_id for found in targets()})
            raise ProviderNotFound(f"provider {provider_id!r} is unknown; providers are {', '.join(known)}")
        ids = [found.id for found in offered]
        if name.lower() not in ids:
            hint = _nearest(name, ids) or f"; its targets are {', '.join(ids)}"
            raise InvalidTarget(f"target {name!r} is not offered by provider {provider_id}{hint}")
