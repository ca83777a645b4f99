"""The three complete examples of the page on models, whose objectives CP-SAT finds for the same data."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "modeling.md").read_text()
BLOCK = re.compile(r"^```python\n(.*?)^```", re.S | re.M)

cp_model = pytest.importorskip("ortools.sat.python.cp_model")


def example(heading):
    """What the names of an example mean after it has run."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    names = {}
    exec("from qiosk.modeling import Model, total\n" + "\n".join(BLOCK.findall(section)), names)
    return names


def least(model):
    """The least objective of a model of CP-SAT, with a proof."""
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    assert solver.solve(model) == cp_model.OPTIMAL
    return solver.objective_value


def chosen(model, keys, options):
    """Bits by key and option, one of which is 1 for each key."""
    bits = {(key, option): model.new_bool_var(f"{key} {option}") for key in keys for option in options}
    for key in keys:
        model.add_exactly_one(bits[key, option] for option in options)
    return bits


def test_the_roster():
    page = example("A staff roster")
    model, days, staff = cp_model.CpModel(), page["days"], page["staff"]
    shift = chosen(model, [(who, day) for who in staff for day in days], ["early", "late", "off"])
    for day in days:
        for name, number in page["needed"].items():
            model.add(sum(shift[(who, day), name] for who in staff) == number)
    price = 3 * sum(1 - shift[key, "off"] for key in page["wishes"])
    for who in staff:
        for today, tomorrow in pairwise(days):
            model.add(shift[(who, today), "late"] + shift[(who, tomorrow), "early"] <= 1)
        worked = sum(1 - shift[(who, day), "off"] for day in days)
        model.add(worked <= 4)
        extra = model.new_int_var(0, 5, f"extra {who}")
        model.add(extra >= worked - 3)
        price += 2 * extra
    model.minimize(price)
    assert page["plan"].objective == least(model)


def test_the_routes():
    page = example("Routes of two vans")
    model, away = cp_model.CpModel(), page["away"]
    customers = [place for place in page["places"] if place != "depot"]
    legs = {(p, q): model.new_bool_var(f"{p} {q}") for p, q in away if p != q}
    load = {place: model.new_int_var(page["demand"][place], page["capacity"], f"load {place}") for place in customers}
    for place in customers:
        model.add_exactly_one(bit for (p, _), bit in legs.items() if p == place)
        model.add_exactly_one(bit for (_, q), bit in legs.items() if q == place)
    for (p, q), bit in legs.items():
        if "depot" not in (p, q):
            model.add(load[q] >= load[p] + page["demand"][q]).only_enforce_if(bit)
    model.add(sum(bit for (p, _), bit in legs.items() if p == "depot") <= len(page["vans"]))
    model.minimize(sum(away[leg] * bit for leg, bit in legs.items()))
    assert page["trip"].objective == least(model)


def test_the_cuts():
    page = example("Cutting rolls")
    model, order, most = cp_model.CpModel(), page["order"], 6
    used = [model.new_bool_var(f"used {k}") for k in range(most)]
    cut = {(k, length): model.new_int_var(0, n, f"{k} {length}") for k in range(most) for length, n in order.items()}
    for k in range(most):
        model.add(sum(length * cut[k, length] for length in order) <= page["roll"] * used[k])
    for length, pieces in order.items():
        model.add(sum(cut[k, length] for k in range(most)) >= pieces)
    model.minimize(sum(used))
    assert page["cuts"].objective == least(model)
