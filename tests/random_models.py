"""Small models of all kinds of variables and constraints, and all their feasible configurations."""

from __future__ import annotations

import itertools

from hypothesis import strategies as st

from qiosk.modeling import Encoding, Model, total


@st.composite
def models(draw, has_objective=None):
    """Models of up to 12 bits: bits, choices and integers of all encodings, with rows of any sense and products."""
    model, terms = Model(), []
    for k in range(draw(st.integers(1, 4))):
        room = 12 - model._n_bits
        kind = draw(st.sampled_from(["bit", "choice", *Encoding]))
        if kind == "bit" or room < 4:
            terms += [model.bit(f"x{k}")] if room else []
        elif kind == "choice":
            options = draw(st.integers(2, min(5, room)))
            numbers = draw(st.lists(st.integers(-5, 5), min_size=options, max_size=options))
            choice = model.choice(f"x{k}", range(options))
            terms += [choice[0], choice.of(dict(enumerate(numbers)))]
        else:
            low = draw(st.integers(-3, 3))
            terms.append(model.integer(f"x{k}", low, low + draw(st.integers(1, min(5, room - 1))), kind))
    numbers = st.integers(-6, 6)
    for _ in range(draw(st.integers(0, 4))):
        side = total(draw(numbers) * term for term in terms)
        if draw(st.booleans()):
            side += draw(numbers) * draw(st.sampled_from(terms)) * draw(st.sampled_from(terms))
        bound = draw(st.integers(-8, 8))
        model.add(draw(st.sampled_from([side <= bound, side >= bound, side == bound])))
    if draw(st.booleans()) if has_objective is None else has_objective:
        objective = total(draw(numbers) / 10 * term for term in terms)
        model.minimize(objective + draw(numbers) * terms[0] * draw(st.sampled_from(terms)))
    return model


def rows_of(model):
    return [model._exact_row(constraint) for constraint in model.constraints]


def feasible(model):
    """All configurations that satisfy the constraints, with their objectives."""
    rows = rows_of(model)
    found = (dict(enumerate(x)) for x in itertools.product((0, 1), repeat=model._n_bits))
    return [(x, model.objective.value(x)) for x in found if all(row.violation(x) == 0 for row in rows)]


def pigeons(n):
    """n + 1 pigeons in n holes, which cannot be."""
    model = Model()
    hole = model.choices("hole", range(n + 1), range(n))
    for k in range(n):
        model.add(total(choice[k] for choice in hole.values()) <= 1)
    return model
