"""``python -m benchmarks.time_to_target [--seconds 1] [--limit 10] [--only REGEX] [--contenders REGEX]``.

Writes ``benchmarks/results/time_to_target.md`` and ``.json``. ``--limit`` is the longest run; a target that takes three
runs of a search longer than that counts as not found.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import generators
from benchmarks.contenders import OURS, PEERS, PROGRAMS, ours, peers
from benchmarks.instance import Instance, load
from benchmarks.time_to_target.measure import Measured, measure

RESULTS = Path(__file__).parents[1] / "results"
FAMILIES: dict[str, Callable[[], Instance]] = {
    "wishart n=30 a=0.5": lambda: generators.wishart(30, 0.5, 1),
    "wishart n=50 a=0.5": lambda: generators.wishart(50, 0.5, 1),
    "wishart n=60 a=0.75": lambda: generators.wishart(60, 0.75, 1),
    "wishart n=60 a=2": lambda: generators.wishart(60, 2.0, 1),
    "wishart_100_a2.0": lambda: load("wishart_100_a2.0"),
    "wishart_100_a0.5": lambda: load("wishart_100_a0.5"),
    "3r3x n=24": lambda: generators.xorsat(24, 1),
    "3r3x n=36": lambda: generators.xorsat(36, 1),
    "3r3x_48": lambda: load("3r3x_48"),
    "3r3x n=72": lambda: generators.xorsat(72, 1),
    "3r3x_96": lambda: load("3r3x_96"),
    "loops 16x16": lambda: generators.frustrated_loops(16, 0.4, 1),
    "fcl_torus32": lambda: load("fcl_torus32"),
    "tiles 16x16": lambda: generators.tiles(16, 1),
    "tiles 32x32": lambda: generators.tiles(32, 1),
    "npp_100": lambda: load("npp_100"),
}
UNFOUND = Measured(math.inf, "")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.time_to_target", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="of anneals of one length")
    parser.add_argument("--limit", type=float, default=10.0, help="of one run")
    parser.add_argument("--only", default="", help="regular expression that names of problems contain")
    parser.add_argument("--contenders", default="", help="regular expression that names of contenders contain")
    options = parser.parse_args()
    measurable = [c for c in [*ours(), *peers()] if c.library not in PROGRAMS]  # which stop at no target
    contenders = [c for c in measurable if re.search(options.contenders, c.name)]
    found: dict[str, dict[str, Measured]] = {}
    for name, build in FAMILIES.items():
        if re.search(options.only, name):
            instance = build()
            found[name] = {}
            for contender in contenders:
                if contender.can_run(instance):
                    taken = measure(contender, instance, options.seconds, options.limit)
                    found[name][contender.name] = taken
                    print(f"{name:20} {contender.name:52} {_duration(taken.seconds):>10}  {taken.how}", flush=True)
            write(found)
    print(markdown(found, list(PEERS)))


def write(found: Mapping[str, Mapping[str, Measured]]) -> None:
    """What there is so far, as a table and as data; seconds that are infinite as null."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "time_to_target.md").write_text(markdown(found, list(PEERS)))
    plain = {
        name: {c: [m.seconds if math.isfinite(m.seconds) else None, m.how] for c, m in row.items()}
        for name, row in found.items()
    }
    (RESULTS / "time_to_target.json").write_text(json.dumps(plain, indent=1) + "\n")


def best_of(row: Mapping[str, Measured], library: str) -> tuple[str, Measured] | None:
    """The fastest setting of a library; None if it did not run."""
    own = [(name.partition(" ")[2], taken) for name, taken in row.items() if name.split(" ", 1)[0] == library]
    return min(own, key=lambda item: item[1].seconds, default=None)


def markdown(found: Mapping[str, Mapping[str, Measured]], libraries: Sequence[str]) -> str:
    """A row for every problem: seconds of ours, and of each library's best setting with its ratio to ours."""
    lines = ["# Time to target (99 %), one thread", ""]
    lines.append("| problem | qiosk | target | " + " | ".join(libraries) + " |")
    lines.append("| --- " * (3 + len(libraries)) + "|")
    for name, row in found.items():
        best = best_of(row, OURS)
        own = best[1] if best else UNFOUND
        cells = [_against(own.seconds, best_of(row, library)) for library in libraries]
        lines.append("| " + " | ".join([name, _duration(own.seconds), best[0] if best else "", *cells]) + " |")
    return "\n".join(lines) + "\n"


def _against(ours: float, theirs: tuple[str, Measured] | None) -> str:
    if theirs is None:
        return ""
    setting, taken = theirs
    if not math.isfinite(taken.seconds):
        return "not found"
    ratio = f", **{taken.seconds / ours:.3g} ×**" if math.isfinite(ours) else ""
    return f"{_duration(taken.seconds)} ({setting}{ratio})"


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "not found"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


if __name__ == "__main__":
    main()
