"""The tables: distance to the best known, time to a feasible answer, time to equal cost. Medians over the seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks.contenders import OURS
from benchmarks.practical.measured import Measured, gaps, notes, times
from benchmarks.quality.cells import Cells

BEGIN = "<!-- written by python -m benchmarks.practical --table: do not edit by hand -->"
END = "<!-- end of what is written -->"
LONG = 1.0  # [s] of a run, from which on its share of a CPU tells how disturbed it was
# Columns of the documentation: a solver, or the best of a library's settings, by how its name begins.
COLUMNS = {
    "Qiosk default": f"{OURS} default",
    "Qiosk `tabu`": f"{OURS} tabu",
    "`Model.solve`": f"{OURS} Model.solve",
    "without groups": f"{OURS} one-flip tabu",
    "dwave-samplers": "dwave-samplers",
    "OpenJij": "OpenJij",
    "CP-SAT": "CP-SAT",
    "HiGHS": "HiGHS",
}


@dataclass(frozen=True)
class Known:
    """What tables say of a problem: its family, and the best known cost (0: it is enough to be feasible)."""

    family: str
    best: float


def report(measured: Measured, known: Mapping[str, Known]) -> str:
    """All runs: a column for each setting of each library."""
    names = dict.fromkeys(cell.contender for cell in measured)
    columns = {name: name for name in sorted(names, key=lambda name: not name.startswith(OURS))}
    return "\n".join(["# Practical problems, one thread", "", *_sections(measured, known, columns)]) + "\n"


def documented(measured: Measured, known: Mapping[str, Known], text: str) -> str:
    """A page with a new part between its marks. Raises ValueError if there are no marks, or no runs."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs two lines, and has not got them in this order: {BEGIN} {END}")
    if not any(measured):
        raise ValueError(f"there are no runs in {measured.folder}")
    return before + "\n".join([BEGIN, "", *_sections(measured, known, COLUMNS), "", END]) + after


def _sections(measured: Measured, known: Mapping[str, Known], columns: Mapping[str, str]) -> Iterator[str]:
    yield from _conditions(measured)
    walls = measured.gap.times()
    said = " and ".join(f"{seconds:g} s" for seconds in walls)
    yield from ["", f"Distance to the best known cost after {said} (median):", ""]
    optima = {name: one for name, one in known.items() if one.best}
    yield from _table(optima, columns, measured.gap, lambda name, column: _gap_text(measured, optima, name, column))
    yield from ["", "Time to the first feasible answer (median):", ""]
    yield from _table(
        known, columns, measured.feasible, lambda name, column: _time_text(measured.feasible, name, column)
    )
    yield from ["", "Time to the best cost that one-flip QUBO solvers had in the end (median):", ""]
    yield from _table(optima, columns, measured.equal, lambda name, column: _time_text(measured.equal, name, column))


def _conditions(measured: Measured) -> Iterator[str]:
    """On what, when and beside what this was measured."""
    cells, machines = list(measured), measured.machines()
    seeds = len({cell.seed for cell in cells})
    yield f"One thread each, every solver in a process of its own; {seeds} seed{'s' if seeds != 1 else ''}."
    for processor, cpus in dict.fromkeys((part["processor"], part["cpus"]) for part in machines):
        yield f"{cpus} CPUs of {processor}."
    if machines:
        first, last = machines[0]["date"], machines[-1]["date"]
        versions = ", ".join(f"{name} {version}" for name, version in machines[-1]["versions"].items())
        yield f"From {first} to {last}; {versions}." if first != last else f"{first}; {versions}."
    loads = [cell.load for cell in cells if cell.load is not None]
    shares = [cell.share for cell in cells if cell.share is not None and cell.seconds >= LONG]
    if loads:
        yield f"Load of the machine: {min(loads):.1f} to {max(loads):.1f}, median {statistics.median(loads):.1f}."
    if shares:
        yield f"A solver had {statistics.median(shares):.2f} of a CPU (median), {min(shares):.2f} to {max(shares):.2f}."


def _table(
    known: Mapping[str, Known], columns: Mapping[str, str], cells: Cells, text: Callable[[str, str], str]
) -> Iterator[str]:
    measured = {cell.instance for cell in cells}
    yield "| problem | " + " | ".join(columns) + " |"
    yield "| --- " * (1 + len(columns)) + "|"
    for name, one in known.items():
        if name in measured:
            yield (
                "| "
                + " | ".join([f"{name}, {one.family}", *(text(name, begins) for begins in columns.values())])
                + " |"
            )


def _gap_text(measured: Measured, known: Mapping[str, Known], name: str, begins: str) -> str:
    """The distances at each wall time, one beside the other."""
    texts = [
        _best(gaps(measured.gap, name, seconds, known[name].best), notes(measured.gap, name), begins, _share)
        for seconds in measured.gap.times()
    ]
    return texts[0] if len(set(texts)) == 1 else ", ".join(text or "–" for text in texts)


def _time_text(cells: Cells, name: str, begins: str) -> str:
    return _best(times(cells, name), notes(cells, name), begins, _duration)


def _best(values: Mapping[str, float], ended: Mapping[str, str], begins: str, text: Callable[[float], str]) -> str:
    """The best of the solvers whose names begin so: a value; why there is none; empty if none was measured."""
    some = {solver: value for solver, value in values.items() if solver.startswith(begins)}
    if not some:
        return ""
    solver = min(some, key=lambda name: some[name])
    return text(some[solver]) if math.isfinite(some[solver]) else ended.get(solver, "none")


def _share(gap: float) -> str:
    percent = 100 * gap
    return "0" if abs(gap) < 1e-12 else f"{percent:.2g} %" if abs(percent) < 99.5 else f"{percent:.0f} %"


def _duration(seconds: float) -> str:
    return f"{seconds * 1e3:.2g} ms" if seconds < 0.0995 else f"{seconds:.2g} s"
