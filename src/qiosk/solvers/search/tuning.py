"""Search parameters from the problem: the hot and the cold end of annealing, and a ladder between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8
from qiosk.solvers.search.schedules import geometric

if TYPE_CHECKING:
    from qiosk.solvers.search.moves.moves import Moves

# Mean acceptance of uphill moves from random configurations at the hot end.
HOT_ACCEPTANCE = 0.5
# Mean excess cost of uphill moves from local minima at the cold end, delta * exp(-beta * delta), in units of their mean
# delta. It weighs the many small deltas of real couplings by how little they matter; on four families of instances
# values from 5e-4 to 2e-3 did equally well, ten times as much or as little did worse. Where a choice has many
# moves this is their sum, not their mean: only a few of them are small, and with the mean tempering never froze tours.
COLD_EXCESS = 1e-3
# Mean acceptance of uphill moves from random configurations at the hot end of a ladder: hot enough to decorrelate,
# while the hotter half of the range would take half of the rungs.
LADDER_ACCEPTANCE = 0.2
# Where rows have slack: moves at local minima count up to this multiple of this quantile. The rest are penalties.
ROW_QUANTILE, ROW_FACTOR = 0.25, 4.0
# Ranges of the ladder without any rejection keep some rungs.
LEAST_REJECTION = 0.02
# Configurations that are sampled, at most; fewer where they have many moves.
MOST_SAMPLES = 8
MOVES_TO_SEE = 1_000_000
# Variables from which one configuration is sampled, and moves that are looked at, evenly spread, at most.
ONE_SAMPLE = 200_000
MOST_MOVES = 100_000
# Newton's method ends with a step of this share of beta; mostly after ten.
NEWTON_TOLERANCE = 1e-9
NEWTON_STEPS = 1000
# Twice as much, and sums of a few, are finite; only costs below the normal range of a float want more.
LARGEST_BETA = 2.0**1000


@dataclass(frozen=True, slots=True)
class BetaRange:
    """Hot and cold end [1/cost], 0 < hot < cold; and the hot end of ladders."""

    hot: float
    cold: float
    ladder_hot: float


def beta_range(
    problem: CompiledProblem, seed: int, moves: Moves, descend: Callable[[I8], I8] | None = None
) -> BetaRange:
    """Betas between which the problem freezes, from its moves at random configurations and at local minima.

    At the hot end half of the uphill moves from random configurations are accepted; at the cold end those from a local
    minimum are too rare or too small to matter. A problem without uphill moves (all costs equal) gets the range 1..2,
    where nothing depends on it. Where rows have slack most moves break some, at an enormous cost: there both ends are
    those of the other moves from local minima. ``descend`` leads a configuration to a local minimum; by default moves
    do.
    """
    rng = np.random.default_rng((seed % 2**64, 0xBE7A))
    terms = problem.n_pairs + len(problem.term_variables) + len(problem.group_variables) + problem.n
    samples = int(np.clip(MOVES_TO_SEE // max(1, terms), 1 if problem.n >= ONE_SAMPLE else 2, MOST_SAMPLES))
    starts = [moves.random(rng) for _ in range(samples)]
    most = MOST_MOVES if samples == 1 else None
    cold_gains = [moves.gains((descend or moves.descend)(x), most) for x in starts]
    cold_moves = _uphill(cold_gains)
    if problem.slack:
        cold_moves = hot_moves = _within_rows(cold_moves)
    else:
        hot_moves = _uphill([moves.gains(x, most) for x in starts])
    if not len(hot_moves) or not len(cold_moves):
        return BetaRange(1.0, 2.0, 1.0)
    # in units of a power of two, which changes no digit, so that sums and squares stay in the range of a float
    exponent = int(np.frexp(max(hot_moves.max(), cold_moves.max()))[1])
    hot_moves, cold_moves = np.ldexp(hot_moves, -exponent), np.ldexp(cold_moves, -exponent)

    def beta_at(moves: F64, weights: F64, level: float) -> float:
        with np.errstate(over="ignore"):
            return min(float(np.ldexp(_beta_at(moves, weights, level), -exponent)), LARGEST_BETA)

    hot = beta_at(hot_moves, np.ones_like(hot_moves), HOT_ACCEPTANCE)
    share = min(1.0, moves.choices * samples / sum(map(len, cold_gains)))
    cold = beta_at(cold_moves, cold_moves / cold_moves.mean(), share * COLD_EXCESS)
    cold = max(cold, 2.0 * hot)
    ladder_hot = beta_at(hot_moves, np.ones_like(hot_moves), LADDER_ACCEPTANCE)
    return BetaRange(hot, cold, min(ladder_hot, 0.5 * (hot + cold)))


def _uphill(samples: list[F64]) -> F64:
    moves = np.concatenate(samples)
    moves = moves[:: -(-len(moves) // MOST_MOVES) or 1]
    scale = np.abs(moves).max(initial=0.0)
    uphill: F64 = moves[moves > 1e-12 * scale]
    return uphill


def _within_rows(moves: F64) -> F64:
    """The moves that are not so expensive that they must break rows."""
    if not len(moves):
        return moves
    within: F64 = moves[moves <= ROW_FACTOR * np.quantile(moves, ROW_QUANTILE)]
    return within


def _beta_at(moves: F64, weights: F64, level: float) -> float:
    """beta at which the mean of weight * exp(-beta * move) is ``level``, below that of the weights.

    By Newton's method for its logarithm: that falls with beta and is convex, so steps from 0 on never lead too far.
    """
    beta, total = 0.0, level * len(moves)
    for _ in range(NEWTON_STEPS):
        with np.errstate(over="ignore"):  # a large move is never accepted
            accepted = weights * np.exp(-beta * moves)
        left = accepted.sum()
        step = np.log(left / total) * left / (accepted @ moves)
        beta += step
        if step <= NEWTON_TOLERANCE * beta:
            break
    return float(beta)


def first_ladder(betas: BetaRange, rungs: int) -> F64:
    """(rungs,) geometric ladder: the choice before anything is known."""
    return geometric(betas.ladder_hot, betas.cold, rungs)


def even_ladder(ladder: F64, rejections: F64, bounds: tuple[int, int]) -> F64:
    """Ladder between the same ends on which neighbours exchange at an even rate, with as many rungs as that takes.

    ``rejections`` is (K - 1,), the share of exchanges between neighbours on ``ladder`` (K,) that were rejected. Their
    sum is the barrier between the ends, whatever the rungs; rungs are spread evenly over it, about two for every unit,
    a power of two within ``bounds``, so that whole ladders fill lane groups.

    Reference: S. Syed, A. Bouchard-Cote, G. Deligiannidis, A. Doucet, J. R. Stat. Soc. B 84, 321 (2022),
    doi:10.1111/rssb.12464.
    """
    barrier = np.concatenate([[0.0], np.cumsum(np.maximum(rejections, LEAST_REJECTION))])
    rungs = int(np.clip(1 << int(np.ceil(np.log2(2.0 * barrier[-1] + 1.0))), *bounds))
    return np.interp(np.linspace(0.0, barrier[-1], rungs), barrier, ladder)


def median_coefficient(problem: CompiledProblem) -> float:
    """Median size of the coefficients of terms and of squared members [cost]; 1 if there are none."""
    owner = np.repeat(np.arange(len(problem.group_values)), np.diff(problem.group_indptr))
    squares = problem.group_values[owner] * problem.group_weights**2
    sizes = np.abs(np.concatenate([problem.linear, problem.pair_values, problem.term_values, squares]))
    sizes = sizes[sizes > 0.0]
    return float(np.median(sizes)) if len(sizes) else 1.0
