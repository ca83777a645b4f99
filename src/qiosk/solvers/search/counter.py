"""Random numbers by counter: the n-th draw of a stream is a function of (stream, n), with no state to keep."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qiosk.model.cost_function import F64

U64 = NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ALL = 2**64 - 1


def uniforms(stream: tuple[int, ...], shape: tuple[int, ...]) -> F64:
    """Numbers in (0, 1), uniform and independent for different streams and places.

    A splitmix64 hash of stream and place (Steele, Lea, Flood, OOPSLA 2014, doi:10.1145/2660193.2660195).
    """
    places = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * _GOLDEN
    bits = _mix(stream_state(stream) + places) >> np.uint64(11)
    return ((bits.astype(np.float64) + 0.5) * 2.0**-53).reshape(shape)


def stream_state(stream: tuple[int, ...]) -> U64:
    """(1,) what a stream's numbers are hashed from, together with their place."""
    state = 0
    for part in stream:  # Python integers: arrays of one element take ten times as long
        z = (state + part + int(_GOLDEN)) & _ALL
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _ALL
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _ALL
        state = z ^ (z >> 31)
    return np.array([state], np.uint64)


def _mix(z: U64) -> U64:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
