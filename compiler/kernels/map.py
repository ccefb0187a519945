"""`map`: any scalar expression over up to four inputs.

A quantized operand (int8 or uint8) stands for real numbers: it is dequantized to float32 before the expression, or
quantized after it. Kernels give the bytes of the numpy reference: no operations are fused, and the functions are those
of `compiler/ir/elementary.py` there too.
A float16 operand is converted likewise, unless one operation of float16 gives the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..ir.evaluation import fold
from ..ir.expr import Call, Expr, In, walk
from ..ir.expr_text import to_text
from ..ir.types import LARGEST_HALF
from .elementwise import Cursor, Rows, Stream, elementwise, params, suffix
from .emit import halves
from .emit.builder import Builder, Value, bitcast, cast, const, define, splat
from .emit.floating import llvm_float
from .emit.isa import Isa
from .emit.naming import SHORT, digest
from .emit.quantization import dequantize, quantization_names, quantize
from .emit.scalar import convert, emit

MAX_INPUTS = 4

OPERANDS = ("x0", "x1", "x2", "x3", "y")

VECTORS = 2
"""Of the ISA, in the vector that rows are walked by."""

HALVES_TOGETHER = 2
"""Vectors of one operation of float16, next to which the loop itself would take long."""

DTYPES = tuple(SHORT)
"""The element types that these kernels know."""


@dataclass(frozen=True)
class MapOperand:
    """`dense`: the elements of a row lie one after the other; otherwise a row repeats one element."""

    dtype: str
    quantized: bool = False
    dense: bool = True

    @property
    def code(self) -> str:
        """`qs8`, `f32`, `f32b` (broadcast) ..."""
        kind = ("q" if self.quantized else "") + SHORT[self.dtype]
        return kind + ("" if self.dense else "b")


@dataclass(frozen=True)
class MapSpec:
    """`expr` over `inputs`, and behind them over numbers that are float32 parameters. Parameters: the iteration space
    and strides (`elementwise.params`), scale (float32) and zero point of each quantized operand, those numbers.
    `multiplied`: the output is quantized, and so without divisions (`quantization.quantize`)."""

    expr: Expr
    inputs: tuple[MapOperand, ...]
    output: MapOperand
    rows: Rows = "any"
    multiplied: bool = False

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        inputs = "_".join(o.code for o in self.inputs)
        name = f"map_{inputs}_{self.output.code}_{digest(to_text(self.expr))}"
        return name + "_multiplied" * self.multiplied + suffix(self.rows)

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        named = [*zip(OPERANDS, self.inputs, strict=False), ("y", self.output)]
        quantization = tuple(
            parameter
            for name, operand in named
            if operand.quantized
            for parameter in quantization_names(name, multiplied=self.multiplied and name == "y")
        )
        return params([*self.streams, self.target]) + quantization + self.numbers

    @property
    def numbers(self) -> tuple[str, ...]:
        """Parameters that the expression reads."""
        found = {part.index for part in walk(self.expr) if isinstance(part, In)}
        return tuple(f"number_{i}" for i in sorted(found) if i >= len(self.inputs))

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The inputs as they are walked."""
        return tuple(_stream(name, o) for name, o in zip(OPERANDS, self.inputs, strict=False))

    @property
    def target(self) -> Stream:
        """The output as it is walked."""
        return _stream("y", self.output)


def _stream(name: str, operand: MapOperand) -> Stream:
    return Stream(name, "int8" if operand.dtype == "bool" else operand.dtype, operand.dense)


def build(spec: MapSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`. ValueError where an operation has no code for its type."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec, isa))


def _body(b: Builder, spec: MapSpec, isa: Isa) -> None:
    lanes, expr = isa.lanes, fold(spec.expr)
    if isa.computes_halves and _is_one_of_halves(spec, expr):
        _halves_body(b, spec, expr, VECTORS * lanes)
        return
    numbers = [splat(b.param_float(name), lanes) for name in spec.numbers]

    def body(inputs: Sequence[Cursor], output: Cursor) -> None:
        loaded = [_load(b, isa, cursor, o) for cursor, o in zip(inputs, spec.inputs, strict=True)]
        computed = spec.output.dtype if not spec.output.quantized else "float32"
        parts = [
            emit(expr, [*(pair[half] for pair in loaded), *numbers], halves.computed(computed), lanes)
            for half in range(2)
        ]
        if spec.output.quantized:
            codes = quantize(b, isa, "y", (parts[0], parts[1]), multiplied=spec.multiplied)
            output.store(0, codes if spec.output.dtype == "int8" else codes ^ const(-128, "int8", 2 * lanes), 2 * lanes)
            return
        for half, value in enumerate(parts):
            output.store(half * lanes, _stored(isa, value, spec.output.dtype, lanes), lanes)

    elementwise(b, VECTORS * lanes, spec.streams, spec.target, spec.rows, body)


def _is_one_of_halves(spec: MapSpec, expr: Expr) -> bool:
    """Whether it is one operation of float16: the same in float32 and then rounded again, which has more than twice as
    many digits."""
    if spec.numbers or any(operand.dtype != "float16" for operand in (*spec.inputs, spec.output)):
        return False
    single = isinstance(expr, Call) and expr.fn in ("add", "sub", "mul")
    return single and all(isinstance(part, In) for part in list(walk(expr))[1:])


def _halves_body(b: Builder, spec: MapSpec, expr: Expr, width: int) -> None:
    """A vector of `width` float16 at a time; what is beyond the largest is the largest."""

    def body(inputs: Sequence[Cursor], output: Cursor) -> None:
        value = emit(expr, [b.let(cursor.load(0, width)) for cursor in inputs], "float16", width)
        for name, bound in (("minimum", LARGEST_HALF), ("maximum", -LARGEST_HALF)):
            value = llvm_float(name, width, value, const(bound, "float16", width))
        output.store(0, value, width)

    elementwise(b, width, spec.streams, spec.target, spec.rows, body, HALVES_TOGETHER)


def _load(b: Builder, isa: Isa, cursor: Cursor, operand: MapOperand) -> tuple[Value, Value]:
    """Two vectors of `lanes` elements, as the expression sees them."""
    lanes = isa.lanes
    if operand.quantized:
        codes = cursor.load(0, 2 * lanes)
        if operand.dtype == "uint8":
            codes = bitcast(codes, "int8", 2 * lanes) ^ const(-128, "int8", 2 * lanes)
        return dequantize(b, isa, cursor.stream.name, b.let(codes))
    low, high = (b.let(cursor.load(half * lanes, lanes)) for half in range(2))
    if operand.dtype == "bool":
        return convert(low, "bool", lanes), convert(high, "bool", lanes)
    if operand.dtype == "float16":
        return b.let(cast(low, "float32", lanes)), b.let(cast(high, "float32", lanes))
    return low, high


def _stored(isa: Isa, value: Value, dtype: str, lanes: int) -> Value:
    if dtype == "float16":
        return halves.narrowed(isa, value, lanes)
    return convert(value, "int8", lanes) if dtype == "bool" else value
