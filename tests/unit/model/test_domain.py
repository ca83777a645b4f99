"""Cost functions over the other domain, and without groups, have the same costs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

import naive
from qiosk.errors import NotEnoughMemory
from qiosk.model.transforms.domain import flattened, to_bits, to_spins
from strategies import cost_function, cost_functions

pytestmark = pytest.mark.slow


def as_spins(configuration):
    return {i: 2 * value - 1 for i, value in configuration.items()}


@given(cost_functions())
def test_bits_have_the_cost_of_their_spins(given_one):
    bits, spins = to_bits(given_one), to_spins(given_one)
    assert not bits.problem_type.is_ising
    assert spins.problem_type.is_ising
    assert bits.variables.tolist() == spins.variables.tolist() == given_one.variables.tolist()
    for configuration in list(naive.configurations(bits))[:64]:
        spin = as_spins(configuration)
        wanted = naive.cost(given_one, spin if given_one.problem_type.is_ising else configuration)
        assert float(naive.cost(bits, configuration)) == pytest.approx(float(wanted), abs=1e-6)
        assert float(naive.cost(spins, spin)) == pytest.approx(float(wanted), abs=1e-6)


@given(cost_functions())
def test_flattening_leaves_costs_and_variables(given_one):
    flat = flattened(given_one)
    assert len(flat.groups) == 0
    assert flat.variables.tolist() == given_one.variables.tolist()
    for configuration in list(naive.configurations(flat))[:64]:
        assert float(naive.cost(flat, configuration)) == pytest.approx(float(naive.cost(given_one, configuration)))


def test_the_initial_configuration_comes_along():
    from dataclasses import replace

    ising = replace(cost_function("ising", [(1.0, [0, 3])]), initial_configuration={0: -1, 3: 1})
    assert to_bits(ising).initial_configuration == {0: 0, 3: 1}
    assert to_spins(to_bits(ising)).initial_configuration == {0: -1, 3: 1}


def test_terms_too_large_to_expand_are_refused():
    with pytest.raises(NotEnoughMemory, match="expanding the terms"):
        to_bits(cost_function("ising", [(1.0, range(60))]))
    many = [(1.0, [(1.0, i) for i in range(20_000)])]
    with pytest.raises(NotEnoughMemory, match="expanding the terms"):
        flattened(cost_function("ising_grouped", [], many))


def test_an_empty_problem_stays_empty():
    assert len(to_bits(cost_function("ising", [])).variables) == 0
    assert np.array_equal(flattened(cost_function("pubo", [(2.5, [])])).coefficients, [2.5])
