"""What each part of a job costs, as measured, and as the model reads it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"

PARTS = (
    ("submit", "the client stores the problem and the row"),
    ("claim", "the supervisor claims the job"),
    ("count", "it counts waiting jobs, for the job's share of the processors"),
    ("fork", "from the request for a process to its first message"),
    ("prepare", "the process opens the storage and reads the problem"),
    ("run", "the solver, and the results blob"),
    ("exit", "from the last message to the end of the process"),
    ("turn", "the supervisor's loop goes round once"),
    ("attend", "the supervisor takes one message of the process"),
    ("report", "the supervisor writes what the solver has found"),
    ("finish", "it writes the final state"),
    ("record", "it renews a lease"),
    ("poll", "it looks for changes in the database"),
    ("cancelled", "it looks for jobs to cancel"),
    ("seat", "it looks whether it is to watch the claims of others"),
    ("watch", "it looks at the claims of others, with none there"),
)
"""Names of the parts, and what happens in them."""
CLUSTER_PARTS = (
    ("place", "a Ray cluster finds a node, and its agent hears of the job"),
    ("deliver", "messages of the job reach its supervisor"),
    ("settle", "what the cluster does for the job besides"),
)
"""Parts that only jobs on a Ray cluster have."""


@dataclass(frozen=True)
class Cost:
    """Times of one part [ms]: by the clock, and the mean processor times of its caller and of the database server."""

    samples: Sequence[float]
    client: float
    server: float = 0.0

    @property
    def median(self) -> float:
        """By the clock."""
        return statistics.median(self.samples)

    def line(self, name: str, text: str) -> str:
        """A line of the table."""
        ordered = sorted(self.samples)
        p95 = ordered[int(0.95 * (len(ordered) - 1))]
        return f"| {name} | {text} | {self.median:.2f} | {p95:.2f} | {self.client:.2f} | {self.server:.2f} |"


@dataclass(frozen=True)
class Costs:
    """All parts, with one database, and what a row more costs that a supervisor reads."""

    database: str
    parts: Mapping[str, Cost]
    wakes: float
    """Messages of a job that wake its supervisor."""
    row: Cost
    """One row more that ``watch`` reads."""

    def lines(self) -> Sequence[str]:
        """A Markdown table."""
        head = [f"{self.database}, {self.wakes:.1f} messages a job", ""]
        head += ["| part | what happens | median ms | p95 ms | CPU ms | server's CPU ms |", "| --- " * 6 + "|"]
        rows = [self.parts[name].line(name, text) for name, text in (*PARTS, *CLUSTER_PARTS) if name in self.parts]
        return [*head, *rows, self.row.line("row", "each row more that `watch` reads")]


def save(name: str, value: object) -> Path:
    """Write raw numbers to ``benchmarks/results/scale/NAME.json``."""
    path = RESULTS / "scale" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")
    return path


def save_costs(costs: Costs) -> None:
    """Write what ``load_costs`` reads."""
    save(f"parts-{costs.database}", asdict(costs))


def load_costs(database: str) -> Costs:
    """The parts as they were measured last. Raises SystemExit if they were not."""
    path = RESULTS / "scale" / f"parts-{database}.json"
    if not path.exists():
        raise SystemExit(f"{path}: must exist; measure with python -m benchmarks.scale parts")
    found = json.loads(path.read_text())
    parts = {name: Cost(**cost) for name, cost in found["parts"].items()}
    return Costs(database=found["database"], parts=parts, wakes=found["wakes"], row=Cost(**found["row"]))
