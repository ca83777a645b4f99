"""Generated problems cost at best what was planted: by enumeration of small ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks import generators
from qiosk.model.cost import evaluate


def least(instance):
    """Lowest cost of all configurations."""
    n = len(instance.cost_function.variables)
    everything = np.array(list(itertools.product([-1, 1], repeat=n)), np.int8)
    return evaluate(instance.cost_function, everything).min()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "generate",
    [
        lambda seed: generators.wishart(12, 0.5, seed),
        lambda seed: generators.wishart(10, 1.5, seed),
        lambda seed: generators.xorsat(12, seed),
        lambda seed: generators.frustrated_loops(4, 0.4, seed),
        lambda seed: generators.tiles(4, seed),
    ],
    ids=["wishart a=0.5", "wishart a=1.5", "xorsat", "loops", "tiles"],
)
def test_the_planted_cost_is_the_least(generate, seed):
    instance = generate(seed)
    assert least(instance) == instance.best_known
    assert instance.is_reached(instance.best_known)


def test_a_seed_gives_one_problem_and_another_seed_another():
    first, same, other = (generators.wishart(20, 0.5, seed).cost_function for seed in (1, 1, 2))
    assert np.array_equal(first.coefficients, same.coefficients)
    assert not np.array_equal(first.coefficients, other.coefficients)


def test_every_spin_of_xorsat_is_in_three_terms_of_three_spins():
    terms = generators.xorsat(24, 0).cost_function.ids.reshape(-1, 3)
    assert np.bincount(terms.ravel()).tolist() == [3] * 24
    assert all(len(set(row)) == 3 for row in terms.tolist())


def test_tiles_use_every_coupling_of_the_lattice_once():
    ids = np.sort(generators.tiles(6, 0).cost_function.ids.reshape(-1, 2), axis=1)
    assert len(np.unique(ids, axis=0)) == len(ids) == 2 * 36


@pytest.mark.parametrize(
    ("generate", "message"),
    [
        (lambda: generators.wishart(7, 1.0, 0), "number of spins: must be even and positive, found 7"),
        (lambda: generators.xorsat(3, 0), "number of spins: must be at least 4, found 3"),
        (lambda: generators.tiles(5, 0), "side of the lattice: must be even and at least 4, found 5"),
    ],
)
def test_sizes_that_cannot_be_planted_are_refused(generate, message):
    with pytest.raises(ValueError, match=message):
        generate()
