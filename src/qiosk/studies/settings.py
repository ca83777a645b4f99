"""What a study consists of, and the reader of its settings.

A file of settings is TOML. Its keys are the members of :class:`StudySettings`, which describes them.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from qiosk.contract.plain import plain_value
from qiosk.errors import InvalidInput, InvalidTarget, InvalidValue, UnreadableInput, WrongType
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET, full_name
from qiosk.solvers.targets.catalogue import target as target_of
from qiosk.studies.checking import Table, integer, items, shown, text
from qiosk.studies.parameters import input_params

MAX_JOBS = 1_000_000
"""Most jobs of a study."""
IN_FLIGHT = 100
"""Jobs of a study that wait or run at once, by default."""
_MAX_SEED = 2**63 - 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")

_KEYS = (
    "name",
    "instances",
    "targets",
    "seeds",
    "timeout",
    "target_gap",
    "stop_at_target",
    "jobs_in_flight",
    "tags",
)
_INSTANCE_KEYS = ("files", "format", "penalty", "grid", "best_known")
_TARGET_KEYS = ("target", "label", "parameters", "grid")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFiles:
    """Files with instances. ``files`` is a path or a pattern such as ``gset/G*.rud``; ``**`` stands for any folders.

    ``format`` is the format of the files, by default each one's own. With ``penalty``, a number or ``"auto"``, they may
    have constraints and integers; ``grid`` is the step of continuous variables. ``best_known`` is the lowest known
    cost, or the best objective of a model, instead of the one that Qiosk knows.
    """

    files: str
    format: str | None = None
    penalty: float | str | None = None
    grid: float | None = None
    best_known: float | None = None

    @property
    def is_model(self) -> bool:
        """Whether the files are read as models."""
        return self.penalty is not None or self.grid is not None


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A target with its parameters, by name and without seed; ``label`` names it in tables and plots."""

    target: str
    label: str
    parameters: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """The target and the parameters as a text; the same for numbers that are equal."""
        values = {name: _number_as_float(value) for name, value in self.parameters.items()}
        return self.target, json.dumps(values, sort_keys=True)

    @cached_property
    def input_params(self) -> Mapping[str, Any]:
        """The parameters in the form that the target's jobs take."""
        return input_params(target_of(self.target), self.parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySettings:
    """The settings of a study. Those without a default are required.

    - ``name``: its jobs have the tag ``study:NAME``; 1 to 100 letters, digits, blanks and ``._-``.
    - ``instances``: a list of patterns of files, of tables with the members of :class:`InstanceFiles`, and in Python
      also of problems. Relative ones begin at the folder of the settings.
    - ``targets``: a list of tables: ``target``, a name as ``--target`` takes it; ``parameters``, a table of values;
      ``grid``, a table of lists of values, whose combinations are run; ``label``, a name for tables and plots.
    - ``seeds``: how many runs there are of each instance, target and combination, with the seeds 0, 1, …; or a list of
      seeds; or a table with the ``first`` one and their ``count``. Default: 1.
    - ``timeout``: time limit of each run [s], where the parameters of a target give none.
    - ``target_gap``: how far from the best known cost the cost may be that counts as reached, as a share of the best
      known one. Default: 0.
    - ``stop_at_target``: whether runs stop when they reach that cost. Default: false.
    - ``jobs_in_flight``: how many jobs may wait or run at once, 1 to 10 000. Default: 100.
    - ``tags``: further tags of the jobs.
    """

    name: str
    instances: tuple[Any, ...]
    configurations: tuple[Configuration, ...]
    seeds: tuple[int, ...] = (0,)
    target_gap: float = 0.0
    stop_at_target: bool = False
    jobs_in_flight: int = IN_FLIGHT
    tags: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """The tag of the study's jobs and sessions."""
        return f"study:{self.name}"


def read_file(path: Path) -> dict[str, Any]:
    """The content of a TOML file. Raises OSError; UnreadableInput if it is no TOML."""
    data = path.read_bytes()
    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnreadableInput(f"{path}: must be TOML: {error}") from error
    except (RecursionError, ValueError) as error:  # of the standard library for what is too deep, and too long numbers
        raise UnreadableInput(f"{path}: cannot be read: {error}") from error


def read_settings(where: str, given: Mapping[str, Any]) -> StudySettings:
    """Settings from their members by name. ``where`` begins the messages of errors.

    Raises WrongType, InvalidValue, InvalidTarget, which name the place, the rule and the value.
    """
    table = Table(where, given, _KEYS)
    in_flight = table.integer("jobs_in_flight", least=1, most=10_000)
    settings = StudySettings(
        name=_name(table),
        instances=tuple(
            _instance(f"{where}: instances[{number}]", each)
            for number, each in enumerate(items(table.place("instances"), table.required("instances")))
        ),
        configurations=_configurations(where, table),
        seeds=_seeds(table),
        target_gap=table.number("target_gap", least=0.0) or 0.0,
        stop_at_target=table.flag("stop_at_target"),
        jobs_in_flight=IN_FLIGHT if in_flight is None else in_flight,
        tags=_tags(table),
    )
    if settings.stop_at_target and any("target_cost" in each.parameters for each in settings.configurations):
        raise InvalidValue(f"{where}: stop_at_target: must not be given together with a parameter target_cost")
    return settings


def _name(table: Table) -> str:
    name = text(table.place("name"), table.required("name"))
    if not _NAME.fullmatch(name):
        raise InvalidValue(
            f"{table.place('name')}: must be 1 to 100 letters, digits, blanks and ._-, the first a letter or digit,"
            f" found {shown(name)}"
        )
    return name


def _tags(table: Table) -> tuple[str, ...]:
    given = table.given("tags")
    place = table.place("tags")
    return () if given is None else tuple(text(f"{place}[{k}]", tag) for k, tag in enumerate(items(place, given)))


def _seeds(table: Table) -> tuple[int, ...]:
    given, place = table.given("seeds"), table.place("seeds")
    if given is None:
        return (0,)
    if isinstance(given, int) and not isinstance(given, bool):
        return tuple(range(integer(place, given, least=1, most=MAX_JOBS)))
    if isinstance(given, Mapping):
        span = Table(place, given, ("first", "count"))
        first = integer(span.place("first"), span.required("first"), least=0, most=_MAX_SEED - MAX_JOBS)
        return tuple(range(first, first + integer(span.place("count"), span.required("count"), least=1, most=MAX_JOBS)))
    if isinstance(given, str) or not isinstance(given, list | tuple | range):
        raise WrongType(f"{place}: must be a number of seeds, a list or a table, found {shown(given)}")
    seeds = tuple(integer(f"{place}[{k}]", seed, least=0, most=_MAX_SEED) for k, seed in enumerate(given))
    if not seeds:
        raise InvalidValue(f"{place}: must have at least one seed, found an empty list")
    for earlier, seed in pairwise(sorted(seeds)):
        if seed == earlier:
            raise InvalidValue(f"{place}: must be different, found {seed} twice")
    return seeds


def _instance(where: str, given: Any) -> Any:
    """Files of instances; a problem as it is."""
    if hasattr(given, "to_blob") and hasattr(given, "cost_function"):
        return given
    if isinstance(given, Path):
        given = str(given)
    if isinstance(given, str):
        return InstanceFiles(files=text(where, given))
    if not isinstance(given, Mapping):
        raise WrongType(f"{where}: must be a path, a pattern or a table, found {shown(given)}")
    table = Table(where, given, _INSTANCE_KEYS)
    penalty = table.given("penalty")
    return InstanceFiles(
        files=text(table.place("files"), table.required("files")),
        format=table.text("format"),
        penalty=penalty if penalty == "auto" else table.number("penalty", least=0.0, exclusive=True),
        grid=table.number("grid", least=0.0, exclusive=True),
        best_known=table.number("best_known"),
    )


def _configurations(where: str, table: Table) -> tuple[Configuration, ...]:
    timeout = table.number("timeout", least=0.0, exclusive=True)
    found: list[Configuration] = []
    for number, given in enumerate(items(table.place("targets"), table.required("targets"))):
        found += _combinations(f"{where}: targets[{number}]", given, timeout)
        if len(found) > MAX_JOBS:
            raise InvalidValue(f"{where}: targets: must have at most {MAX_JOBS} combinations, found more")
    seen: set[tuple[str, str]] = set()
    labels: set[str] = set()
    for each in found:
        if (key := each.key) in seen:
            raise InvalidValue(f"{where}: targets: must be different, found {each.label} twice")
        if each.label in labels:
            raise InvalidValue(f"{where}: targets: labels must be different, found {shown(each.label)} twice")
        seen.add(key)
        labels.add(each.label)
    return tuple(found)


def _combinations(where: str, given: Any, timeout: float | None) -> list[Configuration]:
    """The combinations of one target's grid, each with the fixed parameters."""
    table = Table(where, given, _TARGET_KEYS)
    name = table.text("target") or DEFAULT_TARGET
    fixed = _parameters(table.place("parameters"), table.given("parameters"))
    grid = _parameters(table.place("grid"), table.given("grid"))
    for key, values in grid.items():
        place = f"{table.place('grid')}.{key}"
        if key in fixed:
            raise InvalidValue(f"{place}: must not be given in parameters, too")
        if not items(place, values):
            raise InvalidValue(f"{place}: must have at least one value, found an empty list")
    if (size := math.prod(len(values) for values in grid.values())) > MAX_JOBS:
        raise InvalidValue(f"{table.place('grid')}: must have at most {MAX_JOBS} combinations, found {size}")
    label = table.text("label")
    found = []
    for values in product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        parameters = {**({} if timeout is None else {"timeout": timeout}), **fixed, **chosen}
        target = _target(where, name, parameters)
        varied = [f"{key}={value}" for key, value in chosen.items()]
        found.append(
            Configuration(
                target=target,
                label=" ".join([label or _short(target), *varied]),
                parameters=parameters,
            )
        )
    return found


def _parameters(where: str, given: Any) -> dict[str, Any]:
    """Parameters as plain values, without the seed. Raises WrongType, InvalidValue."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise WrongType(f"{where}: must be a table, found {shown(given)}")
    if "seed" in given:
        raise InvalidValue(f"{where}.seed: must not be given; seeds are given for the whole study")
    try:
        return {name: plain_value(name, value) for name, value in given.items()}
    except InvalidInput as error:
        raise type(error)(f"{where}: {error.message}") from error


def _target(where: str, name: str, parameters: Mapping[str, Any]) -> str:
    """The full name of a target that takes these parameters."""
    try:
        target = target_of(full_name(name, [*parameters, "seed"]))
        target.check_names([*parameters, "seed"])
        input_params(target, {**parameters, "seed": 0})
    except (InvalidInput, InvalidTarget) as error:
        raise type(error)(f"{where}: {error.message}") from error
    return target.id


def _number_as_float(value: Any) -> Any:
    """An integer as the float that is equal to it, if it is surely exact."""
    is_exact = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53
    return float(value) if is_exact else value


def _short(target: str) -> str:
    """A target without what most targets have in common."""
    return target.removeprefix("microsoft.").removeprefix("qiosk.").removesuffix(".cpu").removesuffix("-parameterfree")
