"""qubovert: problems from its QUBO, QUSO, PUBO, PUSO, PCBO and PCSO. Needs ``pip install qiosk[qubovert]``."""

from __future__ import annotations

from typing import Any

from qiosk.errors import WrongType, extra
from qiosk.interop.labels import Encoded, from_polynomial, to_polynomial
from qiosk.problem import Problem

_BITS = ("QUBO", "PUBO", "PCBO", "QUBOMatrix", "PUBOMatrix")
_SPINS = ("QUSO", "PUSO", "PCSO", "QUSOMatrix", "PUSOMatrix")


def from_qubovert(model: Any, name: str = "qubovert") -> Encoded[dict[Any, int]]:
    """A problem from a model over bits or spins, of any degree; ``decode`` returns values by the model's labels.

    Raises WrongType for anything else than a model of qubovert.

    >>> import qiosk, qubovert
    >>> from qiosk.interop.qubovert import from_qubovert
    >>> encoded = from_qubovert(qubovert.PUBO({("a",): -2, ("a", "b"): 3, ("b",): -1}))
    >>> encoded.decode(qiosk.solve(encoded, timeout=1))
    {'a': 1, 'b': 0}
    """
    kind = type(model).__name__
    if kind not in (*_BITS, *_SPINS):
        raise WrongType(f"model: must be one of {', '.join((*_BITS, *_SPINS))} of qubovert, found {kind}")
    return from_polynomial(dict(model), is_ising=kind in _SPINS, name=name)


def to_qubovert(problem: Problem) -> Any:
    """The PUBO or PUSO of a problem; its labels are the ids. Raises MissingExtra without qubovert.

    >>> from qiosk import Problem
    >>> from qiosk.interop.qubovert import to_qubovert
    >>> problem = Problem("three spins")
    >>> problem.add_term(c=-1, indices=[0, 1, 2])
    >>> to_qubovert(problem)
    {(0, 1, 2): -1.0}
    """
    with extra("qubovert", "qiosk.interop.qubovert"):
        import qubovert
    terms, is_ising = to_polynomial(problem)
    return (qubovert.PUSO if is_ising else qubovert.PUBO)(terms)
