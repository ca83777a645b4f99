"""Diffusion Monte Carlo of any problem in float64: walkers hop at random and are resampled by their cost.

Shapes: R walkers, n variables, T terms of two or more variables with K ids in all, G squared linear combinations with M
members in all.

In every step each walker hops to a random neighbour, one variable away, with probability alpha, whatever that costs;
after every ``interval`` steps the walkers are resampled in proportion to exp(-beta cost), each as often as its share,
rounded down or up. With constant alpha and beta the walkers come to be distributed as the largest eigenvector of
exp(-beta cost) ((1 - alpha) + alpha * (random hop)) ** interval.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import inlined, kernel
from qiosk.kernels.plain.general import add_up_groups, apply_flip, change_of, uniform


@inlined()
def _cost(constant: Any, linear: Any, terms: Any, groups: Any, values: Any, sums: Any) -> Any:
    """Cost of one configuration, summed again; ``sums`` are its groups'."""
    indptr, variables, coefficients = terms
    total = constant
    for i in range(linear.size):
        total += linear[i] * values[i]
    for t in range(coefficients.size):
        product = coefficients[t]
        for q in range(indptr[t], indptr[t + 1]):
            product *= values[variables[q]]
        total += product
    for g in range(sums.size):
        total += groups[3][g] * sums[g] * sums[g]
    return total


@inlined()
def _hop(linear: Any, terms: Any, groups: Any, by_variable: Any, is_spin: Any, x: Any, sums: Any, draw: Any) -> Any:
    """Give a random variable its other value; returns the change of cost."""
    i = min(int(draw * x.size), x.size - 1)
    dx = -2 * x[i] if is_spin else 1 - 2 * x[i]
    delta = change_of(i, linear, terms, groups, by_variable, x, sums, dx)
    apply_flip(i, by_variable, x, sums, dx)
    return delta


@inlined()
def _copy(source: Any, to: Any) -> None:
    """Entry by entry: slices compile for seconds."""
    for k in range(source.size):
        to[k] = source[k]


@inlined()
def _cheapest(costs: Any) -> int:
    least = 0
    for r in range(1, costs.size):
        if costs[r] < costs[least]:
            least = r
    return least


@inlined()
def _resample(beta: Any, draw: Any, values: Any, sums: Any, costs: Any, weights: Any, counts: Any) -> None:
    """Systematic resampling in proportion to exp(-beta cost); a walker that is kept stays in its place."""
    n_walkers = costs.size
    total, least = 0.0, costs[_cheapest(costs)]
    for r in range(n_walkers):
        weights[r] = np.exp(-beta * (costs[r] - least))
        total += weights[r]
    reached, taken = 0.0, 0
    for r in range(n_walkers):
        reached += weights[r] / total * n_walkers
        end = n_walkers if r == n_walkers - 1 else min(max(int(np.ceil(reached - draw)), taken), n_walkers)
        counts[r] = end - taken
        taken = end
    spare = 0
    for r in range(n_walkers):
        if counts[r] == 0:
            while counts[spare] <= 1:
                spare += 1
            counts[spare] -= 1
            counts[r] = 1
            _copy(values[spare], values[r])
            _copy(sums[spare], sums[r])
            costs[r] = costs[spare]


@cache
def diffuse() -> Any:
    """``diffuse(problem, walkers, best, scratch, first, alphas, betas, interval, refresh, part)``: one step per
    alpha.

    problem: (constant, linear (n,), terms, groups, by_variable, is_spin), as in ``plain.general``. walkers: (values (R,
    n) int8, sums (R, G) float64, costs (R,) float64, states (R,) uint64), updated. best: (values (n,) int8, cost (1,)
    float64), the best configuration met after a step, updated. scratch: (weights (R,) float64, counts (R,) int64).
    alphas, betas: (steps,) float64 of the steps numbered ``first`` and on. Walkers are resampled after steps whose
    number plus one is a multiple of ``interval``, and sums and costs are added up again before steps whose number is a
    multiple of ``refresh``: so they need not be set when step 0 is run.
    part: the first walker and the one after the last that hop; with the last one, a step ends. A step may be made of
    several calls, one for each part in order.
    """

    @kernel
    def run(
        problem: Any,
        walkers: Any,
        best: Any,
        scratch: Any,
        first: Any,
        alphas: Any,
        betas: Any,
        interval: Any,
        refresh: Any,
        part: Any,
    ) -> None:
        constant, linear, terms, groups, by_variable, is_spin = problem
        values, sums, costs, states = walkers
        for t in range(alphas.size):
            step = first + t
            if step % refresh == 0:
                for r in range(part[0], part[1]):
                    add_up_groups(groups, values[r], sums[r])
                    costs[r] = _cost(constant, linear, terms, groups, values[r], sums[r])
            for r in range(part[0], part[1]):
                if uniform(states, r) < alphas[t]:
                    draw = uniform(states, r)
                    costs[r] += _hop(linear, terms, groups, by_variable, is_spin, values[r], sums[r], draw)
            if part[1] < costs.size:
                continue
            leader = _cheapest(costs)
            if costs[leader] < best[1][0]:
                _copy(values[leader], best[0])
                best[1][0] = costs[leader]
            if (step + 1) % interval == 0:
                _resample(betas[t], uniform(states, 0), values, sums, costs, scratch[0], scratch[1])

    return run
