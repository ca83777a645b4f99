"""Spins that are equal or opposite in a part of the tree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qiosk.bounds.graph import SpinGraph
from qiosk.model.cost_function import I8, I64


@dataclass(frozen=True, slots=True, eq=False)
class Merging:
    """Spin v is ``signs[v]`` times spin ``roots[v]``, which is its own root."""

    roots: I64  # (V,)
    signs: I8  # (V,)

    @classmethod
    def none(cls, vertices: int) -> Merging:
        """Every spin by itself."""
        return cls(np.arange(vertices, dtype=np.int64), np.ones(vertices, np.int8))

    def with_product(self, u: int, v: int, product: int) -> Merging:
        """The same where the product of two spins of different roots is -1 or +1."""
        root, other = self.roots[u], self.roots[v]
        is_moved = self.roots == other
        factor = np.int8(product * self.signs[u] * self.signs[v])
        return Merging(np.where(is_moved, root, self.roots), np.where(is_moved, factor * self.signs, self.signs))

    def fixed(self, graph: SpinGraph) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(E,) which couplings are decided, and which of them are not at their least."""
        is_fixed = self.roots[graph.rows] == self.roots[graph.cols]
        products = self.signs[graph.rows] * self.signs[graph.cols]
        return is_fixed, is_fixed & (graph.weights * products > 0)
