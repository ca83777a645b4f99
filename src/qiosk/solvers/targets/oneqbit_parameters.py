"""Parameters of 1QBit's targets: a flat object, every value of which may be a string as Python prints it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from qiosk.errors import InvalidValue
from qiosk.model.compiled import CompiledProblem
from qiosk.solvers.targets.parameters import NODES, SEED, SOLUTIONS, TARGET_COST, flat_section, number
from qiosk.solvers.targets.target import Target

ONEQBIT = "1qbit"
MILLISECOND = 1e-3  # [s]

_WORDS = {"true": True, "false": False, "none": None, "null": None}

TIMEOUT_MS = number("timeout", low=0.0, default=0.0, meaning="time limit [ms]; 0 for none")
ONEQBIT_COMMON = (SEED, TIMEOUT_MS, SOLUTIONS, TARGET_COST, NODES)


def string_section(input_params: Any) -> Mapping[str, Any]:
    """As ``flat_section``, with strings read as the values that they spell."""
    return from_strings(flat_section(input_params))


def from_strings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Strings that spell a truth value, None, a number or a list of those in their own type; all else as it is."""
    return {name: _from_string(value) if isinstance(value, str) else value for name, value in given.items()}


def timeout_from_ms(values: Mapping[str, Any]) -> float | None:
    """The time limit [s] of targets whose ``timeout`` is in milliseconds, 0 for none."""
    timeout: float = values["timeout"]
    return timeout * MILLISECOND if timeout > 0.0 else None


oneqbit_target = partial(
    Target,
    provider_id=ONEQBIT,
    section=string_section,
    timeout_s=timeout_from_ms,
    timeout_unit=MILLISECOND,
    is_quadratic_only=True,
)
"""A target of 1QBit's; arguments as those of ``Target``."""


def require_quadratic(problem: CompiledProblem, target: str) -> None:
    """Raises InvalidValue (AZQ107) if a term has more than two variables; squared linear combinations may stay."""
    if len(problem.term_values):
        raise InvalidValue(f"target {target}: terms may have at most 2 variables, found one of {problem.locality}")


def _from_string(text: str) -> Any:
    word = text.strip()
    if word[:1] + word[-1:] in ("[]", "()"):
        items = word[1:-1].strip().removesuffix(",")
        return [_scalar(item.strip()) for item in items.split(",")] if items else []
    return _scalar(word)


def _scalar(word: str) -> Any:
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    for parse in (int, float):
        try:
            return parse(word)
        except ValueError:
            continue
    return word
