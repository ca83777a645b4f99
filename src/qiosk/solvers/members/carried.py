"""Results of members as bytes, on their way from where a member ran to where the results are merged.

They are written as checkpoints are: nothing is pickled. The problem is not in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

import numpy as np

from qiosk.bounds.bound import Bound
from qiosk.contract.jobs import BoundPoint, TracePoint
from qiosk.errors import UnreadableCheckpoint
from qiosk.model.constraints.hard_constraints import Violation
from qiosk.model.cost_function import CostFunction
from qiosk.solvers.checkpoint import pack, unpack
from qiosk.solvers.provenance import RunFacts
from qiosk.solvers.result import Result, Solution
from qiosk.solvers.targets.catalogue import target


def result_to_bytes(result: Result) -> bytes:
    """A result for :func:`result_from_bytes`."""
    return pack(
        {
            "target": result.target,
            "variables": result.solutions[0].variables,
            "values": np.array([solution.values for solution in result.solutions], np.int8),
            "costs": np.array([solution.cost for solution in result.solutions], np.float64),
            "parameters": dict(result.parameters),
            "trace": np.array([(p.seconds, p.sweep, p.cost) for p in result.trace], np.float64).reshape(-1, 3),
            "bounds": np.array([(p.seconds, p.bound) for p in result.bounds], np.float64).reshape(-1, 2),
            "statistics": dict(result.statistics),
            "began_at": result.facts.began_at.isoformat(),
            "ended_at": result.ended_at.isoformat(),
            "seed": result.facts.seed,
            "given": dict(result.facts.given),
            "threads": result.facts.threads,
            "input_data_uri": result.input_data_uri,
            "bound": _bound_parts(result.lower_bound),
            "violated": None if result.violated is None else [[v.name, v.amount] for v in result.violated],
            "more": dict(result.more),
            "covers_earlier_runs": result.covers_earlier_runs,
        }
    )


def result_from_bytes(data: bytes, cost_function: CostFunction) -> Result:
    """The result that :func:`result_to_bytes` wrote, of a run on this problem. Raises UnreadableCheckpoint."""
    parts = unpack(data)
    try:
        return _result(parts, cost_function)
    except (LookupError, TypeError, ValueError) as error:
        raise UnreadableCheckpoint(f"result of a member cannot be read: {error}") from error


def _result(parts: Mapping[str, Any], cost_function: CostFunction) -> Result:
    chosen = target(parts["target"])
    pairs = zip(parts["values"], parts["costs"].tolist(), strict=True)
    violated = parts["violated"]
    return Result(
        target=chosen.id,
        solutions=[Solution(parts["variables"], values, cost) for values, cost in pairs],
        parameters=parts["parameters"],
        trace=[TracePoint(seconds, int(sweep), cost) for seconds, sweep, cost in parts["trace"].tolist()],
        statistics=parts["statistics"],
        facts=RunFacts(
            target=chosen.id,
            seed=parts["seed"],
            given=parts["given"],
            threads=parts["threads"],
            began_at=datetime.fromisoformat(parts["began_at"]),
            cost_function=cost_function,
        ),
        ended_at=datetime.fromisoformat(parts["ended_at"]),
        input_data_uri=parts["input_data_uri"],
        document=chosen.document,
        lower_bound=_bound(parts["bound"]),
        bounds=[BoundPoint(seconds, bound) for seconds, bound in parts["bounds"].tolist()],
        violated=None if violated is None else [Violation(name, amount) for name, amount in violated],
        more=parts["more"],
        covers_earlier_runs=parts["covers_earlier_runs"],
    )


def _bound_parts(bound: Bound | None) -> dict[str, Any] | None:
    if bound is None:
        return None
    return {
        "value": bound.value,
        "method": bound.method,
        "seconds": bound.seconds,
        "exact": str(bound.exact),
        "certificate": dict(bound.certificate),
        "configuration": bound.configuration,
    }


def _bound(parts: Mapping[str, Any] | None) -> Bound | None:
    return None if parts is None else Bound(**{**parts, "exact": Fraction(parts["exact"])})
