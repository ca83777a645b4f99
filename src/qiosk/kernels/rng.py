"""Random numbers of the kernels: splitmix64 to seed, xoshiro128+ per lane, a 64-bit LCG for pool offsets.

Every lane group owns its generators, so what it draws depends on its seed alone. A vector of ``GENERATORS``
xoshiro128+ generators advances as one; state arrays are uint32 (4 * GENERATORS,), word w of generator l at
``w * GENERATORS + l``.

References: Steele, Lea, Flood, OOPSLA 2014, doi:10.1145/2660193.2660195 (splitmix64); Blackman, Vigna, ACM TOMS 47, 36
(2021), doi:10.1145/3460772 (xoshiro128+); Knuth, MMIX linear congruential generator (TAOCP 2, 3.3.4).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.aligned import aligned_copy, aligned_empty
from qiosk.kernels.compiler import inlined, kernel

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]

GENERATORS = 32
"""Generators in a vector: two AVX-512 registers per word, eight for the whole state."""

MANY_WORDS = 1 << 18
"""Random words at once from which a compiled pass is worth loading: NumPy's take ten times as long."""

_MASK64 = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
LCG_MULTIPLIER = np.uint64(6364136223846793005)
LCG_INCREMENT = np.uint64(1442695040888963407)
OFFSET_SHIFT = np.uint64(33)
"""The upper 31 bits of the LCG serve as offset; its lower bits are poor."""


def splitmix64(counters: U64) -> U64:
    """The finalizer of splitmix64, element by element: a bijection of uint64 without visible structure."""
    x = counters * np.uint64(_GOLDEN)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def combine_seed(parts: tuple[int, ...]) -> int:
    """One 64-bit seed from integers of any size and sign; order and length matter."""
    seed = len(parts) + 1
    for part in parts:
        words = [part & _MASK64]
        part >>= 64
        while part not in (0, -1):
            words.append(part & _MASK64)
            part >>= 64
        words.append((2 * len(words) + (part == -1)) & _MASK64)
        for word in words:
            mixed = splitmix64(np.array([seed ^ word], np.uint64))
            seed = (int(mixed[0]) + _GOLDEN) & _MASK64
    return seed


def random_words(seed: int, count: int, stream: int = 0, first: int = 0) -> U64:
    """(count,) uniformly random uint64, those number ``first`` and on; streams of one seed are unrelated."""
    start = combine_seed((seed, stream))
    if count >= MANY_WORDS:
        words = aligned_empty(count, np.uint64)
        with np.errstate(over="ignore"):  # they wrap when this runs uncompiled
            mixed_words()(np.uint64((start + first + 1) & _MASK64), words)
        return words
    return splitmix64(np.arange(first + 1, first + count + 1, dtype=np.uint64) + np.uint64(start))


@cache
def mixed_words() -> Any:
    """``mix(first, out)``: ``splitmix64`` of the counters ``first``, ``first`` + 1 and so on, into out (m,) uint64.

    ``splitmix64`` is its reference.
    """

    @kernel
    def mix(first: Any, out: Any) -> None:
        for k in range(out.size):
            x = (first + np.uint64(k)) * np.uint64(0x9E3779B97F4A7C15)
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            out[k] = x ^ (x >> np.uint64(31))

    return mix


def draw_floats(out: NDArray[np.float32], seed: int, spread: np.float32, first: int) -> None:
    """Fill out (m,) with floats from -spread..spread: the upper bits of ``random_words`` number ``first`` and on."""
    with np.errstate(over="ignore"):  # words wrap when this runs uncompiled
        mixed_floats()(np.uint64((combine_seed((seed, 0)) + first + 1) & _MASK64), spread, out)


@cache
def mixed_floats() -> Any:
    """``mix(first, spread, out)``: the words of ``mixed_words`` as floats from -spread..spread, into out (m,) float32.

    Reference: ``spread * (((word >> 40) + 0.5) * 2**-23 - 1)`` in float32, of ``splitmix64``.
    """

    @kernel
    def mix(first: Any, spread: Any, out: Any) -> None:
        for k in range(out.size):
            x = (first + np.uint64(k)) * np.uint64(0x9E3779B97F4A7C15)
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            x = (x ^ (x >> np.uint64(31))) >> np.uint64(40)
            out[k] = spread * ((np.float32(x) + np.float32(0.5)) * np.float32(2.0**-23) - np.float32(1.0))

    return mix


def generator_states(seed: int, generators: int = GENERATORS) -> U32:
    """States of a vector of xoshiro128+ generators, uint32 (4 * generators,)."""
    return aligned_copy(random_words(seed, 2 * generators, stream=1).view(np.uint32))


@inlined()
def next_uint32(a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any, Any, Any, Any]:
    """One draw of a vector of xoshiro128+ generators: 32 random bits per lane, and the new state."""
    drawn = a + d
    shifted = b << 9
    c = c ^ a
    d = d ^ b
    b = b ^ c
    a = a ^ d
    c = c ^ shifted
    d = (d << 11) | (d >> 21)
    return drawn, a, b, c, d
