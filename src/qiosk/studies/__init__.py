"""Studies: many instances, targets, parameters and seeds, run as jobs and compared.

:class:`Study` is what programs and the command ``qiosk study`` use; ``settings`` describes its file, and
``plots`` draws comparisons.
"""

from __future__ import annotations

from qiosk.studies.rows import Row
from qiosk.studies.study import Study

__all__ = ["Row", "Study"]
