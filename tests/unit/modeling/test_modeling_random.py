"""Random small models against enumeration: whatever the target and the time limit, no status lies."""

from __future__ import annotations

import itertools
import math
import random

import pytest

import qiosk
from qiosk.modeling import Model, Status

TARGETS = ["paralleltempering", "tabu", "simulatedannealing", "populationannealing", "substochasticmontecarlo"]
SENSES = {"<=": (lambda a, b: a <= b), ">=": (lambda a, b: a >= b), "==": (lambda a, b: a == b)}


class Case:
    """A model, and its objective and constraints as plain sums over the values of its variables."""

    def __init__(self, seed):
        self.rnd = random.Random(seed)
        self.model, self.domains, self.expressions = Model(), [], []
        for number in range(self.rnd.randint(3, 7)):
            self.add_variable(f"v{number}", self.rnd.choice("bbsic"))
        self.objective = self.sum(2)
        self.is_maximized = self.rnd.random() < 0.5
        set_objective = self.model.maximize if self.is_maximized else self.model.minimize
        set_objective(self.expression(self.objective))
        self.constraints = []
        for number in range(self.rnd.randint(1, 4)):
            self.add_constraint(f"c{number}")

    def add_variable(self, name, kind):
        match kind:
            case "b":
                self.expressions.append(self.model.bit(name))
                self.domains.append([0, 1])
            case "s":
                self.expressions.append(self.model.spin(name))
                self.domains.append([-1, 1])
            case "i":
                low = self.rnd.randint(-3, 2)
                high = low + self.rnd.randint(1, 6)
                self.expressions.append(self.model.integer(name, low, high))
                self.domains.append(list(range(low, high + 1)))
            case "c":
                options = list(range(self.rnd.randint(2, 4)))
                self.expressions.append(self.model.choice(name, options).of({j: j for j in options}))
                self.domains.append(options)

    def sum(self, degree):
        places = range(len(self.domains))
        terms = [((i,), self.rnd.randint(-6, 6)) for i in places]
        if degree == 2:
            terms += [(tuple(self.rnd.sample(places, 2)), self.rnd.randint(-5, 5)) for _ in range(3)]
        return terms

    def expression(self, terms):
        return sum((c * math.prod(self.expressions[i] for i in ids) for ids, c in terms), start=0 * self.expressions[0])

    def add_constraint(self, name):
        terms, sense = self.sum(self.rnd.choice([1, 1, 2])), self.rnd.choice(list(SENSES))
        inside = self.value(terms, [self.rnd.choice(domain) for domain in self.domains])
        bound = inside if self.rnd.random() < 0.85 else self.rnd.randint(-15, 15)
        left = self.expression(terms)
        condition = {"<=": left <= bound, ">=": left >= bound, "==": left == bound}[sense]
        if condition.expression.terms:
            self.model.add(condition, name, weight=self.rnd.choice([None, None, None, 0.5]))
            self.constraints.append((terms, sense, bound))

    def value(self, terms, values):
        return sum(c * math.prod(values[i] for i in ids) for ids, c in terms)

    def holds(self, values):
        return all(SENSES[sense](self.value(terms, values), bound) for terms, sense, bound in self.constraints)

    def best(self):
        """The best objective; None if no values satisfy all constraints."""
        found = [self.value(self.objective, v) for v in itertools.product(*self.domains) if self.holds(v)]
        return (max if self.is_maximized else min)(found) if found else None


def check(seed):
    case = Case(seed)
    best, model = case.best(), case.model
    target, timeout = case.rnd.choice(TARGETS), case.rnd.choice([0.1, 0.2, 0.5, 1.0])
    try:
        answer = model.solve(target, timeout=timeout, seed=seed, threads=1)
    except qiosk.errors.InvalidValue as error:
        assert "can never hold" in str(error)
        assert best is None
        return
    values = [answer[f"v{i}"] for i in range(len(case.domains))]
    if answer.is_feasible:
        assert case.holds(values)
        assert case.value(case.objective, values) == answer.objective
        assert answer.objective <= best if case.is_maximized else answer.objective >= best
    match answer.status:
        case Status.OPTIMAL:
            assert answer.is_feasible
            assert answer.objective == best
        case Status.FEASIBLE:
            assert answer.is_feasible
        case Status.INFEASIBLE:
            assert best is None
        case Status.NOT_FOUND:
            assert not answer.is_feasible
    assert answer.is_feasible or answer.result.stop_reason != "converged"
    result = qiosk.solve(model.problem(), target, timeout=timeout, seed=seed, threads=1)
    violated = model.decode(result).violated
    assert [v.name for v in result.violated or ()] == [r.name for r in violated]
    assert not violated or result.stop_reason != "converged"


@pytest.mark.parametrize("seed", range(20))
def test_no_status_lies(seed):
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1200))
def test_no_status_of_many_models_lies(seed):
    check(seed)
