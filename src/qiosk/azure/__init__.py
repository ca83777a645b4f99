"""Runs programs written for the retired ``azure.quantum`` SDK, unchanged.

``import qiosk.azure`` as a first line, or ``python -m qiosk.azure program.py``, makes Python import
``azure.quantum``, ``azure.quantum.optimization``, ``azure.quantum.aio`` and their other modules from Qiosk.
"""

from __future__ import annotations

from qiosk.azure.hook import install

install()
