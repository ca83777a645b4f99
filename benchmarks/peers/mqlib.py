"""MQLib: heuristics of 37 papers for max-cut and for quadratic problems over bits, by its own program ``MQLib``.

Source: https://github.com/MQLib/MQLib; I. Dunning, S. Gupta, J. Silberholz, INFORMS J. Comput. 30, 608 (2018),
doi:10.1287/ijoc.2017.0798. The program reads a problem from a file, which is not on its clock.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.contender import Contender, Race
from benchmarks.instance import Instance
from benchmarks.peers.quadratic import is_quadratic
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8

LIBRARY = "MQLib"
PROGRAM = "MQLib"
# The heuristics that were best on one of the problems of ``benchmarks.large``.
HEURISTICS = (
    "BEASLEY1998TS",
    "BURER2002",
    "FESTA2002GPR",
    "GLOVER2010",
    "LU2010",
    "MERZ1999GLS",
    "PALUBECKIS2004bMST2",
    "PALUBECKIS2004bMST3",
    "PALUBECKIS2006",
)
SEEDS = 2**16
SHORTEST = 0.01  # [s]
# A run is ended when it takes so many times its limit, and as many seconds more, of which reading the file takes some.
# Some heuristics look at the clock only between descents, and on large problems never.
MOST_TIMES, MOST_MORE = 3.0, 30.0


@dataclass
class Heuristic:
    """Runs of one heuristic on an instance, each in a process of its own."""

    instance: Instance
    heuristic: str
    overrun: float = 0.0  # [s] by which the last run took longer than its limit
    folder: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)

    def __post_init__(self) -> None:
        write(self.instance.problem, self._file)

    def __call__(self, race: Race, seed: int) -> None:
        limit = max(SHORTEST, race.seconds - self.overrun)
        try:
            found, took, last = self._run(limit, seed)
        except subprocess.TimeoutExpired:
            return
        self.overrun = max(0.0, took - limit)
        race.found(lambda: found, at=last)

    @property
    def _file(self) -> Path:
        return Path(self.folder.name) / "problem"

    def _run(self, seconds: float, seed: int) -> tuple[I8, float, float]:
        """The best configuration (n,), and the seconds of the whole run, and until the best, by the program's clock."""
        kind = "-fM" if self.instance.problem.is_spin else "-fQ"
        command = [
            PROGRAM,
            kind,
            str(self._file),
            "-h",
            self.heuristic,
            "-r",
            f"{seconds:.4f}",
            "-s",
            str(seed % SEEDS),
        ]
        most = MOST_TIMES * seconds + MOST_MORE
        done = subprocess.run([*command, "-nv", "-ps"], capture_output=True, text=True, check=True, timeout=most)
        head, _, solution = done.stdout.partition("Solution:")
        # limit, heuristic, "file", best value, seconds, [value:seconds;value:seconds]
        facts, _, history = head.strip().rpartition(",")
        last = float(history.strip("[]").rpartition(":")[2])
        values = np.array(solution.split(), np.int8)
        return in_order(self.instance.problem, values), float(facts.rpartition(",")[2]), last


def write(problem: CompiledProblem, path: Path) -> None:
    """A quadratic problem in MQLib's format, which maximizes: a cut for spins, a symmetric matrix for bits.

    Fields of spins are edges to one more vertex.
    """
    n = problem.n + (1 if _has_ghost(problem) else 0)
    entries = list(_entries(problem))
    total = sum(len(values) for _, _, values in entries)
    with path.open("w") as file:
        file.write(f"{n} {total}\n")
        for rows, cols, values in entries:
            lines = zip((rows + 1).tolist(), (cols + 1).tolist(), values.tolist(), strict=True)
            file.writelines(f"{i} {j} {value!r}\n" for i, j, value in lines)


def in_order(problem: CompiledProblem, values: I8) -> I8:
    """(n,) values in the problem's own domain, from those of MQLib's vertices."""
    return (values[:-1] * values[-1]).astype(np.int8) if _has_ghost(problem) else values


def _has_ghost(problem: CompiledProblem) -> bool:
    return problem.is_spin and bool(problem.linear.any())


def _entries(problem: CompiledProblem) -> Iterator[tuple[F64, F64, F64]]:
    rows, cols, values = problem.pair_rows, problem.pair_cols, problem.pair_values
    there = np.flatnonzero(problem.linear)
    if problem.is_spin:
        yield rows, cols, values
        yield there, np.full(len(there), problem.n), problem.linear[there]
    else:
        yield rows, cols, -0.5 * values
        yield there, there, -problem.linear[there]


def _contender(heuristic: str) -> Contender:
    return Contender(LIBRARY, heuristic, is_quadratic, lambda instance: Heuristic(instance, heuristic))


CONTENDERS = [_contender(heuristic) for heuristic in HEURISTICS]
