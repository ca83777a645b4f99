"""The parameters of a target as fields of a form, and what is entered there as values, by the tables of the targets.

Fields have the names of their parameters after ``p.``; a schedule has three: ``p.beta.type``, ``p.beta.initial`` and
``p.beta.final``. The time limit is a field of its own, in seconds for all targets.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from qiosk.client.solvers.provider_formats import format_of
from qiosk.contract.jobs import JobView
from qiosk.contract.provenance import Provenance
from qiosk.errors import InvalidInput, NotFound
from qiosk.solvers.targets.catalogue import full_name
from qiosk.solvers.targets.catalogue import target as target_of
from qiosk.solvers.targets.parameters import COMMON, Kind, Parameter, read_parameters
from qiosk.solvers.targets.target import Target

PREFIX: Final = "p."
"""Begin of the names of the fields of parameters."""
LIMIT: Final = "limit"
"""The field of the time limit [s]."""
ENDS: Final = ("type", "initial", "final")
"""The fields of a schedule."""
_TIMEOUT: Final = "timeout"
_BY_DEFAULT: Final = {"target_cost": "none", "gap": "none", "nodes": "1"}
"""What parameters are by default that no value is known of."""
_COMMON: Final = {parameter.name for parameter in COMMON}
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,4000}")

Entries = Mapping[str, str]
"""What is entered in the fields of a form, by their names; fields that are missing are empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field, or the three of a schedule: ``texts`` are what is entered. ``error`` is None if that is right."""

    parameter: Parameter
    texts: Mapping[str, str]
    error: str | None = None

    @property
    def name(self) -> str:
        """The name of the field, without that of a part of it."""
        return PREFIX + self.parameter.name

    @property
    def is_common(self) -> bool:
        """Whether most targets have the parameter."""
        return self.parameter.name in _COMMON

    @property
    def hint(self) -> str:
        """What the parameter is without a value."""
        default = self.parameter.default
        if default is None:
            return _BY_DEFAULT.get(self.parameter.name, "chosen by the solver")
        is_chosen = self.parameter.kind in (Kind.FLAG, Kind.CHOICE)
        return f"{_text(default)} (default)" if is_chosen else _text(default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The fields of a target's parameters, and the values that are entered in them."""

    target: Target
    fields: Sequence[Field]
    values: Mapping[str, Any]
    limit_error: str | None = None

    @property
    def is_valid(self) -> bool:
        """Whether nothing is wrong."""
        return self.limit_error is None and all(field.error is None for field in self.fields)

    @property
    def default_limit(self) -> float | None:
        """The time limit if none is given [s]; None if there is none."""
        limit = self.target.time_limit(read_parameters(self.target.parameters, {}))
        return limit if math.isfinite(limit) else None

    @property
    def input_params(self) -> dict[str, Any]:
        """The values as a job of the target's provider has them."""
        form = format_of(self.target.id)
        values = {name: str(value) if form.force_str_params else value for name, value in self.values.items()}
        return {"params": values} if form.nested_params else values


def parameter_form(target: Target, entries: Entries) -> Form:
    """The form of a target, with what is entered. What is wrong is an error of its field."""
    fields, values = [], {}
    limit_error = None
    for parameter in target.parameters:
        is_limit = parameter.name == _TIMEOUT
        texts = {"": entries.get(LIMIT, "").strip()} if is_limit else _texts_of(parameter, entries)
        error = None
        if any(texts.values()):
            given = {parameter.name: _given(parameter.kind, texts)}
            try:
                own = target.in_own_units(given)[parameter.name]
                parameter.read(parameter.name, own)
                values[parameter.name] = own
            except InvalidInput as wrong:
                error = wrong.message
        if is_limit:
            limit_error = error
        else:
            fields.append(Field(parameter=parameter, texts=texts, error=error))
    return Form(target=target, fields=fields, values=values, limit_error=limit_error)


def entries_of(target: Target, given: Mapping[str, Any]) -> dict[str, str]:
    """The entries that give these parameters to a target; those that it does not have are left out."""
    entries: dict[str, str] = {}
    for parameter in target.parameters:
        value = given.get(parameter.name)
        if value is None:
            continue
        if parameter.name == _TIMEOUT:
            entries[LIMIT] = _text(value * target.timeout_unit if _is_number(value) else value)
        elif parameter.kind is Kind.SCHEDULE and isinstance(value, Mapping):
            entries |= {f"{PREFIX}{parameter.name}.{end}": _text(value.get(end, "")) for end in ENDS}
        else:
            entries[PREFIX + parameter.name] = _text(value)
    return entries


def entries_of_job(job: JobView) -> dict[str, str]:
    """The target and the parameters of a job, as entries. Raises InvalidTarget."""
    target = target_of(job.target)
    return {"target": target.id, **entries_of(target, target.section(job.input_params))}


def entries_found_by(job: JobView) -> dict[str, str]:
    """The target and the parameters that a run has found by itself, with what else it was given, as entries.

    Raises NotFound if the job's run has found none.
    """
    target = target_of(job.target)
    solver, parameters = _found_by(job.provenance, target)
    found = {name: value for name, value in parameters.items() if name not in _COMMON}
    if not found:
        raise NotFound(f"job {job.id}: its run has found no parameters")
    chosen = target_of(full_name(solver, found))
    given = {name: value for name, value in target.section(job.input_params).items() if name in _COMMON}
    return {"target": chosen.id, **entries_of(chosen, {**given, **found})}


def _found_by(provenance: Provenance | None, target: Target) -> tuple[str, Mapping[str, Any]]:
    """The name of a solver, and the parameters of a search by it; of a portfolio those of the winner."""
    if provenance is None:
        return "", {}
    if members := provenance.statistics.get("portfolio"):
        best = max(members, key=lambda member: (member["fate"] in ("won", "alone"), member["share"]))
        return best["member"], best["parameters"]
    return target.id.split(".")[1].removesuffix("-parameterfree"), provenance.parameters


def _texts_of(parameter: Parameter, entries: Entries) -> dict[str, str]:
    parts = [f".{end}" for end in ENDS] if parameter.kind is Kind.SCHEDULE else [""]
    return {part: entries.get(f"{PREFIX}{parameter.name}{part}", "").strip() for part in parts}


def _given(kind: Kind, texts: Mapping[str, str]) -> Any:
    """The value that texts stand for; a text that is none of the kind stays as it is, for the target to refuse."""
    match kind:
        case Kind.SCHEDULE:
            schedule, initial, final = (texts[f".{end}"] for end in ENDS)
            return {"type": schedule or None, "initial": _number(initial), "final": _number(final)}
        case Kind.NUMBERS:
            return [_number(item) for item in re.split(r"[\s,;]+", texts[""].strip("[](), \t\r\n")) if item]
        case Kind.FLAG:
            return {"true": True, "false": False}.get(texts[""].lower(), texts[""])
        case Kind.CHOICE:
            return texts[""]
        case _:
            return _number(texts[""])


def _number(text: str) -> Any:
    if _INTEGER.fullmatch(text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text or None


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
