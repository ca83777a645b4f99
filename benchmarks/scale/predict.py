"""What the model says of a thousand nodes and a million jobs, and of ways past what limits them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.scale.costs import Cost, Costs
from benchmarks.scale.model import Design, Model, Plant

NODES, SLOTS, JOBS = 1_000, 16, 1_000_000
DATABASE_CORES = 16
DISTANCE_S = 0.0005
"""A call of the database through a network."""
WARM_S, COUNTED_S = 2.0, 4.0
"""Simulated time before, and of, the part of a run that counts; the rest is the same."""
DESIGNS = (
    ("0: every supervisor looks at all claims", Design(watchers=None)),
    ("1: three of them look, as it is", Design()),
    ("2: and changes are notified", Design(notifies=True, poll_s=1.0)),
    ("3: and claims in batches of up to 16", Design(notifies=True, poll_s=1.0, batch=16)),
    ("4: and four databases", Design(notifies=True, poll_s=1.0, batch=16, shards=4)),
)
"""Each contains those before it."""


@dataclass(frozen=True)
class Prediction:
    """Jobs a second of all nodes, and what is busy: the database's cores, a supervisor, and the slots, as shares."""

    design: str
    kind: str
    rate: float
    most: float
    database: float
    supervisor: float
    slots: float
    largest: str

    @property
    def limit(self) -> str:
        """What the jobs wait for."""
        if self.slots > 0.9:
            return "slots"
        return f"database: {self.largest}" if self.database > 0.9 else "starts, one at a time"

    def line(self) -> str:
        """A line of the table."""
        hours = JOBS / self.rate / 3600 if self.rate else float("inf")
        shares = (self.slots, self.database, self.supervisor)
        cells = [self.kind, self.design, f"{self.rate:.0f}", f"{self.most:.0f}", f"{hours:.2g}"]
        return "| " + " | ".join([*cells, *(f"{100 * share:.0f} %" for share in shares), self.limit]) + " |"


HEADER = (
    "| jobs | design | jobs/s | if slots were all | hours for a million | slots busy | database busy |"
    " supervisors busy | limit |\n" + "| --- " * 9 + "|"
)


def predictions(costs: Costs, nodes: int = NODES) -> Iterator[Prediction]:
    """For each kind of job and each design."""
    for kind, run in (("trivial", costs.parts["run"]), ("1 s", 1.0), ("60 s", 60.0)):
        seconds = run if isinstance(run, float) else 1e-3 * run.median
        for name, design in DESIGNS:
            yield _predict(costs, kind, name, design, run, seconds, nodes)


def _predict(
    costs: Costs, kind: str, name: str, design: Design, run: Cost | float, seconds: float, nodes: int
) -> Prediction:
    plant = Plant(
        nodes // design.shards,
        SLOTS,
        SLOTS,
        is_one_host=False,
        database_cores=DATABASE_CORES,
        distance_s=DISTANCE_S,
    )
    plant_slots = plant.supervisors * plant.slots
    model = Model(costs, plant, design, seed=3)
    model.backlog(JOBS // design.shards, run)
    model.occupy(seconds)
    model.run(WARM_S)
    found = model.outcome
    ended, database, supervisors = len(found.ended_s), found.database_s.copy(), found.supervisor_s.copy()
    model.run(WARM_S + COUNTED_S)
    rate = (len(found.ended_s) - ended) / COUNTED_S
    database, supervisors = found.database_s - database, found.supervisor_s - supervisors
    return Prediction(
        design=name,
        kind=kind,
        rate=rate * design.shards,
        most=plant_slots * design.shards / seconds,
        database=sum(database.values()) / COUNTED_S / DATABASE_CORES,
        supervisor=sum(supervisors.values()) / COUNTED_S / plant.supervisors,
        slots=rate * seconds / plant_slots,
        largest=_largest(database),
    )


def _largest(database: Mapping[str, float]) -> str:
    total = sum(database.values()) or 1.0
    parts = sorted(database.items(), key=lambda item: -item[1])[:2]
    return ", ".join(f"{part} {100 * seconds / total:.0f} %" for part, seconds in parts)
