"""Population annealing and substochastic Monte Carlo, parameterized and parameter-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qiosk.solvers.parameters import COMMON, integer, number, schedule
from qiosk.solvers.target import (
    ADVISED_SWEEPS,
    DEFAULT_SWEEPS,
    FREE_REPLICAS,
    MICROSOFT,
    Target,
)

if TYPE_CHECKING:
    from qiosk.solvers.base import Solver
    from qiosk.solvers.ground import Ground
    from qiosk.solvers.tuning import BetaRange

DEFAULT_POPULATION = 72
DEFAULT_ALPHA = 2.0
# Time limit of parameter-free runs that were given none [s]; the clients of the old service assume it.
FREE_TIMEOUT = 5.0


def _annealing(ground: Ground, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.population_annealing import PopulationAnnealing
    from qiosk.solvers.schedules import Schedule

    if values["beta"] is None:
        found = ground.beta_range
        course = Schedule(found.hot, found.cold)
    else:
        course = Schedule.from_parameter(values["beta"])
    return PopulationAnnealing(ground, course, values["sweeps"], values["population"], values["alpha"])


def _free_annealing(ground: Ground, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.parameter_free_population import ParameterFreePopulationAnnealing

    return ParameterFreePopulationAnnealing(ground, ground.beta_range)


def _annealing_advice(n: int, betas: BetaRange) -> dict[str, Any]:
    return {
        "sweeps": ADVISED_SWEEPS,
        "population": DEFAULT_POPULATION,
        "alpha": DEFAULT_ALPHA,
        "beta": {"type": "linear", "initial": betas.hot, "final": betas.cold},
    }


TARGETS = (
    Target(
        "microsoft.populationannealing.cpu",
        MICROSOFT,
        "Population annealing",
        (
            integer("sweeps", low=1, default=DEFAULT_SWEEPS, meaning="sweeps of every replica"),
            integer("population", low=1, default=DEFAULT_POPULATION, meaning="replicas, at least"),
            number(
                "alpha",
                low=1.0,
                exclusive=True,
                default=DEFAULT_ALPHA,
                meaning="population over its effective size at which it is resampled",
            ),
            schedule("beta", is_increasing=True, meaning="inverse temperature by sweep [1/cost]"),
            *COMMON,
        ),
        _annealing,
        lambda values: int(values["population"]),
    ),
    Target(
        "microsoft.populationannealing-parameterfree.cpu",
        MICROSOFT,
        "Population annealing, parameter-free",
        COMMON,
        _free_annealing,
        lambda values: FREE_REPLICAS,
        _annealing_advice,
        default_timeout=FREE_TIMEOUT,
    ),
)
"""The targets of this module."""
