"""Parts of long sweeps: a kernel cannot be interrupted, so one call makes a bounded number of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I64

PART_STEPS = 4_000_000
"""Steps of a kernel call, at most, unless a single variable takes more: from some milliseconds, if what they read is in
the cache, to about a tenth of a second."""


class Parts:
    """How many sweeps, or what range of variables of one sweep, a kernel call may take.

    ``steps`` (n,) are those of each variable in a sweep, ``factor`` what each counts for.
    """

    def __init__(self, steps: NDArray[np.number], factor: float = 1.0) -> None:
        self.check: Callable[[], None] = _no_check
        """Called between two calls of a kernel; what it raises ends the sweeps, and their lane group is of no use."""
        done = factor * np.cumsum(steps, dtype=np.float64)
        total = float(done[-1]) if len(done) else 0.0
        stops = np.searchsorted(done, PART_STEPS * np.arange(1.0, total / PART_STEPS), side="left") + 1
        places = np.unique([0, *stops, len(done)]).tolist()
        self._ranges = list(pairwise(places)) or [(0, 0)]
        self._sweeps = max(1, int(PART_STEPS // max(total, 1.0)))

    @property
    def is_long(self) -> bool:
        """Whether a sweep takes several calls."""
        return len(self._ranges) > 1

    def calls(self, sweeps: int) -> Iterator[tuple[slice, tuple[int, int]]]:
        """Of each kernel call: which of so many sweeps, and the first variable and the one after the last.

        No sweeps are one call, which compiles.
        """
        begin = 0
        while True:
            end = min(sweeps, begin + self._sweeps)
            for part in self._ranges[:1] if begin == end else self._ranges:
                yield slice(begin, end), part
                if end < sweeps or part[1] < self._ranges[-1][1]:
                    self.check()
            begin = end
            if begin >= sweeps:
                return


def long_term_steps(problem: CompiledProblem) -> I64:
    """(n,) ids of all terms of three or more variables that each variable is in."""
    sizes = np.diff(problem.term_indptr)
    per_id = np.repeat(sizes.astype(np.float64), sizes)
    return np.bincount(problem.term_variables, per_id, problem.n).astype(np.int64)


def _no_check() -> None:
    return None
