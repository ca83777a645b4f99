"""Plain-loop twins of the SIMD kernels: same arguments, same random numbers, same results bit for bit.

They are the oracle of the tests and what runs where the SIMD kernels cannot (another Numba, or no compilation at all).
Random words are kept as non-negative Python-like integers in int64, so that the same source runs uncompiled.
"""
