"""SIMD kernels and their reference kernels do the same, bit for bit, given the same random numbers."""

from __future__ import annotations

import importlib

import numpy as np
import numpy.testing as npt
import pytest

from problems import random_problem, sliceable_problem
from qiosk.kernels.compiler import simd_available
from qiosk.kernels.plain.cached import REFRESH_SWEEPS, color_order
from qiosk.solvers.samplers.bit_packed.bitsliced import BitSlicedSampler
from qiosk.solvers.samplers.bit_packed.klocal import HalfChanges, KLocalSampler
from qiosk.solvers.samplers.bit_packed.packed import PackedSampler
from qiosk.solvers.samplers.cached import CachedSampler
from qiosk.solvers.samplers.dense import DenseSampler
from qiosk.solvers.samplers.row_form import spin_form

pytestmark = pytest.mark.skipif(not simd_available(), reason="without SIMD kernels there is nothing to compare")

QUADRATIC = [
    random_problem(kind, n, locality=2, seed=n, integers=integers)
    for kind in ("ising", "pubo")
    for n, integers in ((1, True), (9, True), (9, False), (67, True))
]
ANY = [
    random_problem(kind, n, locality=locality, seed=n, integers=integers)
    for kind in ("ising_grouped", "pubo_grouped")
    for n, locality, integers in ((2, 1, True), (8, 4, True), (8, 5, False))
]
LARGE = [random_problem("ising", 150, locality=2, seed=3, integers=integers) for integers in (True, False)]
SLICEABLE = [
    sliceable_problem(kind, n, most=most, seed=n) for kind in ("ising", "pubo") for n, most in ((1, 2), (9, 4), (41, 6))
]
COSTS = ("packed", "qiosk.solvers.samplers.bit_packed.bit_costs", ["packed_costs"])
PACKED = [("int8", 64), ("int8", 256), ("int16", 64), ("float32", 64), ("float64", 64)]


def replace_by_reference_kernels(monkeypatch, family, module, names):
    plain = importlib.import_module(f"qiosk.kernels.plain.{family}")
    users = importlib.import_module(module)
    for name in names:
        monkeypatch.setattr(users, name, getattr(plain, name))


def run_both(monkeypatch, sampler, family, names, costs=None):
    """The group and the costs after the same sweeps by the SIMD kernels and by the reference kernels.

    ``names`` are those of the family's kernels; ``costs``: the same, and the family and the module of samplers that use
    them, if these are elsewhere.
    """
    results = []
    for is_reference in (False, True):
        if is_reference:
            replace_by_reference_kernels(monkeypatch, family, type(sampler).__module__, names)
            if costs:
                replace_by_reference_kernels(monkeypatch, *costs)
        group = sampler.start((1, 2, 3))
        sampler.sweep(group, np.array([0.0, 0.2, 0.7, 3.0, np.inf]))
        sampler.sweep_ladder(group, np.linspace(0.0, 2.0, sampler.lanes), 2)
        results.append((group, sampler.costs(group)))
    return results


def assert_same(results):
    (group, costs), (reference, reference_costs) = results
    for name, array in group.arrays.items():
        npt.assert_array_equal(array, reference.arrays[name])
    npt.assert_array_equal(costs, reference_costs)


@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "pooled"])
@pytest.mark.parametrize(("arithmetic", "lanes"), PACKED)
@pytest.mark.parametrize("problem", QUADRATIC, ids=range(len(QUADRATIC)))
def test_packed(monkeypatch, problem, arithmetic, lanes, fresh):
    sampler = PackedSampler(problem, arithmetic=arithmetic, lanes=lanes, fresh=fresh)
    assert_same(run_both(monkeypatch, sampler, "packed", ["packed_sweeps"], COSTS))


@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "pooled"])
@pytest.mark.parametrize("lanes", [64, 512])
@pytest.mark.parametrize("problem", SLICEABLE, ids=range(len(SLICEABLE)))
def test_bit_sliced(monkeypatch, problem, lanes, fresh):
    sampler = BitSlicedSampler(problem, lanes=lanes, fresh=fresh)
    assert_same(run_both(monkeypatch, sampler, "bitsliced", ["bitsliced_sweeps"], COSTS))


@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "pooled"])
@pytest.mark.parametrize(("arithmetic", "lanes"), PACKED)
@pytest.mark.parametrize("problem", QUADRATIC + ANY, ids=range(len(QUADRATIC + ANY)))
def test_klocal(monkeypatch, problem, arithmetic, lanes, fresh):
    if not HalfChanges(problem).is_resolved_by(arithmetic):
        pytest.skip("an arithmetic that does not take the coefficients")
    sampler = KLocalSampler(problem, arithmetic=arithmetic, lanes=lanes, fresh=fresh)
    assert_same(run_both(monkeypatch, sampler, "klocal", ["klocal_sweeps", "klocal_costs"]))


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
@pytest.mark.parametrize("problem", QUADRATIC, ids=range(len(QUADRATIC)))
def test_cached(monkeypatch, problem, arithmetic, lanes):
    sampler = CachedSampler(problem, arithmetic=arithmetic, lanes=lanes)
    assert_same(run_both(monkeypatch, sampler, "cached", ["cached_sweeps"]))


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
@pytest.mark.parametrize("problem", [*QUADRATIC, *LARGE], ids=range(len(QUADRATIC + LARGE)))
def test_dense(monkeypatch, problem, arithmetic, lanes):
    sampler = DenseSampler(problem, arithmetic=arithmetic, lanes=lanes)
    assert_same(run_both(monkeypatch, sampler, "dense", ["dense_sweeps"]))


@pytest.mark.parametrize("build", [CachedSampler, DenseSampler])
def test_fields_are_summed_anew_at_the_same_sweeps_however_calls_are_cut(build):
    problem = random_problem("ising", 9, locality=2, seed=1, integers=False)
    sampler = build(problem, arithmetic="float32", lanes=2)
    whole, cut = sampler.start((1,)), sampler.start((1,))
    betas = np.full(2 * REFRESH_SWEEPS + 7, 0.3)
    sampler.sweep(whole, betas)
    for part in np.split(betas, [3, REFRESH_SWEEPS, REFRESH_SWEEPS + 1]):
        sampler.sweep(cut, part)
    for name, array in whole.arrays.items():
        npt.assert_array_equal(array, cut.arrays[name])
    before = whole.arrays["fields"].copy()
    sampler.replace(whole, 0, sampler.configuration(whole, 0))
    npt.assert_allclose(before[0, :9], whole.arrays["fields"][0, :9], atol=1e-5)


def test_greedy_colors_separate_neighbours():
    problem = random_problem("ising", 40, locality=2, seed=3, density=0.3)
    indptr, neighbors, _ = spin_form(problem).neighbors()
    colors = np.empty(40, np.int32)
    largest = color_order()(indptr, neighbors, colors, np.full(41, -1, np.int32))
    assert largest == colors.max() <= np.diff(indptr).max()
    for i in range(40):
        assert colors[i] not in colors[neighbors[indptr[i] : indptr[i + 1]]]
