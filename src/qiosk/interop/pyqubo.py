"""PyQUBO: problems from its models, and the way back to its samples. Needs ``pip install qiosk[pyqubo]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qiosk.interop.labels import Encoded, from_polynomial


def from_pyqubo(model: Any, feed_dict: Mapping[str, float] | None = None, name: str = "pyqubo") -> Encoded[Any]:
    """The problem of a compiled model, or of an expression; ``feed_dict`` gives its placeholders' values.

    ``decode`` returns PyQUBO's own DecodedSample, which says which constraints are broken.
    """
    compiled = model.compile() if hasattr(model, "compile") else model
    terms, offset = compiled.to_qubo(feed_dict=dict(feed_dict or {}))
    encoded = from_polynomial({**terms, (): offset}, is_ising=False, name=name, labels=compiled.variables)

    def read(configuration: Mapping[int, int]) -> Any:
        sample = encoded.read(configuration)
        return compiled.decode_sample(sample, vartype="BINARY", feed_dict=dict(feed_dict or {}))

    return Encoded(encoded.problem, read)
