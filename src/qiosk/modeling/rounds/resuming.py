"""Checkpoints of a search in rounds: where the search stands, and the checkpoint of the round in progress.

They begin as those of any solver do (:mod:`qiosk.solvers.checkpoint`); a part of them is JSON.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from qiosk.contract.jobs import TracePoint
from qiosk.errors import MissingValue, UnreadableCheckpoint
from qiosk.model.constraints.hard_constraints import Violation
from qiosk.model.cost_function import CostFunction
from qiosk.modeling.answer import Round
from qiosk.modeling.rounds.standing import Standing
from qiosk.modeling.solution import Solution
from qiosk.solvers.checkpoint import pack, unpack
from qiosk.solvers.provenance import RunFacts, now
from qiosk.solvers.result import Result
from qiosk.solvers.result import Solution as Configuration
from qiosk.solvers.setup import Setup


class _Found(msgspec.Struct):
    """The result of the round that found the best solution, without its configurations."""

    costs: list[float]
    parameters: dict[str, Any]
    statistics: dict[str, Any]
    violated: list[Violation]


class _Facts(msgspec.Struct):
    """What the first round knew."""

    seed: int
    given: dict[str, Any]
    threads: int
    began_at: datetime


class _Search(msgspec.Struct):
    weights: dict[str, float]
    before: dict[str, float]
    lost: dict[str, int]
    rounds: list[Round]
    elapsed: float
    setup: float
    uncounted: float
    seconds: float
    trace: list[TracePoint]
    found: _Found | None
    facts: _Facts | None
    is_paced: bool = False  # a checkpoint of an older version does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What a checkpoint contains besides the standing.

    ``run`` is the checkpoint of the round in progress, which had searched for ``seconds`` [s]. ``trace`` is that of the
    rounds before. ``facts`` are those of the first round, None before its end. ``is_paced``: time has changed what was
    done.
    """

    run: bytes
    seconds: float = 0.0
    trace: Sequence[TracePoint] = ()
    facts: RunFacts | None = None
    is_paced: bool = False


def write_checkpoint(standing: Standing, saved: Saved) -> bytes:
    """The bytes of a checkpoint."""
    result = None if standing.best is None else standing.best[1]
    solutions = [] if result is None else list(result.solutions)
    search = _Search(
        weights=standing.weights.now,
        before=dict(standing.before),
        lost=dict(standing.weights.lost),
        rounds=standing.rounds,
        elapsed=standing.elapsed + saved.seconds,
        setup=standing.setup,
        uncounted=standing.uncounted,
        seconds=saved.seconds,
        trace=list(saved.trace),
        found=None if result is None else _found(result),
        facts=None if saved.facts is None else _facts(saved.facts),
        is_paced=saved.is_paced,
    )
    values = np.array([solution.values for solution in solutions], np.int8)
    text = msgspec.json.encode(search, enc_hook=lambda value: value.tolist())
    return pack(
        {
            "search": np.frombuffer(text, np.uint8),
            "run": np.frombuffer(saved.run, np.uint8),
            "variables": solutions[0].variables if solutions else np.zeros(0, np.int64),
            "values": values,
        }
    )


def read_checkpoint(
    data: bytes,
    standing: Standing,
    setup: Setup,
    *,
    decode: Callable[[Configuration], Solution],
    problem: Callable[[Mapping[str, float]], CostFunction],
) -> Saved:
    """Bring the ``standing`` of a search that begins to where a checkpoint was written.

    ``problem`` is that of a round by its weights. A checkpoint of a run that knows of no rounds is that of the first
    round. Raises UnreadableCheckpoint if it is damaged, or of another model.
    """
    parts = unpack(data, without="state")
    if not isinstance(parts, dict) or "search" not in parts:
        return Saved(run=data)
    try:
        search = msgspec.json.decode(parts["search"].tobytes(), type=_Search)
        if search.weights.keys() != standing.weights.now.keys():
            raise UnreadableCheckpoint("checkpoint: constraints must be those of the model")
        facts = _facts_of(search, setup, problem)
        best = _best_of(search, parts, setup, facts)
        standing.best = None if best is None else (decode(best.solutions[0]), best)
        run = parts["run"].tobytes()
    except (msgspec.DecodeError, UnicodeDecodeError, LookupError, ValueError, MissingValue) as error:
        raise UnreadableCheckpoint(f"checkpoint cannot be read: {error}") from error
    standing.weights.now, standing.before = search.weights, search.before
    standing.weights.lost = Counter(search.lost)
    standing.rounds, standing.elapsed, standing.setup = search.rounds, search.elapsed, search.setup
    standing.uncounted = search.uncounted
    return Saved(run=run, seconds=search.seconds, trace=search.trace, facts=facts, is_paced=search.is_paced)


def _facts_of(search: _Search, setup: Setup, problem: Callable[[Mapping[str, float]], CostFunction]) -> RunFacts | None:
    if search.facts is None:
        return None
    found = search.facts
    first = problem(search.rounds[0].weights)
    return RunFacts(setup.target.id, found.seed, found.given, found.threads, found.began_at, first)


def _best_of(search: _Search, parts: Mapping[str, Any], setup: Setup, facts: RunFacts | None) -> Result | None:
    if search.found is None or facts is None:
        return None
    pairs = zip(parts["values"], search.found.costs, strict=True)
    return Result(
        target=setup.target.id,
        solutions=[Configuration(parts["variables"], values, cost) for values, cost in pairs],
        parameters=search.found.parameters,
        trace=search.trace,
        statistics=search.found.statistics,
        facts=facts,
        ended_at=now(),
        document=setup.target.document,
        violated=search.found.violated,
    )


def _found(result: Result) -> _Found:
    return _Found(
        costs=[solution.cost for solution in result.solutions],
        parameters=dict(result.parameters),
        statistics=dict(result.statistics),
        violated=list(result.violated or ()),
    )


def _facts(facts: RunFacts) -> _Facts:
    return _Facts(seed=facts.seed, given=dict(facts.given), threads=facts.threads, began_at=facts.began_at)
