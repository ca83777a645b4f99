"""What a target is: a name that jobs are sent to, the parameters it takes, and how its solver is set up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Real
from typing import TYPE_CHECKING, Any

from qiosk.errors import InvalidValue
from qiosk.solvers.targets.documents import Document, microsoft_document
from qiosk.solvers.targets.parameters import Parameter, params_section

if TYPE_CHECKING:
    from qiosk.solvers.search.context import SearchContext
    from qiosk.solvers.search.solver import Solver
    from qiosk.solvers.search.tuning import BetaRange

MICROSOFT = "Microsoft"
# A parameter-free run that was given no time-out ends after this many seconds, if it has not converged before.
DEFAULT_TIMEOUT = 30.0
DEFAULT_SWEEPS = 10_000
DEFAULT_RESTARTS = 72
# Replicas in a lane group of a parameter-free search.
FREE_REPLICAS = 64
# Sweeps that are plenty for a problem small enough to enumerate.
ADVISED_SWEEPS = 256


def timeout_in_seconds(values: Mapping[str, Any]) -> float | None:
    """The time limit [s] of targets whose ``timeout`` is in seconds; None: no limit."""
    timeout: float | None = values["timeout"]
    return timeout


def number_of_solutions(values: Mapping[str, Any]) -> int:
    """How many solutions the parameter ``number_of_solutions`` asks for."""
    return int(values["number_of_solutions"])


def target_cost(values: Mapping[str, Any]) -> float | None:
    """The cost that is good enough by the parameter ``target_cost``; None: no cost is."""
    cost: float | None = values["target_cost"]
    return cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A solver that jobs can be sent to.

    ``summary`` is a sentence about it. ``is_quadratic_only``: problems may have no terms of three or more variables.
    ``build`` sets up the solver for a problem and checked parameter values; it raises InvalidValue if it cannot take
    them. ``replicas`` is how many Metropolis replicas the values ask for; None where a solver sweeps by no kernel of
    the planner. ``has_ladder``: each replica has a beta of its own. ``prefers_long_searches``: on large problems a few
    long searches are better than so many. ``keeps_one_hot``: the solver keeps one-hot groups; for others the problem
    has none. ``advice`` gives a parameter-free target's parameters, in the names of the parameterized one, for a
    problem of n variables that was solved without a search. ``is_divisible``: the search makes independent restarts,
    each of which finds the same whichever others there are.
    """

    id: str
    provider_id: str
    title: str
    summary: str
    parameters: tuple[Parameter, ...]
    build: Callable[[SearchContext, Mapping[str, Any]], Solver[Any]]
    replicas: Callable[[Mapping[str, Any]], int] | None = None
    advice: Callable[[int, BetaRange], dict[str, Any]] | None = None
    section: Callable[[Any], Mapping[str, Any]] = params_section  # a job's inputParams -> parameters by name
    timeout_s: Callable[[Mapping[str, Any]], float | None] = timeout_in_seconds
    default_timeout: float = DEFAULT_TIMEOUT  # [s], of a parameter-free run
    timeout_unit: float = 1.0  # [s], of the parameter ``timeout``
    solutions: Callable[[Mapping[str, Any]], int] = number_of_solutions
    target_cost: Callable[[Mapping[str, Any]], float | None] = target_cost
    has_ladder: bool = False
    prefers_long_searches: bool = False
    keeps_one_hot: bool = False
    is_quadratic_only: bool = False
    is_divisible: Callable[[Mapping[str, Any]], bool] = lambda values: False
    document: Document = microsoft_document  # the provider's format of results

    @property
    def has_kernels(self) -> bool:
        """Whether the target sweeps by a kernel of the planner."""
        return self.replicas is not None

    @property
    def is_parameter_free(self) -> bool:
        """Whether the target finds its parameters itself."""
        return self.advice is not None

    def keeps_groups(self, kernel: str | None) -> bool:
        """Whether the solver keeps one-hot groups with the kernel that was asked for; None: with its own choice."""
        return self.keeps_one_hot and kernel in (None, "one-hot")

    def time_limit(self, values: Mapping[str, Any]) -> float:
        """How long a run with these values may take [s]; infinite if they do not limit it."""
        timeout = self.timeout_s(values)
        if timeout is None:
            return self.default_timeout if self.is_parameter_free else math.inf
        return timeout

    def in_own_units(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters with a ``timeout`` in seconds, in the target's unit; a timeout that is no number is left as it
        is."""
        timeout = given.get("timeout")
        if isinstance(timeout, bool) or not isinstance(timeout, Real):
            return dict(given)
        return {**given, "timeout": float(timeout) / self.timeout_unit}

    def with_params(self, input_params: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """A job's ``inputParams`` with other values of some parameters, in the target's own units."""
        members = dict(input_params) if isinstance(input_params, Mapping) else {}
        if isinstance(members.get("params"), Mapping):
            return {**members, "params": {**members["params"], **given}}
        return {**members, **given}

    def with_timeout(self, input_params: Any, seconds: float) -> dict[str, Any]:
        """A job's ``inputParams`` with another time limit [s]. Raises InvalidValue if the target allows no such one."""
        own = self.in_own_units({"timeout": seconds})
        for parameter in self.parameters:
            if parameter.name in own:
                parameter.read(parameter.name, own[parameter.name])
        return self.with_params(input_params, own)

    def check_names(self, names: Iterable[str], also: Iterable[str] = ()) -> None:
        """Raises InvalidValue for a name that is neither a parameter's nor in ``also``: it would be ignored."""
        known = list(dict.fromkeys((*also, *(parameter.name for parameter in self.parameters))))
        for name in names:
            if name not in known:
                close = get_close_matches(name, known, 1, cutoff=0.75)
                hint = f", did you mean `{close[0]}`?" if close else f"; it takes {', '.join(known)}"
                raise InvalidValue(f"parameter `{name}`: {self.id} has no such parameter{hint}")
