"""The problems that solvers are compared on, as everybody gets them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from qiosk.formats import registry
from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import CostFunction
from qiosk.solvers.search.moves.moves import Flips
from qiosk.solvers.search.tuning import BetaRange, beta_range

FOLDER = Path(__file__).parent / "instances"


@dataclass(frozen=True, eq=False)
class Instance:
    """A problem, and the lowest cost known of it (None: none published or planted)."""

    name: str
    cost_function: CostFunction
    best_known: float | None

    @cached_property
    def problem(self) -> CompiledProblem:
        """As arrays over variables 0..n-1, which number the columns of every configuration."""
        return compile_problem(self.cost_function)

    @cached_property
    def betas(self) -> BetaRange:
        """The range in which the problem freezes [1/cost]: what peers are given as a good range, too."""
        return beta_range(self.problem, 0, Flips(self.problem))

    def is_reached(self, cost: float) -> bool:
        """Whether a cost is the best known one, or below."""
        return self.best_known is not None and cost <= self.best_known + 1e-13 * abs(self.best_known)


def catalogue() -> dict[str, float | None]:
    """Best-known cost of every stored instance, by name."""
    return {row["name"]: row["best_known"] for row in json.loads((FOLDER / "index.json").read_text())}


def load(name: str) -> Instance:
    """A stored instance. Raises SystemExit with the names there are."""
    known = catalogue()
    if name not in known:
        raise SystemExit(f"instance {name!r} is unknown; instances are {', '.join(known)}")
    return Instance(name, registry.read((FOLDER / f"{name}.json.gz").read_bytes()), known[name])
