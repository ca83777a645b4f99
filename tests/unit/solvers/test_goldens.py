"""The results of a seed are those of the versions before; ``make goldens`` replaces them, on purpose."""

from __future__ import annotations

import pytest

import goldens
from qiosk.solvers.targets.catalogue import targets

PROBLEMS = goldens.problems()
ADVICE = "if that is on purpose: `make goldens`, and a changelog fragment that says which results change"


def test_every_target_and_problem_is_there():
    found = goldens.read()
    assert list(found) == [target.id for target in targets()], ADVICE
    assert all(list(each) == list(PROBLEMS) for each in found.values()), ADVICE


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("target", [target.id for target in targets()])
def test_the_result_of_a_seed_has_not_changed(target, name, threads):
    assert goldens.golden(target, PROBLEMS[name], threads=threads) == goldens.read()[target][name], ADVICE


def test_no_result_is_left_to_time():
    reasons = {golden[2] for found in goldens.read().values() for golden in found.values() if golden}
    assert reasons <= {"finished", "converged"}


@pytest.mark.parametrize("name", PROBLEMS)
def test_costs_are_exact(name):
    """So they do not depend on the order in which a machine adds terms."""
    problem = PROBLEMS[name].cost_function()
    groups = problem.groups
    assert all(4 * c == int(4 * c) for c in (*problem.coefficients, *groups.coefficients, *groups.weights))
    found = goldens.read()["microsoft.tabu.cpu"][name]
    bits = f"{int(found[1], 16):0{len(problem.variables)}b}"
    low = -1 if problem.problem_type.is_ising else 0
    values = [1 if bit == "1" else low for bit in bits]
    assert PROBLEMS[name].evaluate(dict(zip(problem.variables.tolist(), values, strict=True))) == found[0]
