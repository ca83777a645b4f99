"""Which kernel suits a problem: by size, density, locality, range of coefficients, and replicas."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np

from qiosk.errors import InvalidValue
from qiosk.kernels.compiler import jit_enabled
from qiosk.model.compiled import CompiledProblem
from qiosk.solvers.sampler import Sampler
from qiosk.solvers.samplers.ising import ARITHMETICS, Arithmetic, IsingForm
from qiosk.solvers.samplers.klocal import KLocalSampler, Real
from qiosk.solvers.samplers.packed import PackedSampler
from qiosk.solvers.samplers.plain import PlainSampler

_MANY = 256
"""Lanes of int8 kernels when so many replicas are wanted; else 64."""


def plan(problem: CompiledProblem, *, replicas: int, kernel: str | None = None) -> Sampler:
    """The sampler for ``replicas`` replicas of a problem (in one or several lane groups).

    ``kernel`` forces one, by a name out of ``KERNELS``. Raises InvalidValue for an unknown name, and for a
    kernel that
    cannot represent the problem: a quadratic one for terms of three variables, integers for fractions.
    """
    if kernel is not None:
        if kernel not in KERNELS:
            raise InvalidValue(f"kernel {kernel!r} is none of {', '.join(KERNELS)}")
        return KERNELS[kernel](problem, replicas)
    if not jit_enabled():
        return _plain(problem, replicas)
    if not problem.is_quadratic:
        return _klocal()(problem, replicas)
    return _packed(IsingForm.of(problem).arithmetic)(problem, replicas)


def warm_up(sampler: Sampler) -> None:
    """Compile what a sampler needs, or load it from the disk, so that later calls take no longer than their work."""
    group = sampler.start((0,))
    sampler.sweep(group, np.empty(0))
    sampler.sweep_ladder(group, np.zeros(sampler.lanes), 0)
    sampler.costs(group)


def _plain(problem: CompiledProblem, replicas: int) -> Sampler:
    return PlainSampler(problem, lanes=max(1, min(replicas, 8)))


def _packed(arithmetic: Arithmetic) -> Callable[[CompiledProblem, int], Sampler]:
    def build(problem: CompiledProblem, replicas: int) -> Sampler:
        form = _quadratic(problem, f"packed-{arithmetic}")
        if arithmetic.startswith("int") and not form.is_resolved_by(arithmetic):
            raise InvalidValue(f"kernel packed-{arithmetic} cannot represent the problem's coefficients")
        lanes = _MANY if arithmetic == "int8" and replicas >= _MANY else 64
        return PackedSampler(problem, arithmetic=arithmetic, lanes=lanes, form=form)

    return build


def _quadratic(problem: CompiledProblem, kernel: str) -> IsingForm:
    if not problem.is_quadratic:
        raise InvalidValue(f"kernel {kernel} takes quadratic problems, and this has larger terms or groups")
    return IsingForm.of(problem)


def _klocal(arithmetic: Real | None = None) -> Callable[[CompiledProblem, int], Sampler]:
    return lambda problem, replicas: KLocalSampler(problem, arithmetic=arithmetic)


KERNELS: dict[str, Callable[[CompiledProblem, int], Sampler]] = {
    **{f"packed-{arithmetic}": _packed(arithmetic) for arithmetic in ARITHMETICS},
    **{f"klocal-{real}": _klocal(real) for real in get_args(Real)},
    "plain": _plain,
}
"""Every kernel by name, as a function of the problem and the replicas wanted."""
