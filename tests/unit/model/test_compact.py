"""Large problems keep narrow columns and are read in blocks; nothing that is computed from them differs."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import itertools
import mmap
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qiosk.adapters.blobs.local import LocalBlobStore
from qiosk.errors import BlobNotFound, InvalidInput, InvalidValue, RepeatedVariable, UnreadableInput
from qiosk.formats import columns, registry
from qiosk.formats.qio import json_codec as qio_json
from qiosk.model.arrays.compact import narrowed
from qiosk.model.arrays.pairs import PairRows, ReorderedRows
from qiosk.model.check import check
from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import CostFunction
from qiosk.model.flips import cost_of, deltas
from qiosk.model.transforms.reorder import reorder
from qiosk.service.blobs.store import MapsBlobs
from qiosk.service.jobs.job import BlobRef
from qiosk.solvers.samplers.arithmetic import quantile_is_at_least
from qiosk.solvers.samplers.bit_packed.packed import PackedSampler
from qiosk.solvers.samplers.cached import CachedSampler
from qiosk.solvers.samplers.row_form import RowForm, spin_form
from qiosk.solvers.search.moves.descent import Descent
from qiosk.solvers.solve import solve
from strategies import cost_function, cost_functions, ids, integers, reals

pytestmark = pytest.mark.slow

BLOCK_OWNERS = ("cost_function", "arrays.compact", "arrays.pairs", "cost")
LARGE_OWNERS = ("qiosk.model.compile", "qiosk.formats.columns", "qiosk.formats.qio.document")


@contextlib.contextmanager
def everything_is_large(block=3):
    """Take the way of large problems, in blocks of three terms."""
    with contextlib.ExitStack() as stack:
        for name in BLOCK_OWNERS:
            stack.enter_context(mock.patch.object(importlib.import_module(f"qiosk.model.{name}"), "BLOCK", block))
        for name in LARGE_OWNERS:
            stack.enter_context(mock.patch.object(importlib.import_module(name), "LARGE_TERMS", 0))
        yield


def compact(cf):
    degrees = np.diff(cf.indptr)
    is_even = len(degrees) > 0 and (degrees == degrees[0]).all()
    top = cf.ids.max(initial=0)
    return CostFunction(
        cf.problem_type,
        narrowed(cf.coefficients),
        int(degrees[0]) if is_even else cf.indptr.astype(np.uint16),
        cf.ids.astype(np.uint32) if top < 2**32 else cf.ids,
        cf.groups,
        cf.initial_configuration,
    )


@st.composite
def quadratic(draw, coefficients=integers, max_terms=20):
    kind = draw(st.sampled_from(["ising", "pubo", "ising_grouped", "pubo_grouped"]))
    members = st.lists(ids, max_size=2, unique=kind.startswith("ising"))
    terms = draw(st.lists(st.tuples(coefficients, members), max_size=max_terms))
    member = st.tuples(coefficients, st.none() | ids)
    group = st.tuples(coefficients, st.lists(member, max_size=4, unique_by=lambda m: m[1]))
    return cost_function(kind, terms, draw(st.lists(group, max_size=2)) if kind.endswith("grouped") else ())


def random_problem(kind, n=60, terms=400, seed=0, real=False):
    rng = np.random.default_rng(seed)
    pairs = [sorted(rng.choice(n, 2, replace=False).tolist()) for _ in range(terms)]
    c = rng.normal(size=terms) if real else rng.integers(-4, 5, terms)
    return cost_function(kind, [*zip(c.tolist(), pairs, strict=True), (2.0, [3]), (1.5 if real else 1.0, [])])


def assert_equal(large, small):
    names = {field.name for field in dataclasses.fields(CompiledProblem)} - {"pairs"}
    for name in (*names, "pair_rows", "pair_cols", "pair_values"):
        a, b = getattr(large, name), getattr(small, name)
        np.testing.assert_array_equal(a, b, err_msg=name)
        assert np.asarray(a).dtype == np.asarray(b).dtype, name


@given(quadratic() | quadratic(reals))
def test_compiling_by_counting_gives_the_same_bits(cf):
    small = compile_problem(cf)
    for some in (cf, compact(cf)):
        with everything_is_large():
            large = compile_problem(some)
        assert isinstance(large.pairs, PairRows)
        assert_equal(large, small)
        assert_equal(dataclasses.replace(large, constant=small.constant), small)


@given(cost_functions() | cost_functions(reals), st.integers(0, 99))
def test_a_compact_cost_function_says_the_same(cf, seed):
    with everything_is_large():
        other = compact(cf)
        for name in ("variables", "positions", "group_positions", "coefficients", "indptr", "ids"):
            np.testing.assert_array_equal(getattr(other, name), getattr(cf, name))
            assert getattr(other, name).dtype == getattr(cf, name).dtype
        assert other.n_terms == cf.n_terms
        low = -1 if cf.problem_type.is_ising else 0
        x = np.random.default_rng(seed).choice(np.array([low, 1], np.int8), (3, len(cf.variables)))
        in_blocks = evaluate(other, x)
    np.testing.assert_array_equal(in_blocks, evaluate(cf, x))
    assert_equal(compile_problem(other), compile_problem(cf))


@given(st.lists(st.tuples(st.floats() | st.just(1.0), st.lists(st.integers(-1, 4), max_size=3)), max_size=12))
def test_checks_name_the_same_term(terms):
    cf = cost_function("ising", terms)
    try:
        check(cf)
        wanted = None
    except InvalidInput as error:
        wanted = str(error)
    with everything_is_large(block=2):
        if wanted is None:
            check(cf)
        else:
            with pytest.raises(InvalidInput) as caught:
                check(cf)
            assert str(caught.value) == wanted


def test_a_variable_that_occurs_twice_in_an_ising_term_is_named():
    cf = cost_function("ising", [(1.0, [0, 1]), (1.0, [2]), (1.0, [1, 2]), (1.0, [7, 7])])
    with everything_is_large(), pytest.raises(RepeatedVariable, match="term 3: variable 7 occurs twice"):
        compile_problem(cf)


def test_sums_that_leave_the_range_are_named():
    cf = cost_function("pubo", [(1.7e308, [0, 1]), (1.7e308, [1, 0])])
    with everything_is_large(), pytest.raises(InvalidValue, match="pair values: like terms add up"):
        compile_problem(cf)


@pytest.mark.parametrize("values", [[1, -128], [300], [0.5, 1e30], [0.1], [2.0**24 + 1], []], ids=str)
def test_values_are_narrowed_without_loss(values):
    wanted = np.array(values, np.float64)
    np.testing.assert_array_equal(narrowed(wanted).astype(np.float64), wanted)
    assert narrowed(np.array([0.1])).dtype == np.float64
    assert narrowed(np.array([5.0])).dtype == np.int8


@given(quadratic(), st.integers(0, 99))
def test_a_reordered_large_problem_is_the_same_as_a_reordered_small_one(cf, seed):
    small = compile_problem(cf)
    order = np.random.default_rng(seed).permutation(small.n)
    with everything_is_large():
        large = reorder(compile_problem(cf), order)
        assert isinstance(large.pairs, ReorderedRows)
        assert large.n_pairs == small.n_pairs
        assert_equal(large, reorder(small, order))


@given(quadratic() | quadratic(reals), st.integers(0, 99))
def test_the_spin_form_of_a_large_problem(cf, seed):
    small = compile_problem(cf)
    assume(small.is_quadratic)
    order = np.random.default_rng(seed).permutation(small.n)
    wanted = spin_form(reorder(small, order))
    with everything_is_large():
        form = spin_form(reorder(compile_problem(cf), order))
        assert isinstance(form, RowForm)
        np.testing.assert_allclose(form.fields, wanted.fields, rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(form.coupling_sums, wanted.coupling_sums, rtol=1e-12, atol=1e-9)
        assert form.constant == pytest.approx(wanted.constant, abs=1e-6)
        assert form.at_plus == pytest.approx(wanted.at_plus, abs=1e-6)
        assert form.largest_coupling == wanted.largest_coupling
        for a, b in zip(form.pair_list(), wanted.pair_list(), strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(form.neighbors(), wanted.neighbors(), strict=True):
            np.testing.assert_array_equal(a, b)
        if cf.coefficients.size and np.all(cf.coefficients == np.trunc(cf.coefficients)):
            assert form.unit == wanted.unit
            assert form.arithmetic == wanted.arithmetic
            for a, b in zip(form.lay_out(-2.0, np.int16), wanted.lay_out(-2.0, np.int16), strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["ising", "pubo"])
@pytest.mark.parametrize("sampler", [PackedSampler, CachedSampler])
@pytest.mark.parametrize("real", [False, True], ids=["integer", "real"])
def test_samplers_of_large_problems_walk_the_same_way(kind, sampler, real):
    cf = random_problem(kind, real=real)
    order = np.random.default_rng(5).permutation(60)
    found = []
    for way in (contextlib.nullcontext(), everything_is_large(block=50)):
        with way:
            mine = sampler(reorder(compile_problem(cf), order))
            group = mine.start((1,))
            mine.sweep(group, np.linspace(0.1, 2.0, 30))
            found.append((mine.kernel, mine.configuration(group, 0), mine.costs(group)))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])
    np.testing.assert_allclose(found[0][2], found[1][2], rtol=1e-12)


@pytest.mark.parametrize("real", [False, True], ids=["integer", "real"])
@pytest.mark.parametrize("kind", ["ising", "pubo"])
def test_descent_and_moves_of_large_problems(kind, real):
    cf = random_problem(kind, real=real, seed=2)
    small = compile_problem(cf)
    low = -1 if small.is_spin else 0
    with everything_is_large(block=50):
        large = compile_problem(cf)
        for seed in range(5):
            x = np.random.default_rng(seed).choice(np.array([low, 1], np.int8), small.n)
            np.testing.assert_array_equal(Descent(large)(x), Descent(small)(x))
            np.testing.assert_allclose(deltas(large, x), deltas(small, x), atol=1e-12)
            assert cost_of(large, x) == pytest.approx(cost_of(small, x), rel=1e-12)


@pytest.mark.parametrize("target", ["simulatedannealing", "paralleltempering", "tabu", "populationannealing"])
@pytest.mark.parametrize("kind", ["ising", "pubo"])
def test_whole_runs_end_with_the_same_solution(target, kind):
    cf = random_problem(kind, seed=3)
    wanted = solve(cf, f"microsoft.{target}.cpu", seed=1, sweeps=20)
    with everything_is_large(block=50):
        found = solve(compact(cf), f"microsoft.{target}.cpu", seed=1, sweeps=20)
    assert found.cost == wanted.cost
    assert found.configuration == wanted.configuration


@given(st.lists(reals, max_size=30), reals)
def test_quantiles_are_compared_by_counting(values, least):
    array, least = np.array(values), abs(least)
    sizes = np.abs(array[array != 0])
    wanted = len(sizes) == 0 or bool(np.quantile(sizes, 0.1) >= least)
    assert quantile_is_at_least(lambda: iter(np.array_split(array, 3)), 0.1, least) == wanted


@pytest.mark.parametrize("form", [columns, qio_json])
@given(problem=quadratic() | quadratic(reals))
def test_large_files_are_read_alike_from_memory_and_from_the_disk(form, problem, tmp_path_factory):
    data = form.write(problem)
    path = tmp_path_factory.mktemp("large") / "problem"
    path.write_bytes(data)
    name = columns.NAME if form is columns else "microsoft.qio.v2"
    with everything_is_large():
        for found in (registry.read(data, name), registry.read_path(path, name)):
            assert found.columns[0].dtype == narrowed(problem.coefficients).dtype
            for member in ("coefficients", "indptr", "ids"):
                np.testing.assert_array_equal(getattr(found, member), getattr(problem, member))
                assert getattr(found, member).dtype == getattr(problem, member).dtype


def test_damage_in_large_columns_is_found():
    data = bytearray(columns.write(cost_function("ising", [(1.0, [i, i + 1]) for i in range(200)])))
    data[data.index(b"ids.npy") + 300] ^= 1
    with everything_is_large(), pytest.raises(UnreadableInput, match="Bad CRC-32"):
        columns.read(bytes(data))


@pytest.mark.parametrize(("member", "value"), [("degree", 3), ("degree", -1), ("indptr", [0, 2, 1])], ids=str)
def test_pointers_of_large_columns_are_checked(member, value):
    buffer = io.BytesIO()
    members = {"coefficients": [1, 2], "ids": [0, 1], "degree": 1, member: value}
    np.savez(buffer, format="qiosk.columns", version=1, type="pubo", **members)
    with everything_is_large(), pytest.raises(InvalidValue, match=f"`{member}`"):
        columns.read(buffer.getvalue())


def test_an_empty_file_is_named(tmp_path):
    path = tmp_path / "empty"
    path.write_bytes(b"")
    with pytest.raises(UnreadableInput):
        registry.read_path(path)


def test_blocks_are_all_terms_in_their_order():
    cf = random_problem("ising")
    with everything_is_large(block=7):
        for some in (cf, compact(cf)):
            blocks = list(some.blocks(numbered=True))
            assert [block.start for block in blocks] == list(range(0, 402, 7))
            assert np.concatenate([block.ids for block in blocks]).tolist() == cf.positions.tolist()
            assert all(a.indptr[0] == 0 and a.indptr[-1] == len(a.ids) for a in blocks)
            degrees = list(itertools.chain.from_iterable(np.diff(block.indptr) for block in blocks))
            assert degrees == np.diff(cf.indptr).tolist()


def test_large_blobs_of_a_folder_are_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr("qiosk.adapters.blobs.local.MAPPED_FROM", 100)
    store, problem = LocalBlobStore(tmp_path, "w"), random_problem("ising")
    small, large = BlobRef("box", "small"), BlobRef("box", "large")
    store.put(small, b"few")
    store.put(large, columns.write(problem))
    assert isinstance(store, MapsBlobs)
    assert store.mapped(small) == b"few"
    content = store.mapped(large)
    store.put(large, b"another")  # what is mapped stays
    assert isinstance(content, mmap.mmap)
    with everything_is_large():
        found = registry.read(content, columns.NAME)
        assert found.columns[2].dtype != np.int64
        assert evaluate(found, np.ones(60, np.int8)) == evaluate(problem, np.ones(60, np.int8))
    with pytest.raises(BlobNotFound):
        store.mapped(BlobRef("box", "none"))
