"""``python -m benchmarks.quality [--large] [--seconds 1 10] [--seeds 5] [--contenders REGEX] [--fresh-ours] [--table]
[NAME …]``.

Runs what is missing in ``benchmarks/results/quality.jsonl``, contenders in turn seed by seed, shorter wall times first,
and writes the table to ``quality.md`` beside it. With ``--large`` the problems are those of ``benchmarks.large``, and
the files ``large.jsonl`` and ``large.md``. From 10 s on, only the two settings of each library that were best on
the instance at the shortest wall time take part, unless ``--all`` is given.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from benchmarks import large
from benchmarks.contender import Contender, Race, Search
from benchmarks.contenders import OURS, PEERS, ours, peers
from benchmarks.instance import Instance, catalogue, load
from benchmarks.quality.cells import Cell, Cells, best_of_each, library
from benchmarks.quality.table import markdown

RESULTS = Path(__file__).parents[1] / "results"
LONG = 10.0  # [s], from which on only the best settings take part
BEST = 2
WARM_UP = 0.2  # [s]
# A run that had less of a processor than this was disturbed by others, and is run again; so is one that found nothing
# in time, since the next one knows how late it was.
UNDISTURBED = 0.95
ATTEMPTS = 3


class Comparison:
    """Instances and contenders, prepared when they first run, and kept."""

    def __init__(self, contenders: Sequence[Contender], cells: Cells, make: Callable[[str], Instance] = load) -> None:
        self.contenders = contenders
        self.cells = cells
        self.instance = cache(make)
        self._searches: dict[tuple[str, str], Search] = {}

    def run(self, names: Sequence[str], seconds: float, seeds: int, *, every: bool) -> None:
        """Whatever is missing at one wall time."""
        for seed in range(seeds):
            for name in names:
                for contender in self._missing(name, seconds, seed, every):
                    self._measure(self.instance(name), contender, seconds, seed)

    def _missing(self, name: str, seconds: float, seed: int, every: bool) -> Iterator[Contender]:
        chosen = self._chosen(name) if seconds >= LONG and not every else None
        for contender in self.contenders:
            if (name, contender.name, seconds, seed) in self.cells or (chosen and contender.name not in chosen):
                continue
            if contender.can_run(self.instance(name)):
                yield contender

    def _chosen(self, name: str) -> set[str]:
        shortest = min((seconds for seconds in self.cells.times() if seconds < LONG), default=None)
        medians = self.cells.medians(name, shortest) if shortest is not None else {}
        return best_of_each(medians, [OURS, *PEERS], BEST)

    def _measure(self, instance: Instance, contender: Contender, seconds: float, seed: int) -> None:
        search = self._search(instance, contender)
        for _ in range(ATTEMPTS):
            race, began = Race(seconds), _processor_seconds()
            search(race, seed)
            wall, cpu = race.elapsed, _processor_seconds() - began
            cost = race.best(instance)
            if cpu > UNDISTURBED * wall and cost is not None:
                break
        self.cells.add(Cell(instance.name, contender.name, seconds, seed, cost, round(wall, 4), round(cpu, 4)))
        print(f"{seconds:4g} s  seed {seed}  {instance.name:18} {contender.name:52} {cost}  {wall:.2f} s", flush=True)

    def _search(self, instance: Instance, contender: Contender) -> Search:
        key = instance.name, contender.name
        if key not in self._searches:
            self._searches[key] = contender.prepare(instance)
            self._searches[key](Race(WARM_UP), 10**6)
        return self._searches[key]


def _processor_seconds() -> float:
    """Of this process and of those it has run [s]."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("instances", nargs="*", help="all if none is named")
    parser.add_argument("--large", action="store_true", help="the problems of benchmarks.large")
    parser.add_argument("--seconds", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--contenders", default="", help="regular expression that their names contain")
    parser.add_argument("--all", action="store_true", help="every setting, at long wall times too")
    parser.add_argument("--fresh-ours", action="store_true", help="forget what was measured of the targets here")
    parser.add_argument("--table", action="store_true", help="measure nothing, write the table of what there is")
    parser.add_argument("--results", type=Path, help="file of runs")
    options = parser.parse_args()
    results = options.results or RESULTS / ("large.jsonl" if options.large else "quality.jsonl")
    cells = Cells(results)
    known = dict.fromkeys(large.names()) if options.large else catalogue()
    names = options.instances or list(known)
    if options.fresh_ours:
        cells.drop(lambda cell: library(cell.contender) == OURS and cell.instance in names)
    if not options.table:
        wanted, make = re.compile(options.contenders), large.make if options.large else load
        comparison = Comparison([c for c in [*peers(), *ours()] if wanted.search(c.name)], cells, make)
        for seconds in sorted(options.seconds):
            comparison.run(names, seconds, options.seeds, every=options.all)
    report = markdown(cells, {name: known[name] for name in names}, list(PEERS))
    results.with_suffix(".md").write_text(report)
    print(report)


if __name__ == "__main__":
    main()
