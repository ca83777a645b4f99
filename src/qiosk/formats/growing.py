"""Columns that are made longer while a scanner fills them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def doubled(column: NDArray[Any]) -> NDArray[Any]:
    """A column of twice the length that begins with the same rows; the others are zero."""
    grown = np.zeros((2 * len(column), *column.shape[1:]), column.dtype)
    grown[: len(column)] = column
    return grown
