"""From a cost function to the text of a ``microsoft.qio.v2`` document.

The text equals that of ``json.dumps`` in the old SDK, including spaces. Terms are written many at a time
through one ``%`` template, about ten times faster than with an object for each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from qiosk.model.cost_function import CONSTANT, F64, I64, CostFunction, Groups, ProblemType

_CHUNK_TERMS = 1 << 14
_EXACT = float(2**53)  # integers below this are exact in float64


def encode(cost_function: CostFunction) -> bytes:
    """The document as UTF-8. Integral coefficients are written as integers."""
    version = "1.0" if cost_function.initial_configuration is None else "1.1"
    parts = ["{"]
    metadata = dict(cost_function.metadata)
    if cost_function.name:
        metadata = {"name": cost_function.name} | {k: v for k, v in metadata.items() if k != "name"}
    if metadata:
        parts.append(f'"metadata": {json.dumps(metadata)}, ')
    parts.append(f'"cost_function": {{"version": "{version}", "type": "{cost_function.problem_type}", "terms": [')
    parts.append(", ".join(term_texts(cost_function.coefficients, cost_function.indptr, cost_function.ids)))
    parts.append("]")
    if len(cost_function.groups):
        parts.append(f', "terms_slc": [{", ".join(_group_texts(cost_function.groups))}]')
    if cost_function.initial_configuration is not None:
        values = ", ".join(f'"{i}": {v}' for i, v in cost_function.initial_configuration.items())
        parts.append(f', "initial_configuration": {{{values}}}')
    parts.append("}}")
    return "".join(parts).encode()


TAIL = b"]}}"
"""The end of the document that ``head`` begins."""


def head(problem_type: ProblemType, initial_configuration: Mapping[Any, int] | None) -> bytes:
    """The beginning of a document that is written in pieces: its terms follow, joined by commas."""
    version, initial = "1.0", ""
    if initial_configuration:
        version = "1.1"
        values = {str(i): int(value) for i, value in initial_configuration.items()}
        initial = f'"initial_configuration": {json.dumps(values)}, '
    return f'{{"cost_function": {{"version": "{version}", "type": "{problem_type}", {initial}"terms": ['.encode()


def number(value: float) -> int | float:
    """A number as an integer if that is exact."""
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def _numbers(values: F64) -> list[int | float]:
    if np.all(values == np.trunc(values)) and np.all(np.abs(values) < _EXACT):
        integers: list[int | float] = values.astype(np.int64).tolist()
        return integers
    return [number(v) for v in values.tolist()]


def _template(locality: int) -> str:
    return '{"c": %r, "ids": [' + ", ".join(["%d"] * locality) + "]}"


def term_texts(coefficients: F64, indptr: I64, ids: I64) -> Iterator[str]:
    """Texts of a few thousand terms each, joined by commas."""
    for start in range(0, len(coefficients), _CHUNK_TERMS):
        stop = min(start + _CHUNK_TERMS, len(coefficients))
        bounds = indptr[start : stop + 1]
        degrees = np.diff(bounds)
        count = stop - start
        if degrees.min() == degrees.max():
            template = ", ".join([_template(int(degrees[0]))] * count)
        else:
            templates = {d: _template(d) for d in np.unique(degrees).tolist()}
            template = ", ".join([templates[d] for d in degrees.tolist()])
        values = np.empty(count + int(bounds[-1] - bounds[0]), object)
        is_id = np.ones(len(values), np.bool_)
        is_id[bounds[:-1] - bounds[0] + np.arange(count)] = False
        values[~is_id] = _numbers(coefficients[start:stop])
        values[is_id] = ids[bounds[0] : bounds[-1]].tolist()
        yield template % tuple(values)


def _group_texts(groups: Groups) -> Iterator[str]:
    weights, ids, indptr = groups.weights.tolist(), groups.ids.tolist(), groups.indptr.tolist()
    for g, c in enumerate(groups.coefficients.tolist()):
        members = ", ".join(
            f'{{"c": {number(weights[m])!r}, "ids": [{"" if ids[m] == CONSTANT else ids[m]}]}}'
            for m in range(indptr[g], indptr[g + 1])
        )
        yield f'{{"c": {number(c)!r}, "terms": [{members}]}}'
