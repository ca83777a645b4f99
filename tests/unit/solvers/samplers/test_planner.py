"""The planner's choices, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import naive
from problems import random_problem
from qiosk.errors import InvalidValue
from qiosk.kernels.compiler import simd_available
from qiosk.model.compile import compile_problem
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.model.units import common_unit
from qiosk.solvers.samplers.bit_packed.klocal import HalfChanges
from qiosk.solvers.samplers.bit_packed.pool import pool_entries
from qiosk.solvers.samplers.incidence import Incidence
from qiosk.solvers.samplers.planner import KERNELS, choose, memory_bytes, plan, warm_up
from qiosk.solvers.samplers.row_form import spin_form
from qiosk.solvers.solve import solve
from strategies import cost_function

pytestmark = pytest.mark.slow

needs_simd = pytest.mark.skipif(not simd_available(), reason="everything is planned as plain loops")


def pairs_problem(n, pairs, values, kind="ising"):
    terms = [(float(c), [int(i), int(j)]) for (i, j), c in zip(pairs, values, strict=True)]
    return compile_problem(cost_function(kind, [*terms, *((0.0, [i]) for i in range(n))]))


def ring(n, values, kind="ising"):
    return pairs_problem(n, [(i, (i + 1) % n) for i in range(n)], values, kind)


def complete(n, values):
    return pairs_problem(n, np.stack(np.triu_indices(n, 1), axis=1), values)


RNG = np.random.default_rng(5)
PRODUCTS = np.outer(numbers := RNG.integers(1, 10**5, 40), numbers)
CHOICES = [
    ("signs", ring(50, RNG.choice([-1, 1], 50)), 256, "bit-sliced"),
    ("few tenths", ring(50, RNG.integers(1, 4, 50) / 10), 256, "bit-sliced"),
    ("signs of bits", ring(50, RNG.choice([-1, 1], 50), "pubo"), 256, "bit-sliced"),
    ("few signs of few", ring(50, RNG.choice([-1, 1], 50)), 64, "packed-int8"),
    ("few signs of many", ring(1000, RNG.choice([-1, 1], 1000)), 64, "bit-sliced"),
    ("few signs of very many", ring(20_000, RNG.choice([-1, 1], 20_000)), 64, "packed-int8"),
    ("signs of one", ring(50, RNG.choice([-1, 1], 50)), 1, "cached"),
    ("tenths", ring(50, RNG.integers(1, 9, 50) / 10), 64, "packed-int8"),
    ("bits", ring(50, RNG.integers(-9, 10, 50), "pubo"), 64, "packed-int8"),
    ("hundreds", ring(50, RNG.integers(-500, 501, 50)), 64, "packed-int16"),
    ("millions", ring(50, RNG.integers(-(10**6), 10**6, 50)), 64, "packed-float32"),
    ("normal", ring(50, RNG.normal(size=50)), 64, "packed-float32"),
    ("products", complete(40, PRODUCTS[np.triu_indices(40, 1)]), 64, "packed-float64"),
    ("penalties", ring(50, np.where(np.arange(50) % 3, RNG.normal(size=50), 1e9 / 7)), 64, "packed-float64"),
    ("alone", ring(50, RNG.normal(size=50)), 1, "cached"),
    ("dense", complete(520, RNG.normal(size=520 * 519 // 2)), 64, "dense"),
    ("dense signs", complete(520, RNG.choice([-1, 1], 520 * 519 // 2)), 64, "packed-int16"),
    ("larger terms", random_problem("ising", 6, locality=3, seed=1), 64, "klocal"),
    ("groups", random_problem("pubo_grouped", 6, locality=2, seed=1), 64, "klocal"),
]  # fmt: skip


@needs_simd
@pytest.mark.parametrize(("problem", "replicas", "kernel"), [pytest.param(*c[1:], id=c[0]) for c in CHOICES])
def test_choice(problem, replicas, kernel):
    assert choose(problem, replicas) == kernel


@needs_simd
def test_ladders_are_not_sliced():
    problem = ring(50, RNG.choice([-1, 1], 50))
    assert choose(problem, 64, ladder=True) == "packed-int8"
    assert plan(problem, replicas=64, kernel="bit-sliced", ladder=True).kernel == "bit-sliced-2x64"


@pytest.mark.parametrize(
    ("n", "replicas", "lanes"),
    [
        (50, 3, 64),
        (50, 65, 128),
        (50, 9999, 512),
        (512, 3, 512),
        (10_000, 3, 256),
        (100_000, 3, 64),
        (100_000, 300, 512),
    ],
)
def test_lanes_that_come_for_nothing_are_taken(n, replicas, lanes):
    assert plan(ring(n, np.ones(n)), replicas=replicas, kernel="bit-sliced").lanes == lanes


@pytest.mark.parametrize(
    ("values", "message"),
    [(RNG.normal(size=5), "multiples of one unit"), (np.array([1, 2, 5, 1, 1]), "variable number 2 has 7")],
)
def test_the_bit_sliced_kernel_refuses_large_and_broken_coefficients(values, message):
    with pytest.raises(InvalidValue, match=message):
        plan(ring(5, values), replicas=64, kernel="bit-sliced")


def test_unknown_kernels_are_refused_with_the_names_of_all():
    with pytest.raises(InvalidValue, match="kernel 'fastest' is none of packed-int8, .*, plain, one-hot"):
        plan(ring(5, np.ones(5)), replicas=1, kernel="fastest")


@pytest.mark.parametrize("kernel", [name for name in KERNELS if not name.startswith(("klocal", "plain", "one-hot"))])
def test_quadratic_kernels_refuse_larger_terms(kernel):
    with pytest.raises(InvalidValue, match=f"kernel '{kernel}' takes quadratic problems"):
        plan(random_problem("ising", 5, locality=3, seed=1), replicas=1, kernel=kernel)


def test_fields_that_cancel_have_no_rounding_left():
    triangle = pairs_problem(3, [(0, 1), (1, 2), (0, 2)], [0.4, 0.8, -1.2], "pubo")
    form = spin_form(compile_problem(cost_function("pubo", [(0.4, [0, 1]), (0.8, [1, 2]), (-0.6, [1])])))
    assert form.fields[1] == 0.0
    assert spin_form(triangle).unit == pytest.approx(0.1)


@pytest.mark.parametrize("kernel", ["packed-int8", "packed-int16"])
@pytest.mark.parametrize("values", [np.array([1e6, 1, 1, 1, 1]), RNG.normal(size=5)], ids=["large", "fractions"])
def test_integer_kernels_refuse_what_does_not_fit(kernel, values):
    with pytest.raises(InvalidValue, match=f"kernel '{kernel}' cannot represent the coefficients"):
        plan(ring(5, values), replicas=1, kernel=kernel)


@pytest.mark.parametrize("kernel", ["packed-float32", "klocal-float32"])
def test_float32_kernels_refuse_integers_that_they_do_not_resolve(kernel):
    integers, reals = 1e9 + np.arange(5), RNG.normal(size=5)
    with pytest.raises(InvalidValue, match=f"kernel '{kernel}' cannot represent the coefficients"):
        plan(ring(5, integers), replicas=1, kernel=kernel)
    assert plan(ring(5, reals), replicas=1, kernel=kernel).kernel == f"{kernel}x64"


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([], 1.0),
        ([0.0], 1.0),
        ([6, -9, 0], 3.0),
        ([0.75, 2], 0.25),
        ([0.1, 0.7, 1.2], 0.1),
        ([3e-3], 3e-3),
        ([2.0**-60, 2.0**-58], 2.0**-60),
        ([2.0**90, 3 * 2.0**89], 2.0**89),
        ([1e300, 3e300], None),
        ([1.0, np.pi], None),
        ([1e-9, 1e9], None),
    ],
)
def test_common_unit(values, unit):
    found = common_unit(np.array(values, np.float64))
    assert found == unit if unit is None else found == pytest.approx(unit, rel=1e-12)


@pytest.mark.parametrize("n", [0, 1, 8191, 8192, 8193, 100_000])
def test_pools_are_large_powers_of_two(n):
    assert pool_entries(n) >= max(8192, 4 * n)
    assert pool_entries(n).bit_count() == 1


@pytest.mark.parametrize("kind", ["ising", "pubo"])
def test_ising_form_has_the_same_costs(kind):
    problem = random_problem(kind, 5, locality=2, seed=3, integers=False)
    form = spin_form(problem)
    for bits in range(32):
        x = [(bits >> i) & 1 for i in range(5)]
        s = 1 - 2 * np.array(x)
        cost = form.constant + form.fields @ s + form.couplings @ (s[form.rows] * s[form.cols])
        values = s.tolist() if kind == "ising" else x
        assert cost == pytest.approx(float(naive.compiled_cost(problem, values)), abs=1e-9)


def test_groups_of_large_weights_need_float64():
    weights = [(float(w), i) for i, w in enumerate(RNG.integers(10**6, 10**7, 12))]
    exact = compile_problem(cost_function("ising_grouped", [], [(1.0, weights)]))
    assert HalfChanges(exact).arithmetic == "float64"
    light = compile_problem(cost_function("ising_grouped", [], [(1.0, [(1.0, i) for i in range(12)])]))
    assert HalfChanges(light).arithmetic == "int8"


def terms_of(values, kind="ising"):
    """Every four neighbours of a ring."""
    n = len(values)
    return compile_problem(
        cost_function(kind, [(float(v), [(i + k) % n for k in range(4)]) for i, v in enumerate(values)])
    )


TERMS = [
    ("signs", RNG.choice([-1.0, 1.0], 50), "int8"),
    ("tenths", RNG.integers(1, 9, 50) / 10, "int8"),
    ("hundreds", RNG.integers(-500, 501, 50), "int16"),
    ("normal", RNG.normal(size=50), "int16"),
    ("hundred thousands", RNG.integers(10**5, 10**6, 50), "float32"),
    ("penalties", np.where(np.arange(50) % 3, RNG.normal(size=50), 1e3 / 7), "float32"),
    ("large penalties", np.where(np.arange(50) % 3, RNG.normal(size=50), 1e9 / 7), "float64"),
]


@pytest.mark.parametrize("kind", ["ising", "pubo"])
@pytest.mark.parametrize(("values", "arithmetic"), [pytest.param(*c[1:], id=c[0]) for c in TERMS])
def test_arithmetic_of_larger_terms(values, arithmetic, kind):
    assert HalfChanges(terms_of(values, kind)).arithmetic == arithmetic


@pytest.mark.parametrize("kind", ["ising", "pubo"])
def test_rounded_half_changes_are_as_near_as_is_said(kind):
    problem = terms_of(RNG.normal(size=60), kind)
    halves = HalfChanges(problem)
    rounded = halves.rounded()
    exact, near = Incidence(problem), Incidence(rounded)
    per_id = np.repeat(np.abs(exact.terms[2] - near.terms[2]), 4)
    share = 1.0 if kind == "ising" else 0.5
    assert np.bincount(exact.terms[1], per_id * share).max() <= 4 * halves.rounding_step / 2
    assert np.max(near.bounds) / 2 <= 32767 * halves.rounding_step
    assert halves.rounding_step < halves.largest / 32000


@pytest.mark.parametrize("kernel", ["klocal-int8", "klocal-int16"])
def test_integer_kernels_refuse_larger_terms_that_do_not_fit(kernel):
    with pytest.raises(InvalidValue, match=f"kernel '{kernel}' cannot represent the coefficients"):
        plan(terms_of(np.array([1e6, 1, 1, 1, 1, 1])), replicas=64, kernel=kernel)


@needs_simd
def test_lanes_of_larger_terms():
    signs = terms_of(RNG.choice([-1.0, 1.0], 50))
    assert [plan(signs, replicas=replicas).kernel for replicas in (1, 200)] == ["klocal-int8x64", "klocal-int8x256"]
    assert plan(terms_of(RNG.normal(size=50)), replicas=200).kernel == "klocal-int16x64"


@needs_simd
@pytest.mark.parametrize("kernel", [None, "klocal"])
def test_a_hundred_thousand_variables_and_a_million_terms(kernel):
    n = 100_000
    rng = np.random.default_rng(1)
    first = rng.integers(0, n, 10 * n)
    ids = np.stack([first, (first + rng.integers(1, n, 10 * n)) % n], axis=1).ravel()
    values = rng.integers(-3, 4, 10 * n).astype(np.float64)
    function = CostFunction(ProblemType.ising, values, np.arange(10 * n + 1) * 2, ids)
    problem = compile_problem(function)
    sampler = plan(problem, replicas=64, kernel=kernel)
    warm_up(sampler)
    group = sampler.start((1,))
    before = sampler.costs(group)
    sampler.sweep(group, np.full(2, 2.0))
    after = sampler.costs(group)
    assert np.all(after < before)
    assert after[3] == evaluate(function, sampler.configuration(group, 3))
    shared, lane_group = memory_bytes(problem, sampler)
    assert shared < 200 * 2**20
    assert sum(a.nbytes for a in group.arrays.values()) <= lane_group


@needs_simd
def test_large_problems_are_annealed_long_rather_than_often(monkeypatch):
    values = RNG.normal(size=300).tolist()
    terms = [(c, [i, (i + 1) % 300]) for i, c in enumerate(values)] + [(1.0, [i, (i + 7) % 300]) for i in range(300)]
    problem = cost_function("ising", terms)
    found = []
    for large in (300, 301):
        monkeypatch.setattr("qiosk.solvers.samplers.planner.LARGE_VARIABLES", large)
        result = solve(problem, "microsoft.simulatedannealing-parameterfree.cpu", timeout=0.3, seed=1)
        found.append(result.statistics["kernel"])
    assert found == ["cached-float32x1", "packed-float32x64"]
