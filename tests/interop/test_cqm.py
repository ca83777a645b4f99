"""Constrained and discrete models of dimod, against its own exact enumeration."""

from __future__ import annotations

import dimod
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qiosk.client.workspace import Workspace
from qiosk.errors import InvalidValue
from qiosk.interop.dimod import QioskSampler, from_cqm, from_dqm, to_cqm
from qiosk.interop.dimod.dqm import cases_of
from qiosk.modeling import Model, Status

LABELS = ["a", ("a", 1), 7, "7"]
NUMBERS = st.integers(-3, 3)


@st.composite
def cqms(draw, soft=False):
    """Models of a few variables of all kinds, with labels of all types, hard and perhaps soft constraints."""
    cqm = dimod.ConstrainedQuadraticModel()
    for label in LABELS[: draw(st.integers(1, 4))]:
        kind = draw(st.sampled_from(["BINARY", "SPIN", "INTEGER"]))
        bounds = {}
        if kind == "INTEGER":
            low = draw(st.integers(-2, 1))
            bounds = {"lower_bound": low, "upper_bound": low + draw(st.integers(0, 4))}
        cqm.add_variable(kind, label, **bounds)
    if draw(st.booleans()):
        cqm.add_discrete(["x", 2, (3,)], label=("one", "of"))
    cqm.set_objective(draw(quadratics(cqm)))
    for label in ["limit", ("c", 1)][: draw(st.integers(0, 2))]:
        weight = draw(st.sampled_from([0.5, 2.0])) if soft and draw(st.booleans()) else None
        left = draw(quadratics(cqm))
        is_binary = all(left.vartype(v) is dimod.BINARY for v in left.variables)
        penalty = draw(st.sampled_from(["linear", "quadratic"])) if is_binary else "linear"
        sense = draw(st.sampled_from(["<=", ">=", "=="]))
        cqm.add_constraint(left, sense, draw(NUMBERS), label=label, weight=weight, penalty=penalty)
    return cqm


@st.composite
def quadratics(draw, cqm):
    model = dimod.QuadraticModel()
    for label in cqm.variables:
        bounds = {"lower_bound": cqm.lower_bound(label), "upper_bound": cqm.upper_bound(label)}
        is_integer = cqm.vartype(label) is dimod.INTEGER
        model.add_variable(cqm.vartype(label), label, **(bounds if is_integer else {}))
        model.add_linear(label, draw(NUMBERS) * draw(st.sampled_from([1, 0.5])))
    for _ in range(draw(st.integers(0, 2))):
        u, v = draw(st.sampled_from(list(cqm.variables))), draw(st.sampled_from(list(cqm.variables)))
        if u != v or cqm.vartype(u) is dimod.INTEGER:
            model.add_quadratic(u, v, draw(NUMBERS))
    model.offset = draw(NUMBERS)
    return model


def enumerated(cqm):
    """Energy and feasibility of every sample, by the values of the variables in order."""
    found = dimod.ExactCQMSolver().sample_cqm(cqm)
    order = [list(found.variables).index(label) for label in cqm.variables]
    return (
        {
            tuple(map(int, np.array(datum.sample)[order])): (float(datum.energy), bool(datum.is_feasible))
            for datum in found.record
        }
        if len(found)
        else {}
    )


@given(cqms())
@settings(max_examples=60, deadline=None)
def test_a_model_has_the_costs_and_the_solutions_of_its_cqm(cqm):
    model = from_cqm(cqm)
    names = list(model.variables)
    assert len(names) == len(cqm.variables)
    for values, (energy, is_feasible) in enumerated(cqm).items():
        try:
            bits = model.configuration(dict(zip(names, values, strict=True)))
        except InvalidValue:  # out of the bounds that its constraints imply
            assert not is_feasible
            continue
        solution = model.decode(bits)
        assert solution.objective == pytest.approx(energy)
        assert solution.is_feasible == is_feasible


@given(cqms())
@settings(max_examples=60, deadline=None)
def test_the_way_back_keeps_costs_and_solutions(cqm):
    back = to_cqm(from_cqm(cqm))
    own, there = enumerated(cqm), enumerated(back)
    for values, (energy, is_feasible) in own.items():
        if is_feasible:
            assert there[values][1]
            assert there[values][0] == pytest.approx(energy)
    assert sum(is_feasible for _, is_feasible in there.values()) == sum(is_feasible for _, is_feasible in own.values())


@given(cqms(soft=True))
@settings(max_examples=12, deadline=None)
def test_sample_cqm_finds_the_optimum(cqm):
    every = enumerated(cqm)
    feasible = [energy for energy, is_feasible in every.values() if is_feasible]
    try:
        found = QioskSampler().sample_cqm(cqm, seed=1, time_limit=10)
    except InvalidValue as error:
        assert not feasible
        assert "can never hold" in str(error)
        return
    if feasible:
        assert found.first.is_feasible
        assert found.first.energy == pytest.approx(min(feasible))
    else:
        assert not found.record.is_feasible.any()


def test_a_discrete_constraint_becomes_a_group():
    cqm = dimod.ConstrainedQuadraticModel()
    cqm.add_discrete(["x", "y", ("z", 1)], label="one")
    problem = from_cqm(cqm).problem()
    assert problem.one_hot == (((0, 1, 2), True),)
    back = to_cqm(from_cqm(cqm))
    assert back.constraints["one"].lhs.variables == ["x", "y", "('z', 1)"]


def test_all_ways_to_encode_an_integer_become_one_integer():
    model = Model()
    some = [model.integer(f"n{k}", -1, 3, encoding) for k, encoding in enumerate(["binary", "unary", "domain_wall"])]
    some.append(model.integer("n3", -1, 3, "one_hot"))
    spin, color = model.spin("s"), model.choice("color", ["red", "blue"])
    model.maximize(sum(some) ** 2 + 3 * some[0] * spin - 2 * color["blue"] * some[3] + 1.5)
    model.add(some[0] * some[2] - some[1] <= 2, "limit")
    cqm = to_cqm(model)
    assert list(cqm.variables) == ["n0", "n1", "n2", "n3", "s", ("color", "red"), ("color", "blue")]
    assert list(cqm.constraint_labels) == ["one of color", "limit"]
    assert list(cqm.discrete) == ["one of color"]
    assert (cqm.lower_bound("n2"), cqm.upper_bound("n3")) == (-1, 3)
    rng = np.random.default_rng(1)
    for _ in range(50):
        sample = {f"n{k}": int(rng.integers(-1, 4)) for k in range(4)} | {"s": int(rng.choice([-1, 1]))}
        chosen = str(rng.choice(["red", "blue"]))
        bits = model.configuration(sample | {"color": chosen})
        solution = model.decode(bits)
        sample |= {("color", option): int(option == chosen) for option in ("red", "blue")}
        assert cqm.objective.energy(sample) == pytest.approx(-solution.objective)
        assert cqm.check_feasible(sample) == solution.is_feasible


def test_a_number_on_a_grid_becomes_an_integer_that_counts_steps():
    model = Model()
    x = model.grid("x", 0.5, 2.0, 0.25)
    model.minimize(x**2 - 2.5 * x)
    model.add(2 * x >= 1.75, "enough")
    cqm = to_cqm(model)
    assert (cqm.lower_bound("x"), cqm.upper_bound("x")) == (0, 6)
    for steps in range(7):
        solution = model.decode(model.configuration({"x": 0.5 + 0.25 * steps}))
        assert cqm.objective.energy({"x": steps}) == pytest.approx(solution.objective)
        assert cqm.check_feasible({"x": steps}) == solution.is_feasible


def test_a_constant_objective_keeps_its_value():
    """dimod evaluates an expression without variables to 0."""
    model = Model()
    model.bit("x")
    model.minimize(2.5)
    assert to_cqm(model).objective.energy({"x": 1}) == 2.5


def test_products_of_three_variables_are_refused_by_name():
    model = Model()
    x, y, z = model.bits("x", range(3)).values()
    model.add(x * y * z + x <= 1, "cubic")
    with pytest.raises(InvalidValue, match="constraint `cubic`: must have products of at most two variables"):
        to_cqm(model)
    model = Model()
    model.minimize(model.integer("n", 0, 5) ** 3)
    with pytest.raises(InvalidValue, match="objective: must have products"):
        to_cqm(model)


def test_real_variables_are_refused_by_name():
    cqm = dimod.ConstrainedQuadraticModel()
    cqm.set_objective(dimod.Real("flow") + dimod.Binary("x"))
    with pytest.raises(InvalidValue, match="variable `flow`: must be BINARY, SPIN or INTEGER, found REAL"):
        QioskSampler().sample_cqm(cqm)


def test_integers_without_a_bound_take_it_from_constraints():
    n, m = dimod.Integer("n"), dimod.Integer("m")
    cqm = dimod.ConstrainedQuadraticModel()
    cqm.set_objective(-2 * n - 3 * m)
    cqm.add_constraint(2 * n + 5 * m <= 23, label="room")
    cqm.add_constraint(m - n >= -4, label="near")
    model = from_cqm(cqm)
    assert [len(variable.bits) for variable in model.variables.values()] == [4, 3]
    found = QioskSampler().sample_cqm(cqm, seed=1)
    assert (found.first.sample["n"], found.first.sample["m"], found.first.energy) == (6, 2, -18)
    free = dimod.ConstrainedQuadraticModel()
    free.set_objective(dimod.Integer("loose"))
    with pytest.raises(InvalidValue, match="variable `loose`: must have finite bounds, found 0.0 and inf"):
        from_cqm(free)


def test_the_price_of_a_soft_constraint_is_that_of_dimod():
    n, x, y = dimod.Integer("n", upper_bound=5), dimod.Binary("x"), dimod.Binary("violation of under")
    cqm = dimod.ConstrainedQuadraticModel()
    cqm.set_objective(-3 * n - x - 2 * y)
    cqm.add_constraint(2 * n + 1.5 * x <= 6.5, label="under", weight=1.25)
    cqm.add_constraint(x + y == 1, label="pair", weight=1.5, penalty="quadratic")
    cqm.add_constraint(x - n == -2, label="apart", weight=0.5)
    found = QioskSampler().sample_cqm(cqm, seed=1, time_limit=4, number_of_solutions=3)
    best = min(energy for energy, _ in enumerated(cqm).values())
    assert found.first.energy == best
    assert found.first.is_feasible
    assert found.info["status"] in (Status.OPTIMAL, Status.FEASIBLE)
    assert not all(found.first.is_satisfied)


def test_what_a_caller_gives_wrongly_is_named():
    cqm = dimod.ConstrainedQuadraticModel()
    cqm.add_variable("BINARY", "x")
    for arguments, message in [
        ({"num_reads": 3}, "parameter `num_reads`"),
        ({"time_limit": -1}, "`timeout`: must be at least 0"),
        ({"time_limit": 1, "timeout": 1}, "give one of them"),
    ]:
        with pytest.raises(InvalidValue, match=message):
            QioskSampler().sample_cqm(cqm, **arguments)
    cqm.add_constraint(dimod.Binary("x") >= 2, label="too much")
    with pytest.raises(InvalidValue, match="constraint `too much`: can never hold"):
        QioskSampler().sample_cqm(cqm)


def test_empty_models_have_empty_sample_sets():
    assert len(QioskSampler().sample_cqm(dimod.ConstrainedQuadraticModel())) == 0
    assert len(QioskSampler().sample_dqm(dimod.DiscreteQuadraticModel())) == 0


def test_infeasible_models_are_answered_so():
    cqm = dimod.ConstrainedQuadraticModel()
    x, y = dimod.Binaries(["x", "y"])
    cqm.add_constraint(x + y == 1, label="one")
    cqm.add_constraint(x - y == 0, label="equal")
    found = QioskSampler().sample_cqm(cqm, seed=1)
    assert not found.record.is_feasible.any()
    assert found.info["status"] == Status.INFEASIBLE
    assert found.info["constraint_labels"] == ["one", "equal"]


@st.composite
def dqms(draw):
    dqm = dimod.DiscreteQuadraticModel()
    for label in LABELS[: draw(st.integers(1, 4))]:
        cases = draw(st.integers(1, 4))
        dqm.add_variable(cases, label=label)
        dqm.set_linear(label, [draw(NUMBERS) for _ in range(cases)])
    labels = list(dqm.variables)
    for k, u in enumerate(labels):
        for v in labels[:k]:
            pairs = [(i, j) for i in range(dqm.num_cases(u)) for j in range(dqm.num_cases(v))]
            chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=4))
            if chosen:
                dqm.set_quadratic(u, v, {pair: draw(NUMBERS) for pair in chosen})
    dqm.offset = draw(NUMBERS)
    return dqm


@given(dqms())
@settings(max_examples=12, deadline=None)
def test_discrete_models_against_their_enumeration(dqm):
    exact = dimod.ExactDQMSolver().sample_dqm(dqm)
    model = from_dqm(dqm)
    names = list(model.variables)
    for datum in exact.record:
        by_label = dict(zip(exact.variables, map(int, datum.sample), strict=True))
        values = {name: by_label[label] for name, label in zip(names, dqm.variables, strict=True)}
        solution = model.decode(model.configuration(values))
        assert solution.is_feasible
        assert solution.objective == pytest.approx(datum.energy)
    found = QioskSampler().sample_dqm(dqm, seed=1, time_limit=10)
    assert found.first.energy == pytest.approx(exact.first.energy)
    assert found.vartype == exact.vartype


def test_variables_without_a_case_get_the_best_one():
    """A search that was stopped early may leave a variable without a case."""
    dqm = dimod.DiscreteQuadraticModel()
    for label in "uvw":
        dqm.add_variable(3, label=label)
    dqm.set_linear("v", [3, 2, 4])
    dqm.set_quadratic("u", "w", {(2, 1): -5})
    assert cases_of(dqm, [2, None, None]) == [2, 1, 1]
    assert cases_of(dqm, [0, 2, 1]) == [0, 2, 1]


def test_labels_of_cases():
    dqm = dimod.CaseLabelDQM()
    dqm.add_variable(["red", "green"], label="u")
    dqm.add_variable(["x", "y", "z"], label=5)
    dqm.add_variable(["y", "red"], label="shared", shared_labels=True)
    dqm.set_linear("u", [1, 2])
    dqm.set_quadratic("red", "y", -4.0)
    dqm.set_linear_case("shared", "red", -1)
    sample = QioskSampler().sample_dqm(dqm, seed=1, compress=True).first
    assert sample.sample == {"u": 0, 5: 1, "shared": 1}
    assert sample.energy == -4
    chosen = {case for case, value in dqm.map_sample(sample.sample).items() if value}
    assert chosen == {"red", "y", "shared"}


def test_as_jobs(tmp_path, monkeypatch):
    monkeypatch.setenv("QIOSK_IDLE_SECONDS", "1")
    cqm = dimod.ConstrainedQuadraticModel()
    n, x = dimod.Integer("n", upper_bound=6), dimod.Binary(("x", 1))
    cqm.set_objective(n * n - 5 * n + 2 * x)
    cqm.add_constraint(n + 3 * x >= 4, label="enough")
    dqm = dimod.DiscreteQuadraticModel()
    dqm.add_variable(3, label="u")
    dqm.set_linear("u", [2, 1, 3])
    with Workspace(home=tmp_path) as workspace:
        sampler = QioskSampler(workspace=workspace)
        found = sampler.sample_cqm(cqm, time_limit=5, seed=1, label="constrained")
        assert found.first.energy == -4
        assert found.first.is_feasible
        assert found.info["status"] == "optimal"
        assert workspace.get_job(found.info["job_id"]).details.name == "constrained"
        assert sampler.sample_dqm(dqm, time_limit=5, seed=1, label="discrete").first.sample == {"u": 1}
