"""Reference kernels: plain loops with the same arguments, random numbers and results, bit for bit, as the SIMD kernels.

Tests compare the SIMD kernels with them, and they run where SIMD kernels cannot: with another Numba, or uncompiled.
Random words are kept as non-negative integers in int64, so that the same source runs uncompiled.
"""
