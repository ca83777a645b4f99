"""What was timed, as a table and as data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

COLUMNS = ("sweep", "ladder", "costs")


@dataclass(frozen=True)
class Timings:
    """Median nanoseconds per attempted update and replica on one workload: by runner, then by column."""

    workload: str
    variables: int
    medians: Mapping[str, Mapping[str, float]]
    peers: Sequence[str]  # fastest first

    def ratio(self, runner: str) -> float | None:
        """How many times as fast as the fastest peer a runner sweeps; None if no peer ran."""
        return self.medians[self.peers[0]]["sweep"] / self.medians[runner]["sweep"] if self.peers else None

    def lines(self) -> Iterator[str]:
        """A Markdown table."""
        yield ""
        yield f"## {self.workload}: {self.variables} variables"
        yield ""
        yield "| ns per update | " + " | ".join(COLUMNS) + " | times as fast as the fastest peer |"
        yield "| --- " * (len(COLUMNS) + 2) + "|"
        for runner, row in self.medians.items():
            cells = [f"{row[column]:.3f}" if column in row else "" for column in COLUMNS]
            ratio = self.ratio(runner)
            yield f"| {runner} | " + " | ".join(cells) + f" | {'' if ratio is None else format(ratio, '.3g')} |"


def write(folder: Path, table: Sequence[Timings], threads: Mapping[str, float] | None) -> None:
    """``speed.md`` and ``speed.json``; ``threads``: seconds of the same work by number of threads."""
    lines = ["# Speed, one thread"]
    for timings in table:
        lines += timings.lines()
    if threads is not None:
        lines += ["", f"Two threads sweep {threads['1'] / threads['2']:.2f} times as fast as one."]
        print(lines[-1])
    folder.mkdir(exist_ok=True)
    (folder / "speed.md").write_text("\n".join(lines) + "\n")
    plain = {"workloads": [asdict(timings) for timings in table], "threads": threads}
    (folder / "speed.json").write_text(json.dumps(plain, indent=1) + "\n")
