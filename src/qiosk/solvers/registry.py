"""Target names, the parameters each takes, and how to set up its solver.

Light to import: a solver's module, and with it the kernels, is loaded when its target is first run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qiosk.contract.jobs import TargetView
from qiosk.errors import InvalidTarget, InvalidValue, ProviderNotFound
from qiosk.solvers.parameters import COMMON, Parameter, integer, number, numbers

if TYPE_CHECKING:
    from qiosk.solvers.base import Solver
    from qiosk.solvers.ground import Ground
    from qiosk.solvers.tuning import BetaRange

DEFAULT_TARGET = "microsoft.paralleltempering-parameterfree.cpu"
# A parameter-free run that was given no time-out ends after this many seconds, if it has not converged before.
DEFAULT_TIMEOUT = 30.0
DEFAULT_SWEEPS = 10_000
DEFAULT_RESTARTS = 72
# Replicas in a lane group of a parameter-free search.
FREE_REPLICAS = 64
# Sweeps that are plenty for a problem small enough to enumerate.
ADVISED_SWEEPS = 256


@dataclass(frozen=True, slots=True)
class Target:
    """A solver that jobs can be sent to.

    ``replicas`` says how many replicas the values ask for. ``advice`` gives a parameter-free target's parameters, in
    the names of the parameterized one, for a problem of n variables that was solved without a search.
    """

    id: str
    provider_id: str
    title: str
    parameters: tuple[Parameter, ...]
    build: Callable[[Ground, Mapping[str, Any]], Solver[Any]]
    replicas: Callable[[Mapping[str, Any]], int]
    advice: Callable[[int, BetaRange], dict[str, Any]] | None = None

    @property
    def is_parameter_free(self) -> bool:
        """Whether the target finds its parameters itself."""
        return self.advice is not None


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


def _annealing(ground: Ground, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.schedules import LinearSchedule
    from qiosk.solvers.simulated_annealing import SimulatedAnnealing

    start, stop = values["beta_start"], values["beta_stop"]
    if start is None or stop is None:
        found = _beta_range(ground)
        if start is None:
            start = found.hot if stop is None else min(found.hot, stop / 10.0)
        if stop is None:
            stop = max(found.cold, 2.0 * start)
    if stop <= start:
        raise InvalidValue(f"parameter `beta_stop`: must be greater than beta_start = {start:g}, found {stop:g}")
    return SimulatedAnnealing(ground, LinearSchedule(start, stop, values["sweeps"]), values["restarts"])


def _tempering(ground: Ground, values: Mapping[str, Any]) -> Solver[Any]:
    import numpy as np

    from qiosk.solvers.parallel_tempering import ParallelTempering
    from qiosk.solvers.tuning import first_ladder

    replicas, betas = values["replicas"], values["all_betas"]
    if betas is not None and replicas is not None and len(betas) != replicas:
        raise InvalidValue(
            f"parameter `all_betas`: must have as many entries as replicas = {replicas}, found {len(betas)}"
        )
    if betas is None:
        ground.require_memory(replicas or 1)  # before a ladder as long is laid out
        ladder = first_ladder(_beta_range(ground), replicas or _rungs(ground.problem.n))
    else:
        ladder = np.sort(np.array(betas, np.float64))
    return ParallelTempering(ground, ladder, values["sweeps"])


def _free_annealing(ground: Ground, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.parameter_free import ParameterFreeAnnealing

    return ParameterFreeAnnealing(ground, _beta_range(ground))


def _free_tempering(ground: Ground, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.parameter_free import ParameterFreeTempering

    return ParameterFreeTempering(ground, _beta_range(ground), _rungs(ground.problem.n))


def _annealing_advice(n: int, betas: BetaRange) -> dict[str, Any]:
    return {
        "beta_start": betas.hot,
        "beta_stop": betas.cold,
        "sweeps": ADVISED_SWEEPS,
        "restarts": DEFAULT_RESTARTS,
    }


def _tempering_advice(n: int, betas: BetaRange) -> dict[str, Any]:
    from qiosk.solvers.tuning import first_ladder

    ladder = first_ladder(betas, _rungs(n))
    return {"sweeps": ADVISED_SWEEPS, "replicas": len(ladder), "all_betas": ladder.tolist()}


def _beta_range(ground: Ground) -> BetaRange:
    from qiosk.solvers.tuning import beta_range

    return beta_range(ground.problem, ground.seed, ground.descent)


def _rungs(n: int) -> int:
    """Rungs of a ladder: the width of the cost distribution, and with it their number, grows as sqrt(n)."""
    return 16 if n <= 200 else 32 if n <= 5000 else 64


_BETA_START = number("beta_start", low=0.0, meaning="inverse temperature of the first sweep [1/cost]")
_BETA_STOP = number(
    "beta_stop",
    low=0.0,
    exclusive=True,
    meaning="inverse temperature of the last sweep, above beta_start [1/cost]",
)
_SWEEPS = integer("sweeps", low=1, default=DEFAULT_SWEEPS, meaning="sweeps of every replica")
_RESTARTS = integer("restarts", low=1, default=DEFAULT_RESTARTS, meaning="independent anneals, at least")
_REPLICAS = integer("replicas", low=1, meaning="replicas of one ladder")
_ALL_BETAS = numbers("all_betas", low=0.0, meaning="inverse temperatures of the ladder, in any order [1/cost]")

_TARGETS = {
    found.id: found
    for found in (
        Target(
            "microsoft.simulatedannealing.cpu",
            "Microsoft",
            "Simulated annealing",
            (_BETA_START, _BETA_STOP, _SWEEPS, _RESTARTS, *COMMON),
            _annealing,
            lambda values: int(values["restarts"]),
        ),
        Target(
            "microsoft.simulatedannealing-parameterfree.cpu",
            "Microsoft",
            "Simulated annealing, parameter-free",
            COMMON,
            _free_annealing,
            lambda values: FREE_REPLICAS,
            _annealing_advice,
        ),
        Target(
            "microsoft.paralleltempering.cpu",
            "Microsoft",
            "Parallel tempering",
            (_SWEEPS, _REPLICAS, _ALL_BETAS, *COMMON),
            _tempering,
            lambda values: int(values["replicas"] or len(values["all_betas"] or range(FREE_REPLICAS))),
        ),
        Target(
            "microsoft.paralleltempering-parameterfree.cpu",
            "Microsoft",
            "Parallel tempering, parameter-free",
            COMMON,
            _free_tempering,
            lambda values: FREE_REPLICAS,
            _tempering_advice,
        ),
    )
}
