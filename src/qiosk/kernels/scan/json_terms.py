"""Scans the terms of a JSON document directly into columns.

The scanner accepts one shape, ``{"c": number, "ids": [integers]}`` with any white space and in either order, and stops
at anything else; the caller then uses the general parser. Decimal numbers are rounded to the nearest float64. Short
numbers are converted exactly with one multiplication or division by a power of ten. Longer ones need a 128-bit product
with a power of five (Lemire, "Number parsing at a gigabyte per second", Softw. Pract. Exp. 51, 1700 (2021),
doi:10.1002/spe.2984). The few numbers that this algorithm cannot round are undecided: the caller converts their text.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.compiler import OPTIONS, inlined, kernel
from qiosk.kernels.scan import DONE, FULL, STOPPED

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

_compiled: Any = numba.njit(**OPTIONS)

_SPACE, _QUOTE, _COMMA, _MINUS, _PLUS, _POINT, _COLON = 32, 34, 44, 45, 43, 46, 58
_ZERO, _LOWER_E, _UPPER_E = 48, 101, 69
_OPEN_ARRAY, _CLOSE_ARRAY, _OPEN_OBJECT, _CLOSE_OBJECT = 91, 93, 123, 125

_MIN_POWER, _MAX_POWER = -342, 308  # of ten, in the range of float64
_EXACT = np.uint64(1 << 53)  # integers up to this are exact in float64
_POWERS_OF_TEN = 10.0 ** np.arange(23)  # all that are exact in float64
_LOW_HALF = np.uint64(0xFFFFFFFF)
_TEN, _ZERO_U, _ONE, _THREE, _NINE, _HALF_BITS = (np.uint64(k) for k in (10, 0, 1, 3, 9, 32))
_PRECISION = np.uint64(0x1FF)  # bits of a product below the mantissa and its rounding bit
_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)


@cache
def powers_of_five() -> U64:
    """(651, 2) high and low words of 5**q for q in -342..308, scaled to 128 bits; reciprocals are rounded up."""
    table = np.empty((_MAX_POWER - _MIN_POWER + 1, 2), np.uint64)
    for q in range(_MIN_POWER, _MAX_POWER + 1):
        power = 5 ** abs(q)
        if q >= 0:
            word = power << 128 >> power.bit_length()
        elif q >= -27:
            word = (1 << (power.bit_length() + 127)) // power + 1
        else:
            word = (1 << (2 * power.bit_length() + 128)) // power + 1
            word >>= word.bit_length() - 128
        table[q - _MIN_POWER] = word >> 64, word & ((1 << 64) - 1)
    return table


@inlined()
def _peek(data: Any, i: Any) -> Any:
    return data[i] if i < len(data) else np.uint8(0)


@inlined()
def _skip_space(data: Any, i: Any) -> Any:
    while i < len(data) and data[i] <= _SPACE and (data[i] == 32 or data[i] == 10 or data[i] == 13 or data[i] == 9):
        i += 1
    return i


@inlined()
def _is_digit(byte: Any) -> Any:
    return np.uint8(byte - _ZERO) < 10


@inlined()
def _high_product(a: Any, b: Any) -> Any:
    """High and low words of a * b."""
    a1, a0, b1, b0 = a >> _HALF_BITS, a & _LOW_HALF, b >> _HALF_BITS, b & _LOW_HALF
    low, middle = a0 * b0, a1 * b0
    cross = (low >> _HALF_BITS) + (middle & _LOW_HALF) + a0 * b1
    return a1 * b1 + (middle >> _HALF_BITS) + (cross >> _HALF_BITS), a * b


@inlined()
def _leading_zeros(word: Any) -> Any:
    count = 0
    for shift in (32, 16, 8, 4, 2, 1):
        if word >> np.uint64(64 - shift) == _ZERO_U:
            word <<= np.uint64(shift)
            count += shift
    return count


@_compiled
def to_bits(mantissa: np.uint64, power: int, table: U64) -> Any:
    """Bits of the float64 nearest to mantissa * 10**power, mantissa > 0; 0 if that needs more precision.

    Also 0 for numbers that are subnormal or out of range. ``table`` is ``powers_of_five()``.
    """
    if power < _MIN_POWER or power > _MAX_POWER:
        return _ZERO_U
    zeros = _leading_zeros(mantissa)
    word = mantissa << np.uint64(zeros)
    high, low = _high_product(word, table[power - _MIN_POWER, 0])
    if high & _PRECISION == _PRECISION:
        more, _ = _high_product(word, table[power - _MIN_POWER, 1])
        low += more
        if low < more:
            high += _ONE
        if low == _ONES and not -27 <= power <= 55:  # there 128 bits represent 5**power exactly, or always suffice
            return _ZERO_U
    top = high >> np.uint64(63)
    shift = top + _NINE
    bits = high >> shift
    # 217706 / 65536 approximates the binary logarithm of ten over this range of powers.
    exponent = ((217706 * power) >> 16) + 63 + np.int64(top) - zeros + 1023
    if exponent <= 0:
        return _ZERO_U
    # Halfway between two floats: only possible if 5**power is small, and then the product is exact.
    if low <= _ONE and -4 <= power <= 23 and bits & _THREE == _ONE and bits << shift == high:
        bits &= ~_ONE
    bits = (bits + (bits & _ONE)) >> _ONE
    if bits >> np.uint64(53) != _ZERO_U:
        bits >>= _ONE
        exponent += 1
    if exponent >= 2047:
        return _ZERO_U
    return (bits & np.uint64((1 << 52) - 1)) | (np.uint64(exponent) << np.uint64(52))


@_compiled
def _scan_number(data: Any, i: Any, table: Any) -> Any:
    """Position after a number, whether it could be rounded, and its value. Position -1: not a number."""
    is_negative = _peek(data, i) == _MINUS
    if is_negative:
        i += 1
    if not _is_digit(_peek(data, i)):
        return -1, False, 0.0
    mantissa, digits, power, is_float = _ZERO_U, 0, 0, False
    if data[i] == _ZERO:
        i += 1
        if _is_digit(_peek(data, i)):
            return -1, False, 0.0
    else:
        while _is_digit(_peek(data, i)):
            mantissa = mantissa * _TEN + np.uint64(data[i] - _ZERO)
            digits += 1
            i += 1
    if _peek(data, i) == _POINT:
        is_float = True
        i += 1
        start = i
        while _is_digit(_peek(data, i)):
            mantissa = mantissa * _TEN + np.uint64(data[i] - _ZERO)
            digits += digits > 0 or data[i] != _ZERO
            i += 1
        if i == start:
            return -1, False, 0.0
        power = start - i
    if _peek(data, i) == _LOWER_E or _peek(data, i) == _UPPER_E:
        is_float = True
        i += 1
        is_down = _peek(data, i) == _MINUS
        if is_down or _peek(data, i) == _PLUS:
            i += 1
        start = i
        written: Any = 0
        while _is_digit(_peek(data, i)):
            written = min(written * 10 + np.int64(data[i] - _ZERO), 100_000)
            i += 1
        if i == start:
            return -1, False, 0.0
        power += -written if is_down else written
    if digits > 19:  # the mantissa has room for 19 digits: 10**19 < 2**64
        return i, False, 0.0
    if mantissa == _ZERO_U:
        return i, True, -0.0 if is_negative and is_float else 0.0
    if mantissa <= _EXACT and -22 <= power <= 22:
        value = np.float64(mantissa)
        value = value / _POWERS_OF_TEN[-power] if power < 0 else value * _POWERS_OF_TEN[power]
    else:
        bits = to_bits(mantissa, power, table)
        if bits == _ZERO_U:
            return i, False, 0.0
        value = np.uint64(bits).view(np.float64)
    return i, True, -value if is_negative else value


@_compiled
def _scan_ids(data: Any, i: Any, ids: Any, k: Any) -> Any:
    """Position after an array of ids, which is copied to ids[k:]; and the new k. Position -1: no ids, -2: full."""
    if _peek(data, i) != _OPEN_ARRAY:
        return -1, k
    i = _skip_space(data, i + 1)
    if _peek(data, i) == _CLOSE_ARRAY:
        return i + 1, k
    while True:
        start = i
        value: Any = 0
        while _is_digit(_peek(data, i)):
            value = value * 10 + np.int64(data[i] - _ZERO)
            i += 1
        if i == start or i - start > 18 or (data[start] == _ZERO and i - start > 1):
            return -1, k
        if k == len(ids):
            return -2, k
        ids[k] = value
        k += 1
        i = _skip_space(data, i)
        byte = _peek(data, i)
        if byte == _CLOSE_ARRAY:
            return i + 1, k
        if byte != _COMMA:
            return -1, k
        i = _skip_space(data, i + 1)


@kernel
def scan_terms(
    data: NDArray[np.uint8], table: U64, coefficients: F64, ends: I64, ids: I64, undecided: I64, state: I64
) -> Any:
    """Read terms into columns until the array of terms ends, the columns are full, or something else follows.

    Args:
        data: (N,) uint8, the document.
        table: ``powers_of_five()``.
        coefficients, ends: (T,) float64 and int64; coefficient, and number of ids up to the end of the term.
        ids: (K,) int64.
        undecided: (U, 3) int64; term, start and end in ``data`` of numbers that the caller has to convert.
        state: (4,) int64: position in ``data`` (initially after the opening bracket of the array), number of terms, of
            ids and of undecided numbers; updated, so that a call with larger columns continues.

    Returns DONE (the position is after the closing bracket), FULL or STOPPED. A term is read here and not by a function
    of its own, which would make the scan a fifth slower.
    """
    i, t, k, u = state[0], state[1], state[2], state[3]
    while True:
        i = _skip_space(data, i)
        if t == 0 and _peek(data, i) == _CLOSE_ARRAY:
            state[0] = i + 1
            return DONE
        if t == len(coefficients) or u == len(undecided):
            return FULL
        if _peek(data, i) != _OPEN_OBJECT:
            return STOPPED
        has_c, has_ids, is_decided, start, end = False, False, True, 0, 0
        count = k
        i += 1
        while True:
            i = _skip_space(data, i)
            if _peek(data, i) != _QUOTE:
                return STOPPED
            is_c = _peek(data, i + 1) == 99 and _peek(data, i + 2) == _QUOTE
            is_ids = (
                _peek(data, i + 1) == 105
                and _peek(data, i + 2) == 100
                and _peek(data, i + 3) == 115
                and _peek(data, i + 4) == _QUOTE
            )
            if not ((is_c and not has_c) or (is_ids and not has_ids)):
                return STOPPED
            i = _skip_space(data, i + (3 if is_c else 5))
            if _peek(data, i) != _COLON:
                return STOPPED
            i = _skip_space(data, i + 1)
            if is_c:
                has_c, start = True, i
                i, is_decided, value = _scan_number(data, i, table)
                end = i
                coefficients[t] = value
            else:
                has_ids = True
                i, count = _scan_ids(data, i, ids, k)
                if i == -2:
                    return FULL
            if i < 0:
                return STOPPED
            i = _skip_space(data, i)
            byte = _peek(data, i)
            i += 1
            if byte == _CLOSE_OBJECT:
                break
            if byte != _COMMA:
                return STOPPED
        if not (has_c and has_ids):
            return STOPPED
        if not is_decided:
            undecided[u, 0], undecided[u, 1], undecided[u, 2] = t, start, end
            u += 1
        ends[t] = count
        t += 1
        k = count
        i = _skip_space(data, i)
        byte = _peek(data, i)
        i += 1
        state[1], state[2], state[3] = t, k, u
        if byte == _CLOSE_ARRAY:
            state[0] = i
            return DONE
        if byte != _COMMA:
            return STOPPED
        state[0] = i
