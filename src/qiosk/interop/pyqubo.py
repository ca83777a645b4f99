"""PyQUBO: problems from its models, and decoding to its samples. Needs ``pip install qiosk[pyqubo]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qiosk.interop.labels import Encoded, from_polynomial


def from_pyqubo(model: Any, feed_dict: Mapping[str, float] | None = None, name: str = "pyqubo") -> Encoded[Any]:
    """A problem from a compiled model or an expression; ``feed_dict`` contains the values of placeholders.

    ``decode`` returns PyQUBO's own DecodedSample, which lists violated constraints.

    >>> import pyqubo, qiosk
    >>> from qiosk.interop.pyqubo import from_pyqubo
    >>> a, b = pyqubo.Binary("a"), pyqubo.Binary("b")
    >>> encoded = from_pyqubo(2 * a * b - 3 * a - b)
    >>> sample = encoded.decode(qiosk.solve(encoded, timeout=1))
    >>> sample.sample, sample.energy
    ({'a': 1, 'b': 0}, -3.0)
    """
    compiled = model.compile() if hasattr(model, "compile") else model
    terms, offset = compiled.to_qubo(feed_dict=dict(feed_dict or {}))
    encoded = from_polynomial({**terms, (): offset}, is_ising=False, name=name, labels=compiled.variables)

    def read(configuration: Mapping[int, int]) -> Any:
        sample = encoded.read(configuration)
        return compiled.decode_sample(sample, vartype="BINARY", feed_dict=dict(feed_dict or {}))

    return Encoded(encoded.problem, read)
