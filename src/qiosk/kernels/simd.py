"""An explicit SIMD vector type for Numba.

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

import operator
from collections.abc import Callable
from typing import Any

import numba.extending
from llvmlite import ir
from numba.core import types as numba_types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

# Numba's own annotations describe neither the scalar types' attributes nor how an intrinsic is called
types: Any = numba_types
intrinsic: Any = numba.extending.intrinsic


_Emit = Callable[[Any, "Vec", Any, Any], Any]
"""emit(builder, vec, left, right)"""


class Vec(numba_types.Type):
    """``lanes`` elements of the Numba scalar type ``elem`` (boolean, an integer, float32 or float64)."""

    def __init__(self, elem: Any, lanes: int) -> None:
        self.elem = elem
        self.lanes = lanes
        super().__init__(name=f"Vec({elem}, {lanes})")

    @property
    def key(self) -> tuple[Any, int]:
        """What makes two vector types equal."""
        return self.elem, self.lanes


def _llvm_scalar(elem: Any) -> Any:
    if elem == types.boolean:
        return ir.IntType(1)
    if isinstance(elem, types.Integer):
        return ir.IntType(elem.bitwidth)
    return {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}[elem]


def _llvm_vector(vec: Vec) -> Any:
    return ir.VectorType(_llvm_scalar(vec.elem), vec.lanes)


@register_model(Vec)
class _VecModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Vec) -> None:
        super().__init__(dmm, fe_type, _llvm_vector(fe_type))


def _is_float(vec: Vec) -> bool:
    return isinstance(vec.elem, types.Float)


def _is_signed(vec: Vec) -> bool:
    return isinstance(vec.elem, types.Integer) and bool(vec.elem.signed)


def _broadcast(builder: Any, scalar: Any, lanes: int) -> Any:
    i32 = ir.IntType(32)
    undefined = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(i32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(i32, lanes), [0] * lanes))


def _operands(builder: Any, vec: Vec, args: Any) -> list[Any]:
    """Both operands as LLVM vectors; scalars were already converted to the element type by the signature."""
    return [x if isinstance(x.type, ir.VectorType) else _broadcast(builder, x, vec.lanes) for x in args]


def _vector_operand(args: Any) -> Vec | None:
    """The vector type of an operation between vectors, or a vector and a scalar; None if there is none."""
    if len(args) != 2:
        return None
    left, right = args
    if isinstance(left, Vec):
        return left if left == right or isinstance(right, types.Number) else None
    return right if isinstance(right, Vec) and isinstance(left, types.Number) else None


def _register(op: Any, result: Callable[[Vec], Vec], emit: _Emit) -> None:
    """Teach Numba a binary operator: its types, and the LLVM instruction that ``emit`` appends."""

    @infer_global(op)
    class _Typing(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            vec = _vector_operand(args)
            if vec is None:
                return None
            return signature(result(vec), *[a if isinstance(a, Vec) else vec.elem for a in args])

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vec = next(a for a in sig.args if isinstance(a, Vec))
        return emit(builder, vec, *_operands(builder, vec, args))

    for left, right in ((Vec, Vec), (Vec, types.Number), (types.Number, Vec)):
        lower_builtin(op, left, right)(lower)


def _same(vec: Vec) -> Vec:
    return vec


def _instruction(for_int: str, for_float: str) -> _Emit:
    def emit(builder: Any, vec: Vec, left: Any, right: Any) -> Any:
        return getattr(builder, for_float if _is_float(vec) else for_int)(left, right)

    return emit


def _comparison(symbol: str) -> _Emit:
    def emit(builder: Any, vec: Vec, left: Any, right: Any) -> Any:
        if _is_float(vec):
            return builder.fcmp_ordered(symbol, left, right)
        return (builder.icmp_signed if _is_signed(vec) else builder.icmp_unsigned)(symbol, left, right)

    return emit


def _register_arithmetic() -> None:
    integer_and_float = {
        operator.add: ("add", "fadd"),
        operator.sub: ("sub", "fsub"),
        operator.mul: ("mul", "fmul"),
    }
    for op, (for_int, for_float) in integer_and_float.items():
        _register(op, _same, _instruction(for_int, for_float))
    bitwise = {operator.and_: "and_", operator.or_: "or_", operator.xor: "xor", operator.lshift: "shl"}
    for op, name in bitwise.items():
        _register(op, _same, _instruction(name, ""))
    _register(operator.rshift, _same, lambda b, vec, x, y: (b.ashr if _is_signed(vec) else b.lshr)(x, y))


def _register_comparisons() -> None:
    for op, symbol in {
        operator.lt: "<",
        operator.le: "<=",
        operator.gt: ">",
        operator.ge: ">=",
        operator.eq: "==",
        operator.ne: "!=",
    }.items():
        _register(op, lambda vec: Vec(types.boolean, vec.lanes), _comparison(symbol))


def _register_invert() -> None:
    @infer_global(operator.invert)
    class _Typing(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            return signature(args[0], args[0]) if len(args) == 1 and isinstance(args[0], Vec) else None

    @lower_builtin(operator.invert, Vec)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.not_(args[0])


_register_arithmetic()
_register_comparisons()
_register_invert()


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


def _lane_count(lanes: Any) -> int | None:
    """Where an intrinsic takes ``lanes``: a constant, or any vector that has as many."""
    if isinstance(lanes, types.IntegerLiteral):
        return int(lanes.literal_value)
    return lanes.lanes if isinstance(lanes, Vec) else None


@intrinsic
def load(typingctx: Any, array: Any, offset: Any, lanes: Any) -> Any:
    """Elements ``offset .. offset + lanes`` of a contiguous array."""
    n_lanes = _lane_count(lanes)
    if n_lanes is None:
        return None
    vec = Vec(array.dtype, n_lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        value = builder.load(builder.bitcast(pointer, _llvm_vector(vec).as_pointer()))
        value.align = array.dtype.bitwidth // 8  # arrays need not be aligned to the vector
        return value

    return vec(array, types.intp, lanes), codegen


@intrinsic
def store(typingctx: Any, array: Any, offset: Any, value: Any) -> Any:
    """Write a vector to ``array[offset : offset + lanes]``."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        done = builder.store(args[2], builder.bitcast(pointer, _llvm_vector(value).as_pointer()))
        done.align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic
def load_mask(typingctx: Any, words: Any, offset: Any, lanes: Any) -> Any:
    """``lanes`` packed bits that begin at ``words[offset]``, as a mask: lane r is bit r, little-endian."""
    n_lanes = _lane_count(lanes)
    if n_lanes is None:
        return None
    vec = Vec(types.boolean, n_lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        packed = ir.IntType(vec.lanes)
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        value = builder.load(builder.bitcast(pointer, packed.as_pointer()))
        value.align = words.dtype.bitwidth // 8
        return builder.bitcast(value, _llvm_vector(vec))

    return vec(words, types.intp, lanes), codegen


@intrinsic
def store_mask(typingctx: Any, words: Any, offset: Any, mask: Any) -> Any:
    """Write a mask as packed bits that begin at ``words[offset]``."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        packed = ir.IntType(mask.lanes)
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        done = builder.store(builder.bitcast(args[2], packed), builder.bitcast(pointer, packed.as_pointer()))
        done.align = words.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(words, types.intp, mask), codegen


@intrinsic
def load_words(typingctx: Any, words: Any, offset: Any, lanes: Any) -> Any:
    """The uint64 words, from ``words[offset]`` on, that hold ``lanes`` packed bits."""
    n_lanes = _lane_count(lanes)
    if n_lanes is None:
        return None
    vec = Vec(types.uint64, n_lanes // 64)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        value = builder.load(builder.bitcast(pointer, _llvm_vector(vec).as_pointer()))
        value.align = words.dtype.bitwidth // 8
        return value

    return vec(words, types.intp, lanes), codegen


@intrinsic
def mask_to_words(typingctx: Any, mask: Any) -> Any:
    """A mask as uint64 words: lane r is bit r % 64 of word r // 64, little-endian."""
    if not (isinstance(mask, Vec) and mask.elem == types.boolean and mask.lanes % 64 == 0):
        return None
    vec = Vec(types.uint64, mask.lanes // 64)
    return vec(mask), lambda context, builder, sig, args: builder.bitcast(args[0], _llvm_vector(vec))


@intrinsic
def words_to_mask(typingctx: Any, words: Any) -> Any:
    """The inverse of ``mask_to_words``."""
    if not (isinstance(words, Vec) and words.elem == types.uint64):
        return None
    vec = Vec(types.boolean, 64 * words.lanes)
    return vec(words), lambda context, builder, sig, args: builder.bitcast(args[0], _llvm_vector(vec))


@intrinsic
def mask_to_word(typingctx: Any, mask: Any) -> Any:
    """A mask of 64 lanes as one uint64; bit r is lane r."""
    if not (isinstance(mask, Vec) and mask.elem == types.boolean and mask.lanes == 64):
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.uint64(mask), codegen


@intrinsic
def any_set(typingctx: Any, value: Any) -> Any:
    """Whether any bit of a vector of integers is set."""
    if not (isinstance(value, Vec) and isinstance(value.elem, types.Integer)):
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        is_set = builder.icmp_unsigned("!=", args[0], ir.Constant(_llvm_vector(value), None))
        packed = ir.IntType(value.lanes)
        return builder.icmp_unsigned("!=", builder.bitcast(is_set, packed), ir.Constant(packed, 0))

    return types.boolean(value), codegen


@intrinsic
def word_to_mask(typingctx: Any, word: Any) -> Any:
    """A uint64 as a mask of 64 lanes."""
    vec = Vec(types.boolean, 64)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _llvm_vector(vec))

    return vec(types.uint64), codegen


@intrinsic
def splat(typingctx: Any, scalar: Any, lanes: Any) -> Any:
    """A vector with ``scalar`` in every lane; its element type is the scalar's."""
    n_lanes = _lane_count(lanes)
    if n_lanes is None:
        return None
    vec = Vec(types.unliteral(scalar), n_lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _broadcast(builder, args[0], vec.lanes)

    return vec(vec.elem, lanes), codegen


@intrinsic
def zeros(typingctx: Any, like: Any, lanes: Any) -> Any:
    """A vector of zeros of the element type of the array ``like``."""
    n_lanes = _lane_count(lanes)
    if n_lanes is None:
        return None
    vec = Vec(like.dtype, n_lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(_llvm_vector(vec), None)

    return vec(like, lanes), codegen


@intrinsic
def select(typingctx: Any, mask: Any, chosen: Any, otherwise: Any) -> Any:
    """Per lane ``chosen`` where the mask is set, else ``otherwise``; both of one vector type."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(*args)

    return chosen(mask, chosen, otherwise), codegen


def _convert(builder: Any, value: Any, source: Vec, target: Vec) -> Any:
    into = _llvm_vector(target)
    if _is_float(source) and _is_float(target):
        if source.elem == target.elem:
            return value
        return builder.fpext(value, into) if target.elem == types.float64 else builder.fptrunc(value, into)
    if _is_float(source):
        if target.elem.bitwidth >= 32:
            return builder.fptosi(value, into)
        # through int32: LLVM has no good lowering of float to int8
        wide = builder.fptosi(value, ir.VectorType(ir.IntType(32), target.lanes))
        return builder.trunc(wide, into)
    if _is_float(target):
        return (builder.sitofp if _is_signed(source) else builder.uitofp)(value, into)
    width, wanted = source.elem.bitwidth, target.elem.bitwidth
    if width == wanted:
        return value
    if width > wanted:
        return builder.trunc(value, into)
    return (builder.sext if _is_signed(source) else builder.zext)(value, into)


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


def _reinterpretation(elem: Any, name: str) -> Any:
    def typing(typingctx: Any, value: Any) -> Any:
        target = Vec(elem, value.lanes)

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.bitcast(args[0], _llvm_vector(target))

        return target(value), codegen

    typing.__name__ = name
    typing.__doc__ = f"A vector's bits read as {elem} of the same width."
    return intrinsic(typing)


bits_as_uint32 = _reinterpretation(types.uint32, "bits_as_uint32")
bits_as_float32 = _reinterpretation(types.float32, "bits_as_float32")


@intrinsic
def trailing_zeros(typingctx: Any, word: Any) -> Any:
    """Index of the lowest set bit of a uint64 that is not 0."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), codegen
