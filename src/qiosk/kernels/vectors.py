"""The SIMD vector type of the kernels, and its operators.

How code is generated: Numba asks a typing template for the type of an expression (``generic``), then calls a lowering
function that appends LLVM instructions to the function being compiled. Here ``_register`` does both for one operator.
LLVM chooses registers and instructions of the machine, and splits vectors that are wider than its registers.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

from llvmlite import ir
from numba.core import types as numba_types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

# Numba's own annotations do not describe the scalar types' attributes
types: Any = numba_types

WORD = 64
"""Lanes of a mask that one integer holds where the machine has no registers for masks."""

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


def llvm_vector(vec: Vec) -> Any:
    """The LLVM type of a vector."""
    return ir.VectorType(_llvm_scalar(vec.elem), vec.lanes)


@register_model(Vec)
class _VecModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Vec) -> None:
        super().__init__(dmm, fe_type, llvm_vector(fe_type))


def is_float(vec: Vec) -> bool:
    """Whether the elements are floats."""
    return isinstance(vec.elem, types.Float)


def is_signed(vec: Vec) -> bool:
    """Whether the elements are signed integers."""
    return isinstance(vec.elem, types.Integer) and bool(vec.elem.signed)


def is_mask(value: Any) -> bool:
    """Whether it is the type of a mask: a vector of booleans."""
    return isinstance(value, Vec) and value.elem == types.boolean


def packed_types(context: Any, lanes: int) -> list[Any]:
    """The LLVM integers that hold the bits of a mask: a single one, or words of 64 where it would be taken apart bit
    by bit, since the machine has no registers for masks.
    """
    width = lanes if has_mask_registers(context) else min(lanes, WORD)
    return [ir.IntType(width)] * (lanes // width)


def unpacked(context: Any, builder: Any, integers: list[Any]) -> Any:
    """The mask whose bits these integers hold."""
    masks = [mask_of(context, builder, bits, bits.type.width) for bits in integers]
    while len(masks) > 1:  # a power of two
        pairs = zip(masks[::2], masks[1::2], strict=True)
        masks = [_shuffled(builder, left, right, range(2 * left.type.count)) for left, right in pairs]
    return masks[0]


def mask_of(context: Any, builder: Any, bits: Any, lanes: int) -> Any:
    """The mask of the bits of an integer or of a vector of integers."""
    if has_mask_registers(context) or lanes % 8:
        return builder.bitcast(bits, ir.VectorType(ir.IntType(1), lanes))
    # every lane gets the byte that holds its bit, and looks at that bit
    octets = builder.bitcast(bits, ir.VectorType(ir.IntType(8), lanes // 8))
    own = _shuffled(builder, octets, octets, [lane // 8 for lane in range(lanes)])
    bit = ir.Constant(own.type, [1 << lane % 8 for lane in range(lanes)])
    return builder.icmp_unsigned("==", builder.and_(own, bit), bit)


def packed(context: Any, builder: Any, mask: Any) -> list[Any]:
    """The bits of a mask in integers: the inverse of ``unpacked``."""
    parts, first = [], 0
    for bits in packed_types(context, mask.type.count):
        part = _shuffled(builder, mask, mask, range(first, first + bits.width))
        parts.append(builder.bitcast(part, bits))
        first += bits.width
    return parts


def has_mask_registers(context: Any) -> bool:
    """Whether the machine that is compiled for has registers with a bit for each lane, as AVX-512 has."""
    return "+avx512bw" in context.codegen().magic_tuple()[2]


def _shuffled(builder: Any, left: Any, right: Any, lanes: Iterable[int]) -> Any:
    """The vector of these lanes of two vectors, of which the second one's follow the first one's."""
    wanted = list(lanes)
    return builder.shuffle_vector(left, right, ir.Constant(ir.VectorType(ir.IntType(32), len(wanted)), wanted))


def broadcast(builder: Any, scalar: Any, lanes: int) -> Any:
    """A vector with a scalar in every lane."""
    undefined = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return _shuffled(builder, first, undefined, [0] * lanes)


def _operands(builder: Any, vec: Vec, args: Any) -> list[Any]:
    """Both operands as LLVM vectors; scalars were already converted to the element type by the signature."""
    return [x if isinstance(x.type, ir.VectorType) else broadcast(builder, x, vec.lanes) for x in args]


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
        return getattr(builder, for_float if is_float(vec) else for_int)(left, right)

    return emit


def _comparison(symbol: str) -> _Emit:
    def emit(builder: Any, vec: Vec, left: Any, right: Any) -> Any:
        if is_float(vec):
            return builder.fcmp_ordered(symbol, left, right)
        return (builder.icmp_signed if is_signed(vec) else builder.icmp_unsigned)(symbol, left, right)

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
    _register(operator.rshift, _same, lambda b, vec, x, y: (b.ashr if is_signed(vec) else b.lshr)(x, y))


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
