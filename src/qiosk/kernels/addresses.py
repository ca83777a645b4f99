"""Arrays by address: a call of a small function then counts no references, which would take longer than its work."""

from __future__ import annotations

from typing import Any

from qiosk.kernels.compiler import inlined, simd_available

if simd_available():
    from qiosk.kernels.simd import kept as kept
    from qiosk.kernels.simd import pointer

    @inlined()
    def address(array: Any) -> Any:
        """Where an array begins: its numbers can be read there without counting references to it."""
        return pointer(array)

else:

    @inlined()
    def address(array: Any) -> Any:
        """The array itself: slower, with the same results."""
        return array

    @inlined()
    def kept(array: Any) -> None:
        """Nothing: nothing is freed too early here."""
