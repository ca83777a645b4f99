"""dimod: ``QioskSampler``, and conversion of models in both directions. Needs ``pip install qiosk[dimod]``."""

from __future__ import annotations

from qiosk.interop.dimod.bqm import from_binary_polynomial, from_bqm, to_binary_polynomial, to_bqm
from qiosk.interop.dimod.cqm import from_cqm, to_cqm
from qiosk.interop.dimod.dqm import from_dqm
from qiosk.interop.dimod.sampler import QioskSampler

__all__ = [
    "QioskSampler",
    "from_binary_polynomial",
    "from_bqm",
    "from_cqm",
    "from_dqm",
    "to_binary_polynomial",
    "to_bqm",
    "to_cqm",
]
