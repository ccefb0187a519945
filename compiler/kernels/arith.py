"""Sum and product of two int8 tensors: `map add` and `map mul` of the arithmetic contract.

The sum is the fixed-point one of the residual epilogue; the product has a float multiplier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .builder import Builder, Value, define
from .elementwise import Cursor, Rows, Stream, elementwise, params, suffix
from .epilogue import RESIDUAL_EPILOGUE
from .isa import Isa
from .quantization import fixed_point_add, requantize, splat16, splat_float
from .tir import tirx

OPERANDS = ("a", "b", "y")

VECTORS = 2
"""Of the ISA, in the vector that rows are walked by."""

PRODUCT = ("a_zero_point", "b_zero_point", "multiplier", "zero_point", "low", "high")


@dataclass(frozen=True)
class ArithSpec:
    """`b_dense`: b has an element for each element of a row (a tensor, or a vector of channels whose rows all begin
    at the same place); otherwise one for the whole row. `b` may be constant or computed."""

    kind: Literal["add", "mul"]
    b_dense: bool = True
    rows: Rows = "any"

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return f"qs8_v{self.kind}" + ("" if self.b_dense else "c") + suffix(self.rows)

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        return params([*_inputs(self), _Y]) + (RESIDUAL_EPILOGUE if self.kind == "add" else PRODUCT)


_Y = Stream("y", "int8")


def _inputs(spec: ArithSpec) -> tuple[Stream, Stream]:
    return Stream("a", "int8"), Stream("b", "int8", spec.b_dense)


def build(spec: ArithSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec, isa))


def _body(b: Builder, spec: ArithSpec, isa: Isa) -> None:
    width = VECTORS * isa.lanes
    compute = fixed_point_add if spec.kind == "add" else _product

    def body(inputs: Sequence[Cursor], output: Cursor) -> None:
        x, y = (b.let(isa.widen16(cursor.load(0, width))) for cursor in inputs)
        output.store(0, isa.narrow8(compute(b, isa, x, y)), width)

    elementwise(b, width, _inputs(spec), _Y, spec.rows, body)


def _product(b: Builder, isa: Isa, x: Value, y: Value) -> Value:
    """saturate(rne(float32((a - za) * (b - zb)) * m) + zero_point), clamped: int16 x 2*lanes."""
    products = isa.multiply16(b.let(x - splat16(b, isa, "a_zero_point")), b.let(y - splat16(b, isa, "b_zero_point")))
    total = requantize(isa, products, [splat_float(b, isa, "multiplier")] * 2, splat16(b, isa, "zero_point"))
    return tirx.max(tirx.min(total, splat16(b, isa, "high")), splat16(b, isa, "low"))
