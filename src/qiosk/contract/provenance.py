"""Provenance: where a result comes from, and what is needed to find it again."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from typing import Any

from msgspec import Struct, field

from qiosk.contract.times import AwareTime
from qiosk.machine import cpu_count, processor
from qiosk.version import __version__

CUT_SHORT = frozenset({"timeout", "run_limit", "cancelled"})
"""Stop reasons of runs that a time limit or a user ended: they could go on."""
ENDED_BY_PACE = CUT_SHORT | {"target", "gap"}
"""Stop reasons of runs that end at different points on faster and slower machines, so that results may differ."""
ENOUGH = ("optimal", "gap", "target")
"""Stop reasons of runs that have a proof, or what was asked for: other members of the same solve need not go on."""
MAX_LISTED = 100
"""Longest list that a provenance takes over from the statistics of a run: its size is bounded."""


class Versions(Struct, frozen=True, kw_only=True):
    """What ran; ``numpy`` and ``numba`` are None where they are not installed."""

    qiosk: str
    python: str
    numpy: str | None = None
    numba: str | None = None


class MachineFacts(Struct, frozen=True, kw_only=True):
    """Where it ran: ``cpus`` are those that the process may use, ``threads`` those in which the solver swept."""

    processor: str
    system: str
    cpus: int
    threads: int | None = None


class Provenance(Struct, rename="camel", frozen=True, kw_only=True):
    """Where a result comes from. A run of the same target on the same problem with the ``given`` parameters finds it
    again, unless it depends on how fast the machine is: see ``qiosk.formats.comparison.Comparison``.

    ``problem`` is ``sha256:`` and a digest of the problem's terms, in whatever format they were read. ``given`` holds
    the parameters of the target in its own units, given or by default, the seed, and the kernel if one was forced;
    ``parameters`` what came into effect, under the names of the parameterized target. ``statistics`` are those of
    :class:`qiosk.solvers.result.Result` without the stop reason, and without lists of more than 100 items. Times are
    in UTC.

    A job whose process was killed has only what was known before.

    >>> import qiosk
    >>> problem = qiosk.Problem("pair")
    >>> problem.add_terms(coefficients=[1], ids=[[0, 1]])
    >>> found = qiosk.solve(problem, "microsoft.tabu.cpu", sweeps=10, seed=3).provenance
    >>> found.seed, found.parameters["sweeps"], found.stop_reason, found.versions.qiosk == qiosk.__version__
    (3, 10, 'finished', True)
    """

    versions: Versions
    machine: MachineFacts
    target: str | None = None
    problem: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    stop_reason: str | None = None
    statistics: Mapping[str, Any] = field(default_factory=dict)
    began_at: AwareTime | None = None
    ended_at: AwareTime | None = None


def environment(threads: int | None = None) -> Provenance:
    """What is known without a run: the versions, and this machine."""
    return Provenance(versions=_versions(), machine=MachineFacts(**_machine(), cpus=cpu_count(), threads=threads))


@cache
def _versions() -> Versions:
    found: dict[str, str | None] = {}
    for package in ("numpy", "numba"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return Versions(qiosk=__version__, python=platform.python_version(), **found)


@cache
def _machine() -> Mapping[str, Any]:
    return {"processor": processor(), "system": f"{platform.system()} {platform.machine()}"}
