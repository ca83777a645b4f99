"""Which kernel suits a problem: by size, density, locality, range of coefficients, and replicas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import numpy as np

from qiosk.errors import InvalidValue
from qiosk.kernels.compiler import simd_available
from qiosk.model.compiled import CompiledProblem
from qiosk.solvers.samplers.arithmetic import ARITHMETICS, Arithmetic, Real
from qiosk.solvers.samplers.bit_packed.bitsliced import BitSlicedSampler, is_sliceable
from qiosk.solvers.samplers.bit_packed.klocal import HalfChanges, KLocalSampler
from qiosk.solvers.samplers.bit_packed.packed import PackedSampler
from qiosk.solvers.samplers.cached import CachedSampler
from qiosk.solvers.samplers.dense import DenseSampler, padded
from qiosk.solvers.samplers.ising import IsingForm
from qiosk.solvers.samplers.one_hot.layout import Layout
from qiosk.solvers.samplers.one_hot.sampler import OneHotSampler
from qiosk.solvers.samplers.plain import PlainSampler
from qiosk.solvers.samplers.row_form import spin_form
from qiosk.solvers.samplers.sampler import LaneGroup, Sampler

WIDE_LANES = 256
"""Lanes of int8 kernels when more than half as many replicas are wanted; else 64."""
FEW_REPLICAS = 2
"""Replicas up to which a kernel that sweeps them one by one is faster than one that always sweeps 64."""
MEDIUM_VARIABLES, LARGE_VARIABLES = 8_000, 30_000
"""Variables from which a few long anneals are better than many short ones in the same time, and from which a single one
is: costs of replicas differ by the square root of their number, those of short and long anneals by a share of it."""
DENSE_SHARE = 0.5
"""Share of all pairs from which floating-point problems go to the dense kernel."""
MOST_MATRIX_BYTES = 2**30
"""Largest coupling matrix of the dense kernel."""
SLICED_LANES = 64, 128, 256, 512
"""Lanes of the bit-sliced kernel. A variable takes as long in 512 of them as in 64, if its neighbours are in the
cache."""
SLICED_VARIABLES = 512
"""Variables from which one pool of random bits is used for a sweep: with fewer, filling it takes longer than a
sweep."""
ONE_HOT, ONE_HOT_LANES = "one-hot", 16
"""The kernel that keeps one-hot groups, and its lanes: it sweeps replicas one by one."""
CACHE_BYTES = 2**19
"""About what the cache of a core holds of spins: lanes that are not asked for must not make them outgrow it."""

Build = Callable[[CompiledProblem, int], Sampler]


def plan(problem: CompiledProblem, *, replicas: int, kernel: str | None = None, ladder: bool = False) -> Sampler:
    """The sampler for ``replicas`` replicas of a problem (in one or several lane groups).

    ``ladder``: each replica will mostly be swept at its own beta. ``kernel`` forces one of
    ``KERNELS``. Raises InvalidValue for an unknown name, and for a kernel that cannot represent the problem: a
    quadratic one for terms of three variables, integers for fractions, 32 bits for integers beyond 2**24.
    """
    if kernel is None:
        kernel = choose(problem, replicas, ladder)
    check_kernel(kernel)
    return KERNELS[kernel](problem, replicas)


@dataclass(frozen=True, slots=True)
class Planned:
    """``plan`` with its other arguments; equal ones make equal samplers of a problem."""

    replicas: int
    kernel: str | None = None
    ladder: bool = False

    def __call__(self, problem: CompiledProblem) -> Sampler:
        """The sampler of a problem."""
        return plan(problem, replicas=self.replicas, kernel=self.kernel, ladder=self.ladder)


def check_kernel(name: str) -> None:
    """Raises InvalidValue unless there is a kernel of this name."""
    if name not in KERNELS:
        raise InvalidValue(f"kernel {name!r} is none of {', '.join(KERNELS)}")


def choose(problem: CompiledProblem, replicas: int, ladder: bool = False) -> str:
    """The name of the kernel that ``plan`` takes when none is forced."""
    if problem.one_hot is not None:
        return ONE_HOT
    if not simd_available():
        return "plain"
    if not problem.is_quadratic:
        return "klocal"
    form = spin_form(problem)
    density = 2 * problem.n_pairs / max(1, problem.n * (problem.n - 1))
    matrix_bytes = padded(problem.n) ** 2 * np.dtype(form.real).itemsize
    is_dense = density >= DENSE_SHARE and problem.n >= 2 * WIDE_LANES and matrix_bytes <= MOST_MATRIX_BYTES
    if replicas <= FEW_REPLICAS:
        return "dense" if is_dense else "cached"
    if not ladder and is_sliceable(form) and _sliced_lanes(problem.n, replicas) >= WIDE_LANES:
        return "bit-sliced"  # of fewer lanes a packed sweep takes half as long
    return "dense" if is_dense and form.arithmetic in get_args(Real) else f"packed-{form.arithmetic}"


def useful_replicas(replicas: int, n: int) -> int:
    """How many of ``replicas`` anneals to run: on large problems fewer and longer ones end lower."""
    return 1 if n >= LARGE_VARIABLES else min(replicas, 64) if n >= MEDIUM_VARIABLES else replicas


def memory_bytes(problem: CompiledProblem, sampler: Sampler) -> tuple[int, int]:
    """Estimated bytes of a sampler's layout, shared by all its lane groups, and of one lane group.

    Counted are arrays that grow with the problem; a sampler also keeps a pool of thresholds per thread, below
    8 * max(8192, 8 n) bytes.
    """
    n, P, K, M = (problem.n, problem.n_pairs, len(problem.term_variables), len(problem.group_variables))
    if isinstance(sampler, DenseSampler | CachedSampler):
        row = 2 * 8 * sampler.lanes * padded(n) + 1024 * sampler.lanes
        return (8 * padded(n) ** 2 if isinstance(sampler, DenseSampler) else 24 * P + 40 * n), row
    incidences = 2 * P + K + M
    lane_group = sampler.lanes * n if isinstance(sampler, PlainSampler) else sampler.lanes * n // 8 + 1024
    return 40 * incidences + 56 * n, lane_group


def warm_up(sampler: Sampler) -> LaneGroup:
    """Compile what a sampler needs, or load it from the disk, so that later calls take no longer than their work.

    Returns a lane group.
    """
    group = sampler.start((0,))
    sampler.sweep(group, np.empty(0))
    sampler.sweep_ladder(group, np.zeros(sampler.lanes), 0)
    sampler.costs(group)
    return group


def _plain(problem: CompiledProblem, replicas: int) -> Sampler:
    return PlainSampler(problem, lanes=max(1, min(replicas, 8)))


def _one_hot(problem: CompiledProblem, replicas: int) -> Sampler:
    if problem.one_hot is None:
        raise InvalidValue(f"kernel {ONE_HOT!r} takes problems with one-hot groups, and this has none")
    return OneHotSampler(Layout(problem), lanes=max(1, min(replicas, ONE_HOT_LANES)))


def _quadratic(problem: CompiledProblem, kernel: str) -> IsingForm:
    if not problem.is_quadratic:
        raise InvalidValue(f"kernel {kernel!r} takes quadratic problems, and this has larger terms or groups")
    return spin_form(problem)


def _packed(arithmetic: Arithmetic) -> Build:
    def build(problem: CompiledProblem, replicas: int) -> Sampler:
        form = _quadratic(problem, f"packed-{arithmetic}")
        is_exact = arithmetic.startswith("int") or form.unit is not None
        if is_exact and not form.is_resolved_by(arithmetic):
            raise InvalidValue(f"kernel 'packed-{arithmetic}' cannot represent the coefficients")
        return PackedSampler(problem, arithmetic=arithmetic, lanes=_integer_lanes(arithmetic, replicas), form=form)

    return build


def _bit_sliced(problem: CompiledProblem, replicas: int) -> Sampler:
    form = _quadratic(problem, "bit-sliced")
    return BitSlicedSampler(problem, lanes=_sliced_lanes(problem.n, replicas), form=form)


def _sliced_lanes(n: int, replicas: int) -> int:
    """Lanes: at least ``replicas`` if possible, more while they fit the cache."""
    free = 8 * CACHE_BYTES // n if n >= SLICED_VARIABLES else 0
    wanted = next((lanes for lanes in SLICED_LANES if lanes >= replicas), SLICED_LANES[-1])
    return max(wanted, *(lanes for lanes in SLICED_LANES if lanes <= max(free, SLICED_LANES[0])))


def _cached(problem: CompiledProblem, replicas: int) -> Sampler:
    return CachedSampler(problem, lanes=_rows(replicas), form=_quadratic(problem, "cached"))


def _dense(problem: CompiledProblem, replicas: int) -> Sampler:
    form = _quadratic(problem, "dense")
    if padded(problem.n) ** 2 * np.dtype(form.real).itemsize > MOST_MATRIX_BYTES:
        raise InvalidValue(f"kernel 'dense' takes a matrix of at most {MOST_MATRIX_BYTES} bytes: {problem.n} variables")
    return DenseSampler(problem, lanes=_rows(replicas), form=form)


def _rows(replicas: int) -> int:
    return max(1, min(replicas, 64))


def _klocal(forced: Arithmetic | None = None) -> Build:
    def build(problem: CompiledProblem, replicas: int) -> Sampler:
        halves = HalfChanges(problem)
        arithmetic = forced or halves.arithmetic
        is_exact = arithmetic.startswith("int") or np.isfinite(halves.largest_count) or not halves.is_in_float32_range
        if is_exact and not halves.is_resolved_by(arithmetic):
            raise InvalidValue(f"kernel 'klocal-{arithmetic}' cannot represent the coefficients")
        return KLocalSampler(problem, arithmetic=arithmetic, lanes=_integer_lanes(arithmetic, replicas), halves=halves)

    return build


def _integer_lanes(arithmetic: Arithmetic, replicas: int) -> int:
    """Lanes: more than 64 where one register holds them."""
    return WIDE_LANES if arithmetic == "int8" and 2 * replicas > WIDE_LANES else 64


KERNELS: dict[str, Build] = {
    **{f"packed-{arithmetic}": _packed(arithmetic) for arithmetic in ARITHMETICS},
    "bit-sliced": _bit_sliced,
    "cached": _cached,
    "dense": _dense,
    "klocal": _klocal(),
    **{f"klocal-{arithmetic}": _klocal(arithmetic) for arithmetic in ARITHMETICS},
    "plain": _plain,
    ONE_HOT: _one_hot,
}
"""Every kernel by name, as a function of the problem and the replicas wanted."""
