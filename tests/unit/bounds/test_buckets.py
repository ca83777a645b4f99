"""Mini-buckets: bounds of larger terms by elimination with tables of limited width."""

from __future__ import annotations

import io
import itertools
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.bounds import bound, buckets, verify
from qiosk.bounds.buckets import mini_buckets, planned
from qiosk.bounds.choice import Bounder
from qiosk.bounds.factors import diffusion, factors_of
from qiosk.bounds.polynomial import polynomial
from qiosk.formats.files import write_file
from qiosk.model.compile import compile_problem
from small_problems import least_cost, problems
from strategies import cost_function

pytestmark = pytest.mark.slow


def drained(steps):
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def plainly(factors, found):
    """Tables as dictionaries, added up and minimized one by one: the oracle of the kernel."""
    tables = [((i,), {(v,): int(factors.own[i, v]) for v in (0, 1)}) for i in range(len(factors.own))]
    for f, scope in enumerate(factors.scopes):
        at = {x: factors.starts[f] + sum(v << b for b, v in enumerate(x)) for x in both(len(scope))}
        tables.append((tuple(scope), {x: int(factors.tables[place]) for x, place in at.items()}))
    used = set()
    for v, some in zip(found.variables, found.members, strict=True):
        used |= set(some)
        rest = sorted(set().union(*(tables[f][0] for f in some)) - {v})
        new = {}
        for x in both(len(rest)):
            values = dict(zip(rest, x, strict=True))
            sums = [sum(entry(tables[f], values | {v: own}) for f in some) for own in (0, 1)]
            new[x] = min(sums)
        tables.append((tuple(rest), new))
    left = [table for f, (_, table) in enumerate(tables) if f not in used]
    return Fraction(sum(min(table.values()) for table in left), 1 << factors.shift)


def entry(table, values):
    scope, entries = table
    return entries[tuple(values[i] for i in scope)]


def both(count):
    return itertools.product((0, 1), repeat=count)


@given(problems(locality=4, most=8), st.integers(2, 6))
def test_mini_buckets_are_the_least_values_of_their_tables_and_no_more_than_the_least_cost(function, width):
    terms = polynomial(compile_problem(function))
    factors = factors_of(terms)
    found = drained(planned(terms.n, factors, width))
    level = drained(buckets._least(factors, found))
    assert level == plainly(factors, found)
    assert factors.least <= level
    least = least_cost(function)
    assert terms.scale.least(level) <= least
    if found.is_exact and not terms.scale.error:
        assert terms.scale.cost(level) == least


def glass(side, seed=1):
    """Products of four spins around squares, and fields."""
    rng = np.random.default_rng(seed)
    terms = [(float(rng.choice([-0.5, 0.5])), [i]) for i in range(side * side)]
    for x, y in itertools.product(range(side), repeat=2):
        ids = [side * ((x + dx) % side) + (y + dy) % side for dx in (0, 1) for dy in (0, 1)]
        terms.append((float(rng.choice([-1, 1])), sorted(ids)))
    return cost_function("ising", terms)


def test_wider_tables_prove_more_than_diffusion():
    terms = polynomial(compile_problem(glass(16)))
    diffused = max(proof.least for proof in diffusion(terms) if proof is not None)
    found = [proof.least for proof in mini_buckets(terms) if proof is not None and proof.method == buckets.METHOD]
    assert found == sorted(found)
    assert found[-1] > diffused


def test_they_are_what_suits_larger_terms_of_too_much_width(monkeypatch):
    monkeypatch.setattr(buckets, "WIDTHS", (8, 11))
    assert bound(glass(26), seconds=60.0).method == "mini-buckets"


@pytest.mark.parametrize("side", [6, 9])
def test_a_receipt_proves_the_same_bound(monkeypatch, side):
    monkeypatch.setattr(buckets, "WIDTHS", (4, 7))
    function = glass(side)
    bounder = Bounder(compile_problem(function), "mini-buckets")
    while not bounder.is_done:
        bounder.step()
    assert bounder.best.method == "mini-buckets"
    arrays = dict(np.load(io.BytesIO(bounder.best.receipt())))
    problem = verify.Problem(json.loads(write_file("problem.json", function))["cost_function"])
    assert verify.Receipt(problem, arrays).bound == bounder.best.exact
    twice = {**arrays, "bucket_tables": np.repeat(arrays["bucket_tables"][:1], len(arrays["bucket_tables"]))}
    with pytest.raises(KeyError):
        verify.Receipt(problem, twice)
