"""Population annealing and substochastic Monte Carlo, parameterized and parameter-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qiosk.solvers.targets.parameters import COMMON, integer, number, schedule
from qiosk.solvers.targets.target import (
    ADVISED_SWEEPS,
    DEFAULT_SWEEPS,
    FREE_REPLICAS,
    MICROSOFT,
    Target,
)

if TYPE_CHECKING:
    from qiosk.solvers.search.context import SearchContext
    from qiosk.solvers.search.solver import Solver
    from qiosk.solvers.search.tuning import BetaRange

DEFAULT_POPULATION = 72
DEFAULT_ALPHA = 2.0
DEFAULT_STEPS = 10_000
# The default hops of a walker: always at first, never in the end.
HOPS = {"type": "linear", "initial": 1.0, "final": 0.0}
# Last beta of the resampling of walkers, as a share of the inverse temperature at which the problem freezes.
LAST_BETA = 0.5
# Time limit of parameter-free runs that were given none [s]; the clients of the old service assume it.
FREE_TIMEOUT = 5.0


def _annealing(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.algorithms.population_annealing import PopulationAnnealing
    from qiosk.solvers.search.schedules import Schedule

    if values["beta"] is None:
        found = context.beta_range
        course = Schedule(found.hot, found.cold)
    else:
        course = Schedule.from_parameter(values["beta"])
    solver = PopulationAnnealing(context, course, values["sweeps"], values["population"], values["alpha"])
    solver.warm_up()
    return solver


def _free_annealing(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.parameter_free.populations import ParameterFreePopulationAnnealing

    solver = ParameterFreePopulationAnnealing(context, context.beta_range)
    solver.warm_up()
    return solver


def _annealing_advice(n: int, betas: BetaRange) -> dict[str, Any]:
    return {
        "sweeps": ADVISED_SWEEPS,
        "population": DEFAULT_POPULATION,
        "alpha": DEFAULT_ALPHA,
        "beta": {"type": "linear", "initial": betas.hot, "final": betas.cold},
    }


def _substochastic(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.algorithms.substochastic import SubstochasticMonteCarlo
    from qiosk.solvers.search.schedules import Schedule

    if values["beta"] is None:
        beta = Schedule(0.0, LAST_BETA * context.beta_range.cold)
    else:
        beta = Schedule.from_parameter(values["beta"])
    solver = SubstochasticMonteCarlo(
        context,
        alpha=Schedule.from_parameter(values["alpha"] or HOPS),
        beta=beta,
        step_limit=values["step_limit"],
        population=values["target_population"],
        steps_per_walker=values["steps_per_walker"],
    )
    solver.warm_up()
    return solver


def _free_substochastic(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.parameter_free.populations import ParameterFreeSubstochastic

    betas = context.beta_range
    solver = ParameterFreeSubstochastic(context, betas, LAST_BETA * betas.cold)
    solver.warm_up()
    return solver


def _substochastic_advice(n: int, betas: BetaRange) -> dict[str, Any]:
    return {
        "step_limit": ADVISED_SWEEPS * max(1, n),
        "target_population": DEFAULT_POPULATION,
        "steps_per_walker": 1,
        "alpha": HOPS,
        "beta": {"type": "linear", "initial": 0.0, "final": LAST_BETA * betas.cold},
    }


TARGETS = (
    Target(
        id="microsoft.populationannealing.cpu",
        provider_id=MICROSOFT,
        title="Population annealing",
        summary="Cools a population of configurations together, and copies the good ones at the expense of the others.",
        parameters=(
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
        keeps_one_hot=True,
        build=_annealing,
        replicas=lambda values: int(values["population"]),
    ),
    Target(
        id="microsoft.populationannealing-parameterfree.cpu",
        provider_id=MICROSOFT,
        title="Population annealing, parameter-free",
        summary="Population annealing in rounds of growing effort; for rugged problems of a thousand variables up.",
        parameters=COMMON,
        keeps_one_hot=True,
        build=_free_annealing,
        replicas=lambda values: FREE_REPLICAS,
        advice=_annealing_advice,
        default_timeout=FREE_TIMEOUT,
    ),
    Target(
        id="microsoft.substochasticmontecarlo.cpu",
        provider_id=MICROSOFT,
        title="Substochastic Monte Carlo",
        summary="Walkers hop at random; those at low costs are copied and the others removed.",
        parameters=(
            integer("step_limit", low=1, default=DEFAULT_STEPS, meaning="variable updates of every walker"),
            integer("target_population", low=1, default=DEFAULT_POPULATION, meaning="walkers"),
            integer("steps_per_walker", low=1, default=1, meaning="steps after which the walkers are resampled"),
            schedule("alpha", is_increasing=False, meaning="probability of a hop in a step; above 1 counts as 1"),
            schedule("beta", is_increasing=True, meaning="weight of the cost in resampling [1/cost]"),
            *COMMON,
        ),
        build=_substochastic,
    ),
    Target(
        id="microsoft.substochasticmontecarlo-parameterfree.cpu",
        provider_id=MICROSOFT,
        title="Substochastic Monte Carlo, parameter-free",
        summary="Substochastic Monte Carlo that finds its schedules itself.",
        parameters=COMMON,
        build=_free_substochastic,
        advice=_substochastic_advice,
        default_timeout=FREE_TIMEOUT,
    ),
)
"""The targets of this module."""
