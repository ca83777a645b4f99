"""Trials: one instance, one configuration of a target, one seed. Each is a job with an id of its own.

The id of a job follows from the study's name and from what the job does. So a study that is run again finds its jobs,
also after its process was killed, and no job is submitted twice, not even by two processes at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID, uuid5

from qiosk.errors import InvalidValue
from qiosk.studies.instances import Instance
from qiosk.studies.parameters import with_more
from qiosk.studies.settings import MAX_JOBS, Configuration, StudySettings

ROUNDING = 1e-9
"""Costs whose relative difference is smaller are taken for equal."""
_IDS = UUID("6f1c3f0e-6a1b-4f6e-9d2b-0c6b6f3f5b6e")
"""The namespace of the ids of jobs."""


@dataclass(frozen=True)
class Trial:
    """One run of a study; ``target_cost`` is where it stops, if it does."""

    study: str
    instance: Instance
    configuration: Configuration
    seed: int
    target_cost: float | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters, with the seed; the timeout is in seconds."""
        return {**self.configuration.parameters, **self._own}

    @property
    def input_params(self) -> dict[str, Any]:
        """The parameters in the form that the target's jobs take."""
        return with_more(self.configuration.input_params, self.configuration.target, self._own)

    @property
    def _own(self) -> dict[str, Any]:
        """The parameters that the configuration does not have."""
        own = {} if self.target_cost is None else {"target_cost": self.target_cost}
        return {**own, "seed": self.seed}

    @cached_property
    def job_id(self) -> str | None:
        """The id of its job; None if the instance cannot be read."""
        facts = self.instance.facts
        if facts is None:
            return None
        parts = [self.study, self.instance.name, facts.digest, self.configuration.target, self.input_params]
        return str(uuid5(_IDS, json.dumps(parts, sort_keys=True)))


def all_trials(where: str, settings: StudySettings, instances: Sequence[Instance]) -> list[Trial]:
    """All trials of a study. Raises InvalidValue if they are too many, or have no cost to stop at."""
    count = len(instances) * len(settings.configurations) * len(settings.seeds)
    if count > MAX_JOBS:
        raise InvalidValue(f"{where}: must be at most {MAX_JOBS} jobs, found {count}")
    return [
        Trial(settings.name, instance, configuration, seed, target_cost)
        for instance, target_cost in _with_target_costs(where, settings, instances)
        for configuration in settings.configurations
        for seed in settings.seeds
    ]


def _with_target_costs(
    where: str, settings: StudySettings, instances: Sequence[Instance]
) -> Iterator[tuple[Instance, float | None]]:
    """Each instance, and the cost at which its runs stop."""
    for instance in instances:
        facts = instance.facts
        if not settings.stop_at_target or facts is None:
            yield instance, None
        elif facts.best_known is None or facts.is_model:
            rule = "its cost is not the objective" if facts.is_model else "no best known cost"
            raise InvalidValue(f"{where}: stop_at_target: {instance.name} has no cost to stop at: {rule}")
        else:
            cost = cost_within(facts.best_known, settings.target_gap)
            yield instance, cost + ROUNDING * abs(cost)


def cost_within(best: float, gap: float) -> float:
    """The highest cost whose gap to the best one is at most ``gap``, a share of the best one."""
    return best + gap * abs(best)
