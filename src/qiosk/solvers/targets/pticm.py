"""1QBit's parallel tempering with isoenergetic cluster moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qiosk.errors import InvalidValue
from qiosk.solvers.targets.documents import oneqbit_document
from qiosk.solvers.targets.oneqbit_parameters import ONEQBIT_COMMON, oneqbit_target, require_quadratic
from qiosk.solvers.targets.parameters import choice, flag, integer, number, numbers

if TYPE_CHECKING:
    from qiosk.model.cost_function import F64
    from qiosk.solvers.search.context import SearchContext
    from qiosk.solvers.search.solver import Solver

PTICM = "1qbit.pticm"
DEFAULT_TEMPERATURES = 30
RUNS = 10  # of num_sweeps_per_run sweeps, where max_total_sweeps is not given


def _pticm(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.algorithms.isoenergetic import IsoenergeticTempering, Plan

    require_quadratic(context.problem, PTICM)
    context.require_memory(_replicas(values))  # before a ladder of that length is made
    ladder = _ladder(context, values)
    total = values["max_total_sweeps"] or RUNS * values["num_sweeps_per_run"]
    chosen = {"num_temps": len(ladder), "max_total_sweeps": total}
    if values["auto_set_temperatures"]:
        unit = _unit(context, values)
        chosen |= {"high_temp": 1.0 / (unit * float(ladder[0])), "low_temp": 1.0 / (unit * float(ladder[-1]))}
    solver = IsoenergeticTempering(
        context,
        ladder,
        ladders=values["num_replicas"],
        layers=round(values["frac_icm_thermal_layers"] * len(ladder)),
        plan=Plan(
            run_sweeps=values["num_sweeps_per_run"],
            total_sweeps=total,
            idle=float("inf") if _is_sampling(values) else values["frac_sweeps_idle"],
            stagnation=values["frac_sweeps_stagnation"],
            consensus=_consensus(values),
        ),
        reported=chosen,
        adapts=values["auto_set_temperatures"],
    )
    solver.warm_up()
    return solver


def _consensus(values: Mapping[str, Any]) -> Any:
    from qiosk.solvers.algorithms.consensus import SampleConsensus

    kind = values["var_fixing_type"]
    if kind == "NO_FIXING":
        return None
    return SampleConsensus(
        after=values["frac_sweeps_fixing"],
        temperatures=values["num_elite_temps"],
        per_layer=values["max_samples_per_layer"],
        elite=values["elite_threshold"] if kind == "SPVAR" else 1.0,
    )


def _ladder(context: SearchContext, values: Mapping[str, Any]) -> F64:
    """(K,) ascending betas [1/cost]. Raises InvalidValue if the temperatures contradict each other."""
    import numpy as np

    from qiosk.solvers.search.schedules import geometric
    from qiosk.solvers.search.tuning import first_ladder

    rungs, manual = values["num_temps"], values["manual_temperatures"]
    if values["auto_set_temperatures"]:
        return first_ladder(context.beta_range, rungs or DEFAULT_TEMPERATURES)
    unit = _unit(context, values)
    if manual is None:
        high, low = values["high_temp"], values["low_temp"]
        if high <= low:
            raise InvalidValue(f"parameter `high_temp`: must be greater than low_temp = {low:g}, found {high:g}")
        return geometric(1.0 / (unit * high), 1.0 / (unit * low), rungs or DEFAULT_TEMPERATURES)
    if rungs is not None and rungs != len(manual):
        raise InvalidValue(
            f"parameter `manual_temperatures`: must have as many entries as num_temps = {rungs}, found {len(manual)}"
        )
    for k, temperature in enumerate(manual):
        if temperature == 0.0:
            raise InvalidValue(f"parameter `manual_temperatures[{k}]`: must be greater than 0, found {temperature}")
    return np.sort(1.0 / (unit * np.array(manual, np.float64)))


def _unit(context: SearchContext, values: Mapping[str, Any]) -> float:
    """What a temperature of 1 is [cost]."""
    from qiosk.solvers.search.tuning import median_coefficient

    return median_coefficient(context.problem) if values["scaling_type"] == "MEDIAN" else 1.0


def _is_sampling(values: Mapping[str, Any]) -> bool:
    return bool(values["goal"] == "SAMPLE")


def _solutions(values: Mapping[str, Any]) -> int:
    wanted = int(values["number_of_solutions"])
    return max(wanted, int(values["max_samples_per_layer"])) if _is_sampling(values) else wanted


def _replicas(values: Mapping[str, Any]) -> int:
    rungs = values["num_temps"] or len(values["manual_temperatures"] or range(DEFAULT_TEMPERATURES))
    return int(values["num_replicas"] * rungs)


def _share(name: str, default: float, meaning: str) -> Any:
    return number(name, low=0.0, high=1.0, default=default, meaning=meaning)


_PARAMETERS = (
    flag("auto_set_temperatures", default=True, meaning="take the temperatures from the problem"),
    integer("num_temps", low=2, meaning="temperatures; 30, or as many as manual_temperatures has"),
    number("high_temp", low=0.0, exclusive=True, default=2.0, meaning="highest temperature"),
    number("low_temp", low=0.0, exclusive=True, default=0.2, meaning="lowest temperature"),
    numbers("manual_temperatures", low=0.0, meaning="temperatures, in any order"),
    choice("scaling_type", ("MEDIAN", "NO_SCALING"), default="MEDIAN", meaning="unit of the temperatures above"),
    integer("num_replicas", low=1, default=2, meaning="replicas at every temperature, at least"),
    integer("num_sweeps_per_run", low=1, default=100, meaning="sweeps of a run from a random beginning"),
    integer("max_total_sweeps", low=1, meaning="sweeps of all runs"),
    _share("frac_icm_thermal_layers", 0.5, "share of the temperatures, coldest first, with cluster moves"),
    _share("frac_sweeps_fixing", 0.15, "share of a run after which variables are fixed"),
    _share("frac_sweeps_idle", 1.0, "share of max_total_sweeps without a better cost that ends the search"),
    _share("frac_sweeps_stagnation", 1.0, "share of num_sweeps_per_run without a better cost that ends a run"),
    choice(
        "var_fixing_type",
        ("PERSISTENCY", "SPVAR", "NO_FIXING"),
        default="NO_FIXING",
        meaning="fix what all samples agree on, or what the best of them do",
    ),
    integer("num_elite_temps", low=1, default=4, meaning="coldest temperatures that are sampled"),
    integer("max_samples_per_layer", low=1, default=10, meaning="samples of one temperature, at most"),
    _share("elite_threshold", 0.3, "share of the samples, the best, that SPVAR uses"),
    choice("goal", ("OPTIMIZE", "SAMPLE"), default="OPTIMIZE", meaning="the best, or max_samples_per_layer of them"),
    *ONEQBIT_COMMON,
)

TARGETS = (
    oneqbit_target(
        id=PTICM,
        title="Parallel tempering with isoenergetic cluster moves",
        summary="Parallel tempering in which replicas also exchange clusters of variables; for sparse problems.",
        parameters=_PARAMETERS,
        build=_pticm,
        replicas=_replicas,
        solutions=_solutions,
        has_ladder=True,
        document=oneqbit_document("PTICM"),
    ),
)
"""The targets of this module."""
