"""Why a run ends, and what is raised where it ends in the middle of something."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class StopReason(StrEnum):
    """Why a run ended."""

    FINISHED = "finished"  # the planned work is done
    CONVERGED = "converged"  # more work keeps finding the same best
    TARGET = "target"  # the target cost was reached
    OPTIMAL = "optimal"  # proved: the best costs exactly as much as a lower bound
    GAP = "gap"  # the best is as close to a lower bound as was asked for
    VIOLATED = "violated"  # as converged, but the best violates a constraint
    TIMEOUT = "timeout"
    RUN_LIMIT = "run_limit"  # no job of the workspace may run longer
    CANCELLED = "cancelled"


class Interrupted(Exception):
    """A set-up or a chunk was given up; ``reason`` says why the run ends.

    ``reached`` (n,) is where a descent had come by then; None if it was none that was given up.
    """

    def __init__(self, reason: StopReason) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.reached: NDArray[np.int8] | None = None
