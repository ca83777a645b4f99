"""Parameters of targets: names, types, bounds, defaults; and the one reader that checks them.

Presence is checked before type, and type before value. Unknown names are ignored: other services add their own.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from qiosk.bounds.choice import AUTO, METHODS, NONE
from qiosk.errors import InvalidValue, MissingSection, WrongType

Check = Callable[[str, Any], Any]

_SCHEDULES = ("linear", "geometric")


class Kind(StrEnum):
    """What the values of a parameter are, for forms."""

    INTEGER = "integer"
    NUMBER = "number"
    CHOICE = "choice"
    FLAG = "flag"
    NUMBERS = "numbers"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. ``read`` checks a given value and returns it in its own type; ``default`` is used if none is
    given.

    A default of None means that the solver chooses, and reports what it chose. ``choices`` are all values of a choice.
    """

    name: str
    read: Check
    default: Any
    meaning: str
    rule: str
    kind: Kind
    choices: tuple[str, ...] = ()


def read_parameters(parameters: Sequence[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter's value, given or default. A value of None counts as not given.

    Raises WrongType (AZQ103) and InvalidValue (AZQ107), which name the parameter, the rule and the value.
    """
    values = {}
    for parameter in parameters:
        value = given.get(parameter.name)
        values[parameter.name] = parameter.default if value is None else parameter.read(parameter.name, value)
    return values


def params_section(input_params: Any) -> Mapping[str, Any]:
    """The ``params`` object of a job's ``inputParams``. Raises MissingSection (AZQ102) if there is none."""
    params = input_params.get("params") if isinstance(input_params, Mapping) else None
    if not isinstance(params, Mapping):
        raise MissingSection(f"input parameters: `params` must be an object, found {_shown(params)}")
    return params


def flat_section(input_params: Any) -> Mapping[str, Any]:
    """The parameters of a job whose ``inputParams`` are the parameters themselves; None counts as an empty object.

    Raises MissingSection (AZQ102) if they are no object.
    """
    if input_params is None:
        return {}
    if not isinstance(input_params, Mapping):
        raise MissingSection(f"input parameters: must be an object, found {type(input_params).__name__}")
    return input_params


def integer(name: str, *, low: int, high: int = 2**63 - 1, meaning: str, default: int | None = None) -> Parameter:
    """An integer in low..high."""

    def read(name: str, value: Any) -> int:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
            raise WrongType(f"parameter `{name}`: must be an integer, found {_shown(value)}")
        if not low <= value <= high:
            raise InvalidValue(f"parameter `{name}`: must be {_range(low, high)}, found {value}")
        return int(value)

    return Parameter(name, read, default, meaning, _range(low, high), Kind.INTEGER)


def number(
    name: str,
    *,
    low: float,
    high: float = math.inf,
    exclusive: bool = False,
    meaning: str,
    default: float | None = None,
) -> Parameter:
    """A finite number, at least ``low`` (or greater, if ``exclusive``) and at most ``high``."""
    rule = f"greater than {low:g}" if exclusive else f"at least {low:g}"
    if low == -math.inf:
        rule = "a finite number"
    if high < math.inf:
        rule += f" and at most {high:g}"

    def read(name: str, value: Any) -> float:
        found = _as_float(name, value)
        if not math.isfinite(found) or not low <= found <= high or (exclusive and found == low):
            raise InvalidValue(f"parameter `{name}`: must be {rule}, found {value}")
        return found

    return Parameter(name, read, default, meaning, rule, Kind.NUMBER)


def choice(name: str, allowed: Sequence[str], *, default: str | None, meaning: str) -> Parameter:
    """One of a few strings."""
    rule = " or ".join(repr(item) for item in allowed)

    def read(name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise WrongType(f"parameter `{name}`: must be a string, found {_shown(value)}")
        if value not in allowed:
            raise InvalidValue(f"parameter `{name}`: must be {rule}, found {_shown(value)}")
        return value

    return Parameter(name, read, default, meaning, rule, Kind.CHOICE, tuple(allowed))


def flag(name: str, *, default: bool | None, meaning: str) -> Parameter:
    """True or false."""

    def read(name: str, value: Any) -> bool:
        if not isinstance(value, (bool, np.bool_)):
            raise WrongType(f"parameter `{name}`: must be true or false, found {_shown(value)}")
        return bool(value)

    return Parameter(name, read, default, meaning, "true or false", Kind.FLAG)


def numbers(name: str, *, low: float, meaning: str) -> Parameter:
    """A list of one or more finite numbers, each at least ``low``."""
    rule = f"a list of numbers, each at least {low:g}"

    def read(name: str, value: Any) -> list[float]:
        if not isinstance(value, (list, tuple, np.ndarray)):
            raise WrongType(f"parameter `{name}`: must be a list of numbers, found {_shown(value)}")
        found = [_as_float(f"{name}[{k}]", item) for k, item in enumerate(value)]
        if not found:
            raise InvalidValue(f"parameter `{name}`: must have at least one entry, found an empty list")
        for k, item in enumerate(found):
            if not math.isfinite(item) or item < low:
                raise InvalidValue(f"parameter `{name}[{k}]`: must be at least {low:g}, found {item}")
        return found

    return Parameter(name, read, None, meaning, rule, Kind.NUMBERS)


def schedule(name: str, *, is_increasing: bool, meaning: str) -> Parameter:
    """A schedule ``{"type": "linear" | "geometric", "initial": x, "final": y}``, read as that dict with float ends.

    Both ends are finite and at least 0, greater than 0 if geometric; ``final`` lies strictly beyond ``initial``.
    """
    direction = "greater" if is_increasing else "less"
    rule = f"linear or geometric, ends at least 0, final {direction} than initial"

    def read(name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise WrongType(f"parameter `{name}`: must be an object, found {_shown(value)}")
        for member in ("type", "initial", "final"):
            if value.get(member) is None:
                raise InvalidValue(f"parameter `{name}`: must have `{member}`, found {_shown(dict(value))}")
        kind = value["type"]
        if not isinstance(kind, str):
            raise WrongType(f"parameter `{name}.type`: must be a string, found {_shown(kind)}")
        if kind.lower() not in _SCHEDULES:
            raise InvalidValue(f"parameter `{name}.type`: must be {' or '.join(_SCHEDULES)}, found {kind!r}")
        end = number("", low=0.0, exclusive=kind.lower() == "geometric", meaning="")
        initial, final = (end.read(f"{name}.{member}", value[member]) for member in ("initial", "final"))
        if not (initial < final if is_increasing else final < initial):
            raise InvalidValue(
                f"parameter `{name}.final`: must be {direction} than initial = {initial:g}, found {final:g}"
            )
        return {"type": kind.lower(), "initial": initial, "final": final}

    return Parameter(name, read, None, meaning, rule, Kind.SCHEDULE)


def new_seed() -> int:
    """A random seed, for runs that were given none; it is reported with the result."""
    return secrets.randbits(31)


def _as_float(name: str, value: Any) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise WrongType(f"parameter `{name}`: must be a number, found {_shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise InvalidValue(f"parameter `{name}`: must be in the range of a float, found {value}") from None


def _range(low: int, high: int) -> str:
    if low == -(2**63) and high == 2**63 - 1:
        return "a 64-bit integer"
    if high == 2**63 - 1:
        return "greater than 0" if low == 1 else f"at least {low}"
    return f"{low} to {high}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


SEED = integer("seed", low=-(2**63), meaning="seed of the random numbers; equal seeds give equal results")
SOLUTIONS = integer(
    "number_of_solutions",
    low=1,
    high=10,
    default=1,
    meaning="how many distinct solutions to return, best first",
)
TIMEOUT = number("timeout", low=0.0, meaning="time limit [s]; the best found by then is returned")
TARGET_COST = number("target_cost", low=-math.inf, meaning="stop as soon as a configuration costs no more [cost]")
PRESOLVE = flag(
    "presolve",
    default=None,
    meaning="search a smaller problem with the same minimum; if not given, parameter-free targets do where it pays",
)
BOUND = choice(
    "bound",
    (AUTO, NONE, *METHODS),
    default=None,
    meaning="which lower bound to compute beside the search",
)
GAP = number(
    "gap",
    low=0.0,
    meaning="stop as soon as the best cost is proved to be within this share of the least; computes bounds",
)
MOST_NODES = 1024
NODES = integer("nodes", low=1, high=MOST_NODES, meaning="members to divide the search into, one for each node")
COMMON = (SEED, TIMEOUT, SOLUTIONS, TARGET_COST, PRESOLVE, BOUND, GAP, NODES)
