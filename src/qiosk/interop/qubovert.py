"""qubovert: problems from its QUBO, QUSO, PUBO, PUSO, PCBO and PCSO. Needs ``pip install qiosk[qubovert]``."""

from __future__ import annotations

from typing import Any

from qiosk.errors import WrongType, extra
from qiosk.interop.labels import Encoded, from_polynomial, to_polynomial
from qiosk.problem import Problem

_BITS = ("QUBO", "PUBO", "PCBO", "QUBOMatrix", "PUBOMatrix")
_SPINS = ("QUSO", "PUSO", "PCSO", "QUSOMatrix", "PUSOMatrix")


def from_qubovert(model: Any, name: str = "qubovert") -> Encoded[dict[Any, int]]:
    """The problem of a model of bits or spins, of any degree, its labels kept. Raises WrongType for anything else."""
    kind = type(model).__name__
    if kind not in (*_BITS, *_SPINS):
        raise WrongType(f"model: must be one of {', '.join((*_BITS, *_SPINS))} of qubovert, found {kind}")
    return from_polynomial(dict(model), is_ising=kind in _SPINS, name=name)


def to_qubovert(problem: Problem) -> Any:
    """The PUBO or PUSO of a problem; its labels are the ids."""
    with extra("qubovert", "qiosk.interop.qubovert"):
        import qubovert
    terms, is_ising = to_polynomial(problem)
    return (qubovert.PUSO if is_ising else qubovert.PUBO)(terms)
