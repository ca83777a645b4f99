"""Explicit SIMD for Numba: what kernels do with vectors.

``Vec(elem, lanes)`` is an LLVM ``<lanes x elem>`` and lives in registers only. Lanes may exceed the width of the
machine: LLVM splits a ``<64 x float>`` into four AVX-512 registers, eight AVX2 ones or sixteen SSE ones, and the result
is the same bit for bit, because no operation carries a fast-math flag: neither contraction to fused multiply-add nor
reassociation is allowed.

Inside a compiled function vectors support ``+ - * & | ^ << >> ~`` and the six comparisons, between two
vectors of one type or a vector and a scalar (which is converted to the element type and broadcast). Shifts of
signed elements are arithmetic. Comparisons give a vector of booleans, a *mask*.

Names are resolved when Numba types a function; nothing here can be called from Python. The typing interface
of Numba used here is not a stable one, which is why every kernel has a reference kernel in plain loops.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numba.extending
from llvmlite import ir
from numba.core import types as numba_types

from qiosk.kernels.vectors import (
    Vec,
    broadcast,
    is_float,
    is_mask,
    is_signed,
    llvm_vector,
    mask_of,
    packed,
    packed_types,
    unpacked,
)

# Numba's own annotations describe neither the scalar types' attributes nor how an intrinsic is called
types: Any = numba_types
intrinsic: Any = numba.extending.intrinsic


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """Address of element ``offset`` of an array's data, whatever its dimensions, or from a pointer."""
    if isinstance(array_type, types.CPointer):
        return builder.gep(array, [offset])
    struct = context.make_array(array_type)(context, builder, array)
    return builder.gep(struct.data, [offset])


@intrinsic
def pointer(typingctx: Any, array: Any) -> Any:
    """Where an array's data begin, for small functions: a call counts the references of its array arguments."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.make_array(array)(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), codegen


@intrinsic
def kept(typingctx: Any, array: Any) -> Any:
    """Nothing is done. But an array is freed after the last use of its name, and this is one, which its address is
    not: a kernel that allocates an array and uses its address calls this where it has no more need of it.
    """

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.get_dummy_value()

    return types.none(array), codegen


def _lane_count(lanes: Any) -> int | None:
    """Where an intrinsic takes ``lanes``: a constant, or any vector that has as many."""
    if isinstance(lanes, types.IntegerLiteral):
        return int(lanes.literal_value)
    return lanes.lanes if isinstance(lanes, Vec) else None


def _loaded(array: Any, lanes: Any, vec: Vec) -> Any:
    """Signature and code of an intrinsic (array, offset, lanes) that reads a vector; a mask is packed in memory."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        in_memory = packed_types(context, vec.lanes) if is_mask(vec) else [llvm_vector(vec)]
        values = []
        for part, kept_as in enumerate(in_memory):
            value = builder.load(_part(builder, pointer, part, kept_as))
            value.align = array.dtype.bitwidth // 8  # arrays need not be aligned to the vector
            values.append(value)
        return unpacked(context, builder, values) if is_mask(vec) else values[0]

    return vec(array, types.intp, lanes), codegen


def _part(builder: Any, pointer: Any, part: int, llvm_type: Any) -> Any:
    """Address of the value number ``part`` of a type from a pointer on."""
    return builder.gep(builder.bitcast(pointer, llvm_type.as_pointer()), [ir.Constant(ir.IntType(64), part)])


def _stored(array: Any, value: Vec) -> Any:
    """Signature and code of an intrinsic (array, offset, value) that writes a vector; a mask is packed in memory."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        for part, bits in enumerate(packed(context, builder, args[2]) if is_mask(value) else [args[2]]):
            done = builder.store(bits, _part(builder, pointer, part, bits.type))
            done.align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


def _reinterpreted(source: Any, target: Any, llvm_type: Any) -> Any:
    """Signature and code of an intrinsic that reads the bits of one type as another."""
    return target(source), lambda context, builder, sig, args: builder.bitcast(args[0], llvm_type)


@intrinsic
def load(typingctx: Any, array: Any, offset: Any, lanes: Any) -> Any:
    """Elements ``offset .. offset + lanes`` of a contiguous array."""
    n_lanes = _lane_count(lanes)
    if n_lanes is None:
        return None
    return _loaded(array, lanes, Vec(array.dtype, n_lanes))


@intrinsic
def store(typingctx: Any, array: Any, offset: Any, value: Any) -> Any:
    """Write a vector to ``array[offset : offset + lanes]``."""
    return _stored(array, value)


@intrinsic
def load_mask(typingctx: Any, words: Any, offset: Any, lanes: Any) -> Any:
    """``lanes`` packed bits that begin at ``words[offset]``, as a mask: lane r is bit r, little-endian."""
    n_lanes = _lane_count(lanes)
    if n_lanes is None:
        return None
    return _loaded(words, lanes, Vec(types.boolean, n_lanes))


@intrinsic
def store_mask(typingctx: Any, words: Any, offset: Any, mask: Any) -> Any:
    """Write a mask as packed bits that begin at ``words[offset]``."""
    return _stored(words, mask)


@intrinsic
def load_words(typingctx: Any, words: Any, offset: Any, lanes: Any) -> Any:
    """The uint64 words, from ``words[offset]`` on, that hold ``lanes`` packed bits."""
    n_lanes = _lane_count(lanes)
    if n_lanes is None:
        return None
    return _loaded(words, lanes, Vec(types.uint64, n_lanes // 64))


@intrinsic
def mask_to_words(typingctx: Any, mask: Any) -> Any:
    """A mask as uint64 words: lane r is bit r % 64 of word r // 64, little-endian."""
    if not is_mask(mask) or mask.lanes % 64:
        return None
    vec = Vec(types.uint64, mask.lanes // 64)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        parts = packed(context, builder, args[0])
        words = ir.Constant(ir.VectorType(parts[0].type, len(parts)), ir.Undefined)
        for number, bits in enumerate(parts):
            words = builder.insert_element(words, bits, ir.Constant(ir.IntType(32), number))
        return builder.bitcast(words, llvm_vector(vec))

    return vec(mask), codegen


@intrinsic
def words_to_mask(typingctx: Any, words: Any) -> Any:
    """The inverse of ``mask_to_words``."""
    if not (isinstance(words, Vec) and words.elem == types.uint64):
        return None
    mask = Vec(types.boolean, 64 * words.lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return mask_of(context, builder, args[0], mask.lanes)

    return mask(words), codegen


@intrinsic
def mask_to_word(typingctx: Any, mask: Any) -> Any:
    """A mask of 64 lanes as one uint64; bit r is lane r."""
    if not is_mask(mask) or mask.lanes != 64:
        return None
    return _reinterpreted(mask, types.uint64, ir.IntType(64))


@intrinsic
def word_to_mask(typingctx: Any, word: Any) -> Any:
    """A uint64 as a mask of 64 lanes."""
    vec = Vec(types.boolean, 64)
    return _reinterpreted(types.uint64, vec, llvm_vector(vec))


@intrinsic
def any_set(typingctx: Any, value: Any) -> Any:
    """Whether any bit of a vector of integers is set."""
    if not (isinstance(value, Vec) and isinstance(value.elem, types.Integer)):
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        is_set = builder.icmp_unsigned("!=", args[0], ir.Constant(llvm_vector(value), None))
        bits = reduce(builder.or_, packed(context, builder, is_set))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(value), codegen


@intrinsic
def splat(typingctx: Any, scalar: Any, lanes: Any) -> Any:
    """A vector with ``scalar`` in every lane; its element type is the scalar's."""
    n_lanes = _lane_count(lanes)
    if n_lanes is None:
        return None
    vec = Vec(types.unliteral(scalar), n_lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return broadcast(builder, args[0], vec.lanes)

    return vec(vec.elem, lanes), codegen


@intrinsic
def zeros(typingctx: Any, like: Any, lanes: Any) -> Any:
    """A vector of zeros of the element type of the array ``like``."""
    n_lanes = _lane_count(lanes)
    if n_lanes is None:
        return None
    vec = Vec(like.dtype, n_lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(llvm_vector(vec), None)

    return vec(like, lanes), codegen


@intrinsic
def select(typingctx: Any, mask: Any, chosen: Any, otherwise: Any) -> Any:
    """Per lane ``chosen`` where the mask is set, else ``otherwise``; both of one vector type."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(*args)

    return chosen(mask, chosen, otherwise), codegen


def _convert(builder: Any, value: Any, source: Vec, target: Vec) -> Any:
    into = llvm_vector(target)
    if is_float(source) and is_float(target):
        if source.elem == target.elem:
            return value
        return builder.fpext(value, into) if target.elem == types.float64 else builder.fptrunc(value, into)
    if is_float(source):
        if target.elem.bitwidth >= 32:
            return builder.fptosi(value, into)
        # through int32: LLVM has no good lowering of float to int8
        wide = builder.fptosi(value, ir.VectorType(ir.IntType(32), target.lanes))
        return builder.trunc(wide, into)
    if is_float(target):
        return (builder.sitofp if is_signed(source) else builder.uitofp)(value, into)
    width, wanted = source.elem.bitwidth, target.elem.bitwidth
    if width == wanted:
        return value
    if width > wanted:
        return builder.trunc(value, into)
    return (builder.sext if is_signed(source) else builder.zext)(value, into)


@intrinsic
def at_most(typingctx: Any, value: Any, limit: Any) -> Any:
    """Mask of lanes where ``value`` <= the float32 ``limit``, compared as float64 if ``value`` is, else as float32."""
    common = Vec(types.float64 if value.elem == types.float64 else types.float32, value.lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        left = _convert(builder, args[0], value, common)
        return builder.fcmp_ordered("<=", left, _convert(builder, args[1], limit, common))

    return Vec(types.boolean, value.lanes)(value, limit), codegen


@intrinsic
def convert(typingctx: Any, value: Any, like: Any) -> Any:
    """A vector's values in the element type of the array ``like``; floats are truncated towards zero."""
    target = Vec(like.dtype, value.lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _convert(builder, args[0], value, target)

    return target(value, like), codegen


@intrinsic
def to_float32(typingctx: Any, value: Any) -> Any:
    """A vector's values as float32, rounded to nearest."""
    target = Vec(types.float32, value.lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _convert(builder, args[0], value, target)

    return target(value), codegen


def _bits_as(elem: Any) -> Any:
    def typing(typingctx: Any, value: Any) -> Any:
        target = Vec(elem, value.lanes)
        return _reinterpreted(value, target, llvm_vector(target))

    typing.__name__ = f"bits_as_{elem}"
    typing.__doc__ = f"A vector's bits read as {elem} of the same width."
    return intrinsic(typing)


bits_as_uint32 = _bits_as(types.uint32)
bits_as_float32 = _bits_as(types.float32)


@intrinsic
def trailing_zeros(typingctx: Any, word: Any) -> Any:
    """Index of the lowest set bit of a uint64 that is not 0."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), codegen
