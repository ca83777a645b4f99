"""Weighted populations: how uneven the weights are, and resampling to equal weights.

Weights are given as logarithms, up to a common factor.
"""

from __future__ import annotations

import numpy as np

from qiosk.model.cost_function import F64, I64


def normalized(log_weights: F64) -> tuple[F64, float]:
    """(R,) log weights that add up to 1 as weights, and the logarithm of what they added up to before."""
    top = float(log_weights.max())
    total = top + float(np.log(np.exp(log_weights - top).sum()))
    return log_weights - total, total


def spread(log_weights: F64) -> float:
    """R over the effective size (sum w)^2 / sum w^2: 1 for equal weights, R if a single one has all.

    Reference: J. S. Liu, R. Chen, J. Am. Stat. Assoc. 93, 1032 (1998), doi:10.1080/01621459.1998.10473765.
    """
    weights = np.exp(log_weights - log_weights.max())
    return float(len(weights) * (weights**2).sum() / weights.sum() ** 2)


def flattened(log_weights: F64, limit: float) -> F64:
    """The log weights times a factor up to 1, to a thousandth the largest that keeps their spread within ``limit``."""
    if spread(log_weights) <= limit:
        return log_weights
    # normally distributed ones with variance v have a spread of exp(v)
    low, high = 0.0, min(1.0, 4.0 * float(np.sqrt(np.log(limit) / log_weights.var())))
    while high - low > 1e-3 * high:
        middle = 0.5 * (low + high)
        if spread(middle * log_weights) <= limit:
            low = middle
        else:
            high = middle
    return low * log_weights


def systematic_counts(log_weights: F64, draw: float) -> I64:
    """(R,) how often each is taken, R in all: its weight times R, rounded down or up; ``draw`` is uniform in 0..1.

    Reference: J. Carpenter, P. Clifford, P. Fearnhead, IEE Proc. Radar Sonar Navig. 146, 2 (1999),
    doi:10.1049/ip-rsn:19990255.
    """
    size = len(log_weights)
    reached = np.cumsum(np.exp(normalized(log_weights)[0])) * size
    ends = np.clip(np.ceil(reached - draw), 0, size).astype(np.int64)
    ends[-1] = size  # also where the last sum was rounded
    return np.diff(ends, prepend=0)


def replacements(counts: I64, lanes: int) -> tuple[I64, I64]:
    """Which members to overwrite, and with which: so that member k is there ``counts[k]`` times.

    A member that is kept keeps its own place. Members are in groups of ``lanes``; a vacant place is filled from its
    own group if that has a spare copy, and otherwise in order, so that few pairs of groups are involved.
    """
    vacant = np.flatnonzero(counts == 0)
    spare = np.repeat(np.arange(len(counts)), np.maximum(counts - 1, 0))
    n_groups = -(-len(counts) // lanes)
    at_home = np.minimum(
        np.bincount(vacant // lanes, minlength=n_groups), np.bincount(spare // lanes, minlength=n_groups)
    )
    is_vacant_local, is_spare_local = (
        _rank(members // lanes) < at_home[members // lanes] for members in (vacant, spare)
    )
    to = np.concatenate([vacant[is_vacant_local], vacant[~is_vacant_local]])
    source = np.concatenate([spare[is_spare_local], spare[~is_spare_local]])
    return to, source


def _rank(groups: I64) -> I64:
    """(m,) how many earlier entries of the ascending ``groups`` are equal to this one."""
    first = np.searchsorted(groups, groups)
    return np.arange(len(groups)) - first
