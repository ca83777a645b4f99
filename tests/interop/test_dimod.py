"""dimod's own tests of samplers, and models both ways."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import unittest

import dimod
import dimod.testing
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.client.workspace import Workspace
from qiosk.errors import InvalidValue
from qiosk.interop.dimod import (
    QioskSampler,
    from_binary_polynomial,
    from_bqm,
    to_binary_polynomial,
    to_bqm,
)


@pytest.mark.filterwarnings(
    "ignore:Setting the shape on a NumPy array:DeprecationWarning"
)  # dimod does, NumPy 2.5 warns
@dimod.testing.load_sampler_bqm_tests(QioskSampler)
class TestOurSampler(unittest.TestCase):
    def test_the_interface(self):
        dimod.testing.assert_sampler_api(QioskSampler())


def bqms(vartype):
    labels = st.sampled_from(["a", "b", ("c", 1), 7, 3.5])
    numbers = st.integers(-5, 5)
    linear = st.dictionaries(labels, numbers, max_size=5)
    pairs = st.dictionaries(st.tuples(labels, labels).filter(lambda p: p[0] != p[1]), numbers, max_size=6)
    return st.builds(lambda h, J, offset: dimod.BinaryQuadraticModel(h, J, offset, vartype), linear, pairs, numbers)


@pytest.mark.parametrize("vartype", [dimod.SPIN, dimod.BINARY], ids=str)
@given(data=st.data())
def test_models_keep_their_energies(vartype, data):
    bqm = data.draw(bqms(vartype))
    encoded = from_bqm(bqm)
    back = to_bqm(encoded.problem)
    assert back.vartype is vartype
    low = -1 if vartype is dimod.SPIN else 0
    rng = np.random.default_rng(1)
    for _ in range(5):
        configuration = {i: int(rng.choice([low, 1])) for i in range(bqm.num_variables)}
        cost = encoded.problem.evaluate(configuration) if configuration else bqm.offset
        assert cost == pytest.approx(bqm.energy(encoded.decode(configuration)))
        if configuration:
            assert back.energy(configuration) == pytest.approx(cost)


def test_samples_are_the_best_and_distinct():
    bqm = dimod.BinaryQuadraticModel({"a": -1, "b": 2}, {("a", "b"): 1.5}, 4.0, dimod.BINARY)
    found = QioskSampler().sample(bqm, seed=1, number_of_solutions=3)
    assert found.first.sample == {"a": 1, "b": 0}
    assert found.first.energy == 3.0
    assert found.record.energy.tolist() == [3.0, 4.0, 6.0]
    assert found.info["parameters"]["seed"] == 1
    again = QioskSampler("microsoft.simulatedannealing.cpu").sample(bqm, sweeps=20, restarts=4, seed=2)
    assert again.first.energy == 3.0


def test_polynomials_of_higher_degree():
    poly = dimod.BinaryPolynomial({("x", "y", "z"): 2, ("x",): -0.5, (): 1}, dimod.SPIN)
    found = QioskSampler().sample_poly(poly, seed=1)
    assert found.first.energy == -1.5
    assert poly.energy(found.first.sample) == -1.5
    encoded = from_binary_polynomial(poly)
    back = to_binary_polynomial(encoded.problem)
    for values in itertools.product((-1, 1), repeat=3):
        configuration = dict(enumerate(values))
        assert back.energy(configuration) == poly.energy(encoded.decode(configuration))
    assert QioskSampler().sample_hubo({("x", "y", "z"): -1}, seed=1).first.energy == -1
    assert len(QioskSampler().sample_poly(dimod.BinaryPolynomial({}, dimod.SPIN))) == 0


def test_variables_are_numbered_alike_in_every_process():
    """Keys of a polynomial are sets, whose order differs from process to process where labels are texts."""
    program = (
        "import dimod; from qiosk.interop.dimod import from_binary_polynomial as read;"
        "encoded = read(dimod.BinaryPolynomial({('y', 'x', 'z'): 2, ('w', 'x'): 1}, 'SPIN'));"
        "print(encoded.decode(dict.fromkeys(range(4), 1)), [t.ids for t in encoded.problem.terms])"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(3)
    }
    assert len(printed) == 1


def test_models_of_higher_degree_are_refused():
    with pytest.raises(InvalidValue, match="at most 2 variables"):
        to_bqm(from_binary_polynomial(dimod.BinaryPolynomial({"abc": 1}, dimod.BINARY)).problem)


def test_unknown_parameters_are_named():
    with pytest.raises(InvalidValue, match="parameter `anneal_time`: .* has no such parameter; it takes timeout, seed"):
        QioskSampler().sample(dimod.BinaryQuadraticModel("SPIN"), anneal_time=3)


RING = dimod.BinaryQuadraticModel({}, {(i, (i + 1) % 30): 1.0 for i in range(30)}, 0.0, dimod.SPIN)
ANNEALING = "microsoft.simulatedannealing.cpu"


def test_num_reads_may_be_more_than_one_run_returns():
    found = QioskSampler(ANNEALING).sample(RING, num_reads=25, num_sweeps=3, seed=1)
    assert len(found) == 25
    assert found.record.energy.tolist() == sorted(found.record.energy.tolist())
    first = QioskSampler(ANNEALING).sample(RING, num_reads=10, sweeps=3, seed=1)
    assert first.info["parameters"]["seed"] == found.info["parameters"]["seed"] == 1
    second = QioskSampler(ANNEALING).sample(RING, number_of_solutions=10, sweeps=3, seed=2)
    energies = set(found.record.energy.tolist())
    assert energies >= {*first.record.energy.tolist(), *second.record.energy.tolist()}


def test_num_reads_ends_with_the_configurations():
    found = QioskSampler().sample(dimod.BinaryQuadraticModel({"a": 1.0}, {}, 0.0, "SPIN"), num_reads=100)
    assert found.record.energy.tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("form", ["dict", "binary", "set", "array", "several"])
def test_initial_states_in_the_forms_of_dimod(form):
    best = {i: 1 if i % 2 else -1 for i in range(30)}
    bits = {i: (value + 1) // 2 for i, value in best.items()}
    states = {
        "dict": best,
        "binary": bits,
        "set": dimod.SampleSet.from_samples(bits, energy=0.0, vartype="BINARY"),
        "array": np.array(list(best.values())),
        "several": [best, dict.fromkeys(best, 1)],
    }[form]
    tabu = QioskSampler("microsoft.tabu.cpu")
    assert tabu.sample(RING, initial_states=states, sweeps=1, restarts=1, seed=1).first.energy == -30.0
    assert tabu.sample(RING, initial_states=states, num_reads=15, sweeps=1, restarts=1, seed=1).first.energy == -30.0


def test_time_limit_and_beta_range_have_their_names_in_ocean():
    sampler = QioskSampler(ANNEALING)
    found = sampler.sample(RING, time_limit=5, beta_range=[0.1, 4.0], num_sweeps=20, label="a name")
    chosen = {name: found.info["parameters"][name] for name in ("timeout", "beta_start", "beta_stop", "sweeps")}
    assert chosen == {"timeout": 5.0, "beta_start": 0.1, "beta_stop": 4.0, "sweeps": 20}
    assert {"num_reads", "initial_states", "time_limit", "label"} <= set(sampler.parameters)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_reads": 0}, "parameter `num_reads`: must be 1 to 100000, found 0"),
        ({"num_reads": 2, "number_of_solutions": 2}, "give one of them"),
        ({"time_limit": 2, "timeout": 2}, "`time_limit`: it means the same as `timeout`"),
        ({"beta_range": 3}, "must be a pair"),
        ({"initial_states": {0: 1}}, "there is no value of variable 1"),
        ({"time_limit": -1}, "`timeout`: must be at least 0"),
    ],
)
def test_wrong_arguments_of_ocean_are_named(given, message):
    with pytest.raises(InvalidValue, match=message):
        QioskSampler(ANNEALING).sample(RING, **given)


def test_as_a_job(tmp_path, monkeypatch):
    monkeypatch.setenv("QIOSK_IDLE_SECONDS", "1")
    with Workspace(home=tmp_path) as workspace:
        found = QioskSampler(workspace=workspace).sample_ising({"a": 1}, {("a", "b"): 1}, seed=1, timeout=5)
        assert found.first.energy == -2
        assert workspace.get_job(found.info["job_id"]).status == "Succeeded"
        many = QioskSampler(workspace=workspace).sample(RING, num_reads=11, seed=1, time_limit=4, label="reads")
        assert len(many) == 11
        assert [job.details.name for job in workspace.list_jobs() if job.details.name == "reads"] == ["reads"] * 2
