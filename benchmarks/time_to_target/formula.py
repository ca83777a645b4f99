"""From successes to a time to target: that of restarting until one succeeds.

TTT(q) = t ln(1 - q) / ln(1 - p), with t the seconds of an attempt and p the probability that it succeeds; never less
than one attempt. Rønnow et al., Science 345, 420 (2014), doi:10.1126/science.1252319.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

CONFIDENCE = 0.99


def success_rate(successes: int, attempts: int) -> float:
    """Mean of what is believed of p after so many attempts, from Jeffreys' prior; 0 without any success.

    So that twenty of twenty are not taken for certainty.
    """
    if not 0 <= successes <= attempts or attempts < 1:
        raise ValueError(f"successes: must be 0 to the number of attempts, found {successes} of {attempts}")
    return (successes + 0.5) / (attempts + 1) if successes else 0.0


def time_to_target(seconds: float, p: float, confidence: float = CONFIDENCE) -> float:
    """Seconds of attempts that succeed at least once with ``confidence``; infinite for p = 0."""
    if not 0 <= p <= 1:
        raise ValueError(f"probability of success: must be 0 to 1, found {p}")
    if p == 0:
        return math.inf
    return seconds * max(1.0, math.log1p(-confidence) / math.log1p(-p)) if p < 1 else seconds


def from_run_times(times: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """Time to target of runs that stop when they have found it, cut off and restarted where that pays most.

    ``times``: seconds until the target of each run, infinite for a run that did not find it.
    """
    ordered = sorted(times)
    found = [
        time_to_target(seconds, success_rate(k, len(ordered)), confidence)
        for k, seconds in enumerate(ordered, 1)
        if math.isfinite(seconds)
    ]
    return min(found, default=math.inf)
