"""Models from discrete quadratic models of dimod."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import dimod
import numpy as np

from qiosk.interop.labels import names_of
from qiosk.modeling import Choice, Expression, Model, total


def from_dqm(dqm: Any, name: str = "discrete quadratic model") -> Model:
    """A model with a choice among the numbers of cases, 0, 1, …, for each variable, in the order of ``dqm.variables``.

    Labels that are not strings become strings. Of a CaseLabelDQM, ``map_sample`` has the labels of cases.

    >>> import dimod
    >>> from qiosk.interop.dimod import from_dqm
    >>> dqm = dimod.DiscreteQuadraticModel()
    >>> label = dqm.add_variable(3, label="color")
    >>> dqm.set_linear("color", [2, 1, 3])
    >>> answer = from_dqm(dqm).solve(seed=1)
    >>> answer.values, answer.objective
    ({'color': 1}, 1.0)
    """
    read = dimod.DiscreteQuadraticModel  # whose methods count cases from 0 also where they have labels
    model = Model(name)
    names = names_of(dqm.variables)
    choices: dict[Hashable, Choice] = {
        label: model.choice(names[label], range(read.num_cases(dqm, label))) for label in dqm.variables
    }
    parts: list[Expression | float] = [float(read.offset.fget(dqm))]
    number = {label: k for k, label in enumerate(dqm.variables)}
    for label, choice in choices.items():
        parts += [float(bias) * choice[case] for case, bias in enumerate(read.get_linear(dqm, label)) if bias]
        for other in dqm.adj[label]:
            if number[label] < number[other]:
                pairs: Mapping[tuple[int, int], float] = read.get_quadratic(dqm, label, other)
                parts += [float(bias) * choice[i] * choices[other][j] for (i, j), bias in pairs.items() if bias]
    model.minimize(total(parts))
    return model


def cases_of(dqm: Any, cases: Sequence[int | None]) -> list[int]:
    """Cases by variable; each that is None becomes the one of the lowest energy, one after the other."""
    row = [0 if case is None else case for case in cases]
    for k, case in enumerate(cases):
        if case is None:
            some = np.array([row] * dqm.num_cases(dqm.variables[k]))
            some[:, k] = np.arange(len(some))
            row[k] = int(np.argmin(dqm.energies((some, list(dqm.variables)))))
    return row
