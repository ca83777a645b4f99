"""``python -m benchmarks.bounds.larger [--seconds 1 20] [--search 5] [NAME …]``.

What mini-buckets add to diffusion after so many seconds of processor time, for problems of ``benchmarks/families.py``
with terms of more than two variables, as a table in ``benchmarks/results/bounds-larger.md``. The default target
searches for the best cost.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import qiosk
from benchmarks.families import make
from qiosk.bounds.choice import Bounder
from qiosk.solvers.bounding import relative_gap, warm_up

NAMES = ("labs 35", "labs 60", "labs 100", "4-local 300", "4-local 2000", "mixed 500", "3-local bits 300")
NAMES += ("4-local bits 1000", "sat 200", "sat 400", "sat 2000", "sat 10000")
RESULTS = Path(__file__).parents[1] / "results" / "bounds-larger.md"


def line(name: str, limits: list[float], search: float) -> list[str]:
    """The cells of an instance."""
    instance = make(name)
    warm_up(instance.problem)
    bounder, began = Bounder(instance.problem, "mini-buckets"), time.process_time()
    found = [(0.0, bounder.best)]
    while not bounder.is_done and time.process_time() - began < limits[-1]:
        if bounder.step():
            found.append((time.process_time() - began, bounder.best))
    best = qiosk.solve(instance.cost_function, timeout=search, seed=1).cost
    diffused = [(seconds, bound) for seconds, bound in found if bound.method != "mini-buckets"][-1]
    shown = [diffused, *([each for each in found if each[0] <= limit][-1] for limit in limits)]
    cells = [f"{b.value:.7g} ({100 * relative_gap(best, b.value):.2g} %, {s:.2g} s)" for s, b in shown]
    return [name, f"{best:.7g}", f"{found[0][1].value:.7g}", *cells]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bounds.larger", description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--seconds", type=float, nargs="+", default=[1.0, 20.0])
    parser.add_argument("--search", type=float, default=5.0)
    given = parser.parse_args()
    limits = sorted(given.seconds)
    heads = ["problem", "best cost", "trivial", "diffusion", *(f"mini-buckets within {s:g} s" for s in limits)]
    lines = [heads, ["---"] * len(heads)]
    for name in given.names:
        lines.append(line(name, limits, given.search))
        print(" | ".join(lines[-1]), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("".join(f"| {' | '.join(cells)} |\n" for cells in lines))


if __name__ == "__main__":
    main()
