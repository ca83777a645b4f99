"""Constraints in the metadata of problems: read, changed with the problem, and asked before a search converges."""

from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qiosk
from qiosk.errors import InvalidInput, InvalidValue
from qiosk.formats import columns
from qiosk.formats.files import read_file, renumbered
from qiosk.formats.qio import json_codec
from qiosk.model.constraints.hard_constraints import HardConstraint, HardConstraints, read_hard_constraints, to_metadata
from qiosk.modeling import Model, total
from qiosk.optimization import ContentType
from qiosk.problem import Problem, ProblemType
from qiosk.solvers.targets.catalogue import targets

ROUNDS = [t.id for t in targets() if t.id.endswith("parameterfree.cpu")] + ["toshiba.sbm.ising"]
SENSES = {"==": int.__eq__, "<=": int.__le__, ">=": int.__ge__}


def constraints_over(rnd, ids):
    """Random constraints, some with products."""
    return [
        HardConstraint(
            f"c{k}",
            [(rnd.randint(-3, 3), tuple(rnd.sample(ids, rnd.randint(1, 2)))) for _ in range(rnd.randint(1, 4))],
            rnd.choice(list(SENSES)),
            rnd.randint(-2, 3),
        )
        for k in range(3)
    ]


def naively_violated(constraints, values):
    """By the id of each variable, whether it is set."""
    found = []
    for one in constraints:
        left = sum(c for c, ids in one.terms if all(values[i] for i in ids))
        if not SENSES[one.sense](left, one.bound):
            found.append((one.name, abs(left - one.bound)))
    return found


def pairs(violated):
    return [(v.name, v.amount) for v in violated]


@given(st.integers(0, 10**9), st.booleans())
def test_violations_are_those_of_a_plain_count(seed, is_spin):
    rnd, ids = random.Random(seed), [2, 3, 5, 7]
    constraints = constraints_over(rnd, ids)
    compiled = HardConstraints.of(constraints, np.array(ids))
    for bits in itertools.product((0, 1), repeat=4):
        wanted = naively_violated(constraints, dict(zip(ids, bits, strict=True)))
        values = np.array(bits, np.int8)
        assert pairs(compiled.violated(2 * values - 1 if is_spin else values)) == wanted


@given(st.integers(0, 10**9))
def test_fixing_variables_keeps_what_is_said_of_the_others(seed):
    rnd, ids = random.Random(seed), [2, 3, 5, 7]
    constraints = constraints_over(rnd, ids)
    problem = Problem("p", problem_type=ProblemType.pubo)
    problem.add_terms(coefficients=[1.0] * 4, ids=[[i] for i in ids])
    problem.metadata = to_metadata(constraints)
    fixed = {i: rnd.randint(0, 1) for i in rnd.sample(ids, 2)}
    left = problem.set_fixed_variables(fixed).cost_function()
    kept = read_hard_constraints(left.metadata, left.variables)
    for bits in itertools.product((0, 1), repeat=2):
        values = fixed | dict(zip(left.variables.tolist(), bits, strict=True))
        assert pairs(kept.violated(np.array(bits))) == naively_violated(constraints, values)


def product_model():
    model = Model("products")
    x = model.bits("x", range(4))
    model.minimize(total(x.values()))
    model.add(0.5 * x[0] * x[1] + 0.5 * x[2] >= 0.5, "either")
    model.add(x[0] + x[3] == 1, "one")
    return model


@pytest.mark.parametrize("form", ["json", "columns", "protobuf"])
def test_every_encoding_carries_them(form):
    problem = product_model().problem()
    cost_function = problem.cost_function()
    match form:
        case "json":
            read = json_codec.read(json_codec.write(cost_function))
        case "columns":
            read = columns.read(columns.write(cost_function))
        case "protobuf":
            problem.content_type = ContentType.protobuf
            read = Problem.deserialize(problem.to_blob()).cost_function()
    found = read_hard_constraints(read.metadata, read.variables)
    assert [(v.name, v.amount) for v in found.violated(np.zeros(len(read.variables)))] == [("either", 0.5), ("one", 1)]
    assert found.constraints == read_hard_constraints(cost_function.metadata, cost_function.variables).constraints


def test_renumbering_renames_their_variables():
    problem = Problem("p", problem_type=ProblemType.pubo)
    problem.add_terms(coefficients=[1.0, 1.0], ids=[[4], [9]])
    problem.metadata = to_metadata([HardConstraint("c", [(1, (9,)), (2, (4, 9))], "==", 1)])
    assert renumbered(problem.cost_function()).metadata["hard_constraints"] == [
        {"name": "c", "terms": [[1], [0, 1]], "sense": "==", "bound": 1, "coefficients": [1, 2]}
    ]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "must be a list of objects, found dict"),
        ([3], r"hard_constraints\[0\]: must be an object, found int"),
        ([{"name": "c"}], "`terms` is missing"),
        ([{"name": "c", "terms": [0], "sense": "<", "bound": 1}], "`sense` must be one of ==, <=, >=, found '<'"),
        ([{"name": "c", "terms": [0], "sense": "<=", "bound": 1.5}], r"\[0\].bound: must be an integer, found 1.5"),
        ([{"name": "c", "terms": [0], "sense": "<=", "bound": 2**53}], "must add up to less than"),
        ([{"name": "c", "terms": [8], "sense": "<=", "bound": 1}], "variable 8 is not in the problem"),
        ([{"name": "c", "terms": [-1], "sense": "<=", "bound": 1}], "must be 0 to"),
        ([{"name": "c", "terms": 0, "sense": "<=", "bound": 1}], "`terms` must be a list"),
        ([{"name": "c", "terms": [0], "coefficients": [], "sense": "<=", "bound": 1}], "as many coefficients"),
        ([{"name": "c", "terms": [0], "sense": "<=", "bound": 1, "unit": 0}], "`unit` must be a number greater than 0"),
        ([{"name": "c", "terms": [0], "sense": "<=", "bound": 1, "weight": 0}], "has no member `weight`"),
        ([{"name": 1, "terms": [0], "sense": "<=", "bound": 1}], "`name` must be a string"),
    ],
)
def test_malformed_ones_are_refused_by_name(metadata, message):
    problem = Problem("p")
    problem.add_term(1.0, [0, 1])
    problem.metadata["hard_constraints"] = metadata
    with pytest.raises(InvalidInput, match=message):
        problem.cost_function()


def cover(n=30):
    model = Model("cover")
    x = model.bits("x", range(n))
    model.minimize(total((i % 7 + 1) * bit for i, bit in x.items()))
    model.add(x[0] + x[1] + x[2] == 2, "two")
    return model


@pytest.mark.parametrize("target", ROUNDS)
def test_no_search_converges_on_a_configuration_that_violates_a_constraint(target):
    model = cover()
    result = qiosk.solve(model.problem(weights={"two": 0.01}), target, timeout=0.2, seed=1, threads=1)
    assert result.stop_reason != "converged"
    assert pairs(result.violated) == [("two", 2)]
    assert json.loads(result.to_json())["violated"] == [{"name": "two", "violation": 2.0}]


@pytest.mark.parametrize("target", [name for name in ROUNDS if name.startswith("microsoft")])
def test_searches_converge_on_solutions(target):
    result = qiosk.solve(cover().problem(), target, timeout=30, seed=1, threads=1, bound="none")
    assert result.stop_reason == "converged"
    assert result.violated == []
    assert result.cost == 3


def test_an_enumeration_tells_that_the_least_cost_violates_a_constraint():
    problem = cover(6).problem(weights={"two": 0.01})
    result = qiosk.solve(problem)
    assert (result.stop_reason, pairs(result.violated)) == ("violated", [("two", 2)])
    del problem.metadata["hard_constraints"]
    result = qiosk.solve(problem)
    assert (result.stop_reason, result.violated) == ("optimal", None)
    assert "violated" not in json.loads(result.to_json())


def test_reduced_problems_are_judged_as_wholes():
    model = Model("chain")
    x = model.bits("x", range(300))
    model.minimize(total(bit for bit in x.values()) - 1.5 * total(x[i] * x[i + 1] for i in range(0, 299, 2)))
    model.add(x[0] + x[7] >= 1, "one")
    problem = model.problem(weights={"one": 0.25})
    result = qiosk.solve(problem, timeout=0.5, seed=1, presolve=True)
    assert result.statistics["presolve"]["is_used"]
    assert (result.stop_reason, pairs(result.violated)) == ("violated", [("one", 1)])


def test_hard_clauses_are_constraints_and_soft_ones_are_not():
    data = b"h 1 2 0\nh -1 2 0\nh -2 0\n3 1 -2 0\n"
    cost_function = read_file("clash.wcnf", data)
    assert [entry["name"] for entry in cost_function.metadata["hard_constraints"]] == [
        "clause 1",
        "clause 2",
        "clause 3",
    ]
    result = qiosk.solve(cost_function)
    assert result.stop_reason == "violated"
    assert len(result.violated) == 1
    fine = qiosk.solve(read_file("fine.wcnf", b"h 1 2 0\nh -1 2 0\n3 -2 0\n"))
    assert (fine.stop_reason, fine.violated, fine.cost) == ("optimal", [], 3)
    soft = read_file("soft.cnf", b"p cnf 1 2\n1 0\n-1 0\n")
    assert qiosk.solve(soft).stop_reason == "optimal"


def test_long_hard_clauses_are_told_by_their_own_literals():
    literals = " ".join(str(i) for i in range(1, 13))
    result = qiosk.solve(read_file("long.wcnf", f"h {literals} 0\n1 -1 0\n".encode()))
    assert (result.cost, result.violated) == (0, [])


@pytest.mark.parametrize("is_fixed", [False, True])
def test_violations_are_measured_from_the_bound_that_was_stated(is_fixed):
    model = Model()
    x, y, z = model.bits("b", "xyz").values()
    model.minimize(9 * x + 9 * y + 9 * z)
    model.add(2 * x + 4 * y >= 3, "even")
    model.add(0.2 * x + 0.4 * y + 0.2 * z >= 0.3, "tenths")
    model.add(2 * x + 2 * y <= 5, "loose")
    problem = model.problem()
    problem = problem.set_fixed_variables({0: 0}) if is_fixed else problem
    problem = json_codec.read(json_codec.write(problem.cost_function()))
    found = read_hard_constraints(problem.metadata, problem.variables).violated(np.zeros(len(problem.variables)))
    assert pairs(found) == [(r.name, r.violation) for r in model.decode(dict.fromkeys(range(9), 0)).violated]
    assert pairs(found)[0] == ("even", 3)
    for wrong in ("3", float("nan")):
        entry = {"name": "c", "terms": [0], "sense": ">=", "bound": 1, "stated": wrong}
        with pytest.raises(InvalidValue, match="`stated` must be a finite number, found"):
            read_hard_constraints({"hard_constraints": [entry]}, np.array([0]))


def test_a_variable_that_is_not_in_the_problem_is_refused_in_a_model_too():
    with pytest.raises(InvalidValue, match="hard constraints: variable 3 is not in the problem"):
        HardConstraints.of([HardConstraint("c", [(1, (3,))], "==", 1)], np.array([0, 1]))
