"""The arguments of ``QioskSampler``: those of Ocean's samplers, and those of ``qiosk.solve``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dimod
import numpy as np

from qiosk.errors import InvalidValue
from qiosk.interop.labels import Encoded
from qiosk.problem import Problem
from qiosk.solvers.targets.parameters import SEED, TIMEOUT, integer
from qiosk.solvers.targets.target import Target

SOLUTIONS_EACH = 10
"""Most samples of one run: the largest ``number_of_solutions``."""

SOLVE_OPTIONS = ("timeout", "seed", "number_of_solutions")
"""Arguments of ``qiosk.solve`` that all methods take."""
READ_OPTIONS = ("num_reads", "initial_states", "time_limit", "label")
"""Arguments of Ocean's samplers that methods for models of bits and spins take."""
MODEL_OPTIONS = ("time_limit", "label", "compress", "compressed")
"""Arguments of Ocean's hybrid samplers that methods for models with constraints or cases take."""
_OCEAN_NAMES = {"time_limit": "timeout", "num_sweeps": "sweeps"}
_NUM_READS = integer("num_reads", low=1, high=100_000, meaning="samples")


@dataclass(frozen=True, slots=True)
class Reads:
    """Samples that a caller asks for: their number, where they begin, and the parameters of the runs that find them.

    A run returns at most ``SOLUTIONS_EACH`` samples, so more of them take several runs, with seeds one after the other.
    """

    count: int | None
    states: Sequence[Mapping[Any, int]]
    label: str | None
    given: Mapping[str, Any]

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return 1 if self.count is None else -(-self.count // SOLUTIONS_EACH)

    def wanted(self, number: int) -> int:
        """Samples of a run."""
        if self.count is None:
            return int(self.given.get("number_of_solutions", 1))
        return min(SOLUTIONS_EACH, self.count - number * SOLUTIONS_EACH)

    def parameters_of(self, number: int) -> dict[str, Any]:
        """Parameters of a run; the time limit is divided among all runs."""
        own = dict(self.given)
        if self.count is not None:
            own["number_of_solutions"] = self.wanted(number)
        if "seed" in own and number:
            own["seed"] = (int(own["seed"]) + number + 2**63) % 2**64 - 2**63
        if "timeout" in own and self.runs > 1:
            own["timeout"] = own["timeout"] / self.runs
        return own

    def problem(self, encoded: Encoded[dict[Any, int]], number: int) -> Problem:
        """The problem of a run, with its initial state; there may be fewer states than runs, or none."""
        if not self.states:
            return encoded.problem
        state = self.states[number % len(self.states)]
        labels = encoded.decode({i: i for i in encoded.problem.cost_function().variables.tolist()})
        missing = [label for label in labels if label not in state]
        if missing:
            raise InvalidValue(f"parameter `initial_states`: there is no value of variable {missing[0]!r}")
        initial = {i: int(state[label]) for label, i in labels.items()}
        return Problem.from_cost_function(replace(encoded.problem.cost_function(), initial_configuration=initial))


def reads_of(target: Target, parameters: Mapping[str, Any], vartype: Any) -> Reads:
    """The arguments of a method for models of bits or spins, checked. Raises InvalidValue."""
    given = _renamed(target, parameters)
    states = _initial_states(given.pop("initial_states", None), vartype)
    label = given.pop("label", None)
    count = given.pop("num_reads", None)
    if count is not None:
        if "number_of_solutions" in given:
            raise InvalidValue("parameter `num_reads`: it replaces `number_of_solutions`, give one of them")
        count = _NUM_READS.read("num_reads", count)
    target.check_names(given, also=(*SOLVE_OPTIONS, *READ_OPTIONS))
    return Reads(count, states, None if label is None else str(label), given)


def model_arguments(target: Target, parameters: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The label of the job and the parameters of a method for models with constraints or cases. Raises InvalidValue."""
    given = _renamed(target, parameters)
    label = given.pop("label", None)
    for name in ("compress", "compressed"):  # of the file that Ocean uploads
        given.pop(name, None)
    target.check_names(given, also=(*SOLVE_OPTIONS, *MODEL_OPTIONS))
    return None if label is None else str(label), given


def _renamed(target: Target, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are not None, under their names in Qiosk."""
    given = {name: value for name, value in parameters.items() if value is not None}
    known = {parameter.name for parameter in target.parameters}
    for name, own in _OCEAN_NAMES.items():
        if name in given and own in known | {"timeout"}:
            if own in given:
                raise InvalidValue(f"parameter `{name}`: it means the same as `{own}`, give one of them")
            given[own] = given.pop(name)
    if "beta_range" in given and {"beta_start", "beta_stop"} <= known:
        ends = given.pop("beta_range")
        if not isinstance(ends, (list, tuple, np.ndarray)) or len(ends) != 2:
            raise InvalidValue(f"parameter `beta_range`: must be a pair (beta_start, beta_stop), found {ends!r}")
        given["beta_start"], given["beta_stop"] = ends
    for parameter in (TIMEOUT, SEED):
        if parameter.name in given:
            given[parameter.name] = parameter.read(parameter.name, given[parameter.name])
    return given


def _initial_states(states: Any, vartype: Any) -> Sequence[Mapping[Any, int]]:
    """Samples in any form that dimod takes, by label, as values of a vartype."""
    if states is None:
        return ()
    if not isinstance(states, dimod.SampleSet):
        rows, labels = dimod.as_samples(states)
        kind = dimod.SPIN if (rows < 0).any() else dimod.BINARY if (rows == 0).any() else vartype
        states = dimod.SampleSet.from_samples((rows, labels), energy=np.zeros(len(rows)), vartype=kind)
    return [dict(row) for row in states.change_vartype(vartype, inplace=False).samples(sorted_by=None)]
