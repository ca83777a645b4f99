"""The table: who is ahead on which instance, and by how much."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.quality.cells import Cells, library

OURS = "qiosk"
# Sparse problems with couplings of +-1, on which 1 s here is held against 10 s of the peers.
SPARSE = ("G1", "G22", "G43", "torus100x100", "reg3_100000", "fcl_torus32")
SHORT, LONG = 1.0, 10.0
# Costs are summed exactly and rounded once; those that differ by less, in units of the cost, differ by rounding.
ROUNDING = 1e-13


@dataclass(frozen=True)
class Best:
    """The contender of lowest median cost; infinite if none found anything in time."""

    contender: str
    cost: float

    @property
    def setting(self) -> str:
        """Its name without the library's."""
        return self.contender.partition(" ")[2]


@dataclass(frozen=True)
class Row:
    """The best of each library on one instance at one wall time."""

    instance: str
    best_known: float | None
    best: Mapping[str, Best]

    @property
    def ours(self) -> Best | None:
        """The best target here; None if none ran."""
        return self.best.get(OURS)

    @property
    def reaches_best_known(self) -> bool:
        """Whether the median run here is as good as the best known."""
        return (
            self.ours is not None and self.best_known is not None and outcome(self.ours.cost, self.best_known) != "loss"
        )


def outcome(ours: float, theirs: float) -> str:
    """Win, tie or loss of the lower cost."""
    if math.isclose(ours, theirs, rel_tol=ROUNDING):
        return "tie"
    return "win" if ours < theirs else "loss"


def rows(cells: Cells, known: Mapping[str, float | None], seconds: float) -> list[Row]:
    """A row for every instance that anybody ran."""
    found = []
    for instance, best_known in known.items():
        best: dict[str, Best] = {}
        for contender, cost in sorted(cells.medians(instance, seconds).items(), key=lambda item: item[1]):
            best.setdefault(library(contender), Best(contender, cost))
        if best:
            found.append(Row(instance, best_known, best))
    return found


def tally(table: Sequence[Row], peer: str) -> dict[str, int]:
    """Wins, ties and losses against a peer, over the instances that both ran."""
    counts = {"win": 0, "tie": 0, "loss": 0}
    for row in table:
        if row.ours is not None and peer in row.best:
            counts[outcome(row.ours.cost, row.best[peer].cost)] += 1
    return counts


def markdown(cells: Cells, known: Mapping[str, float | None], libraries: Sequence[str]) -> str:
    """The whole report."""
    parts = ["# Quality at equal wall time, one thread", ""]
    parts.append("Median cost over the seeds, of each library's best setting on the instance; lower is better.")
    for seconds in cells.times():
        parts += ["", f"## {seconds:g} s", "", *_section(rows(cells, known, seconds), libraries)]
    parts += ["", f"## {SHORT:g} s of {OURS} against {LONG:g} s of each peer, sparse ±1", ""]
    parts += _ahead_of_time(rows(cells, known, SHORT), rows(cells, known, LONG), libraries)
    parts += ["", "## More time", "", *_more_time(cells, list(known))]
    return "\n".join(parts) + "\n"


def _section(table: Sequence[Row], libraries: Sequence[str]) -> Iterator[str]:
    yield "| instance | best known | qiosk | target | " + " | ".join(libraries) + " |"
    yield "| --- " * (4 + len(libraries)) + "|"
    for row in table:
        ours = [_number(row.ours.cost), row.ours.setting] if row.ours else ["", ""]
        peers = [_against(row.ours, row.best.get(peer)) for peer in libraries]
        yield "| " + " | ".join([row.instance, _number(row.best_known), *ours, *peers]) + " |"
    yield ""
    for peer in libraries:
        counts = tally(table, peer)
        yield f"- {peer}: {counts['win']} wins, {counts['tie']} ties, {counts['loss']} losses"
    with_known = [row for row in table if row.best_known is not None and row.ours is not None]
    reached = [row for row in with_known if row.reaches_best_known]
    yield f"- best known reached by the median run on {len(reached)} of {len(with_known)} instances that have one"


def _ahead_of_time(short: Sequence[Row], long: Sequence[Row], libraries: Sequence[str]) -> Iterator[str]:
    later = {row.instance: row for row in long}
    yield "| instance | qiosk | " + " | ".join(libraries) + " |"
    yield "| --- " * (2 + len(libraries)) + "|"
    for row in short:
        if row.instance in SPARSE and row.instance in later and row.ours is not None:
            peers = [_against(row.ours, later[row.instance].best.get(peer)) for peer in libraries]
            yield "| " + " | ".join([row.instance, _number(row.ours.cost), *peers]) + " |"


def _more_time(cells: Cells, instances: Sequence[str]) -> Iterator[str]:
    """How often a target's median is worse at the longer of two wall times."""
    times = cells.times()
    for short, long in pairwise(times):
        worse, pairs = [], 0
        for instance in instances:
            before, after = cells.medians(instance, short), cells.medians(instance, long)
            for contender in (c for c in after if library(c) == OURS and c in before):
                pairs += 1
                if outcome(after[contender], before[contender]) == "loss":
                    worse.append(f"{contender.partition(' ')[2]} on {instance}")
        yield f"- {long:g} s worse than {short:g} s: {len(worse)} of {pairs} medians" + "".join(f"; {w}" for w in worse)


def _against(ours: Best | None, theirs: Best | None) -> str:
    if theirs is None:
        return ""
    mark = f" **{outcome(ours.cost, theirs.cost)}**" if ours is not None else ""
    return f"{_number(theirs.cost)} ({theirs.setting}){mark}"


def _number(cost: float | None) -> str:
    if cost is None:
        return ""
    if not math.isfinite(cost):
        return "none in time"
    return f"{cost:.0f}" if cost == round(cost) else f"{cost:.6g}"
