"""Sum and product of two int8 tensors: `map add` and `map mul` of the arithmetic contract.

The sum is the fixed-point one of the residual epilogue; the product has a float multiplier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..ir.extent import always_less, is_symbolic
from .convolutions.epilogue import RESIDUAL_EPILOGUE, SHIFTED_EPILOGUE
from .elementwise import Cursor, Rows, Stream, elementwise, params, suffix
from .emit.builder import Builder, Value, define, shuffle, splat
from .emit.isa import Isa
from .emit.quantization import (
    SumForm,
    fixed_point_sum,
    requantize,
    requantize_product,
    splat16,
    splat_float,
    within_sum_bounds,
    wrapping,
)
from .emit.tir import tirx

OPERANDS = ("a", "b", "y")

SUM = ("zero_point_a", *RESIDUAL_EPILOGUE)
SHIFTED_SUM = ("zero_point_a", *SHIFTED_EPILOGUE)
PRODUCT = ("a_zero_point", "b_zero_point", "multiplier", "zero_point", "low", "high")


@dataclass(frozen=True)
class ArithSpec:
    """`b_dense`: b has an element for each element of a row (a tensor, or a vector of channels whose rows all begin
    at the same place); otherwise one for the whole row. `b` may be constant or computed. `rows`: of vectors of
    `vectors * lanes` elements. `form`: as in `SumForm`, of products "any" or "small": before they saturate, results are
    less than 2^15 from the zero point, which saves conversions. `clamped`: they have bounds tighter than saturation."""

    kind: Literal["add", "mul"]
    b_dense: bool = True
    rows: Rows = "any"
    vectors: Literal[2, 4] = 2
    form: SumForm = "any"
    clamped: bool = True

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        words = [f"qs8_v{self.kind}" + ("" if self.b_dense else "c"), *["clamp"] * self.clamped]
        words += [self.form] * (self.form != "any") + ["wide"] * (self.vectors == 4)
        return "_".join(words) + suffix(self.rows)

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        return params([*_inputs(self), _Y]) + self._numbers

    @property
    def _numbers(self) -> tuple[str, ...]:
        if self.kind == "mul":
            return PRODUCT
        return SHIFTED_SUM if self.form == "shifted" else SUM


_Y = Stream("y", "int8")

MAX_VECTORS = 4
"""The most vectors of the ISA in one that rows are walked by."""

_WIDE = 16
"""Vectors of a row, from which on it is walked by wide ones: the last one of a row computes some elements twice, unless
they divide it."""


def vectors_of(count: int, lanes: int) -> Literal[2, 4]:
    """`ArithSpec.vectors` for rows of `count` elements."""
    divided = not is_symbolic(count) and count % (MAX_VECTORS * lanes) == 0
    return 4 if divided or always_less(_WIDE * lanes - 1, count) else 2


def _inputs(spec: ArithSpec) -> tuple[Stream, Stream]:
    return Stream("a", "int8"), Stream("b", "int8", spec.b_dense)


def build(spec: ArithSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec, isa))


def _body(b: Builder, spec: ArithSpec, isa: Isa) -> None:
    width, pair = spec.vectors * isa.lanes, 2 * isa.lanes

    def body(inputs: Sequence[Cursor], output: Cursor) -> None:
        loaded = [b.let(cursor.load(0, width)) for cursor in inputs]
        codes = []
        for first in range(0, width, pair):
            x, y = (b.let(isa.widen16(shuffle([v], range(first, first + pair)))) for v in loaded)
            codes.append(b.let(isa.narrow8(_result(b, spec, isa, x, y))))
        output.store(0, shuffle(codes, range(width)), width)

    elementwise(b, width, _inputs(spec), _Y, spec.rows, body)


def _result(b: Builder, spec: ArithSpec, isa: Isa, x: Value, y: Value) -> Value:
    """The sum, or saturate(rne(float32((a - za) * (b - zb)) * m) + zero_point), clamped: int16 x 2*lanes codes."""
    if spec.kind == "add":
        total = fixed_point_sum(b, isa, _totals(b, isa, spec, x, y), spec.form)
        return within_sum_bounds(b, isa, total) if spec.clamped else total
    products = isa.multiply16(b.let(x - splat16(b, isa, "a_zero_point")), b.let(y - splat16(b, isa, "b_zero_point")))
    multiplier, zero_point = splat_float(b, isa, "multiplier"), splat16(b, isa, "zero_point")
    if spec.form == "small":
        total = requantize_product(isa, products, multiplier, zero_point)
    else:
        total = requantize(isa, products, [multiplier] * 2, zero_point)
    return tirx.max(tirx.min(total, splat16(b, isa, "high")), splat16(b, isa, "low")) if spec.clamped else total


def _totals(b: Builder, isa: Isa, spec: ArithSpec, x: Value, y: Value) -> list[Value]:
    """The sum in steps, int32: a zero point makes no work where the products have been added. Modulo 2^32 where sums
    are shifted, as what they start from may be any number."""
    zeros, shifted = [b.param32(f"zero_point_{name}") for name in "ab"], spec.form == "shifted"
    multipliers = [b.param32(f"{'shifted' if shifted else 'multiplier'}_{name}") for name in "ab"]
    vectors = [list(isa.widen32(v)) for v in (x, y)]
    if shifted:
        zeros[1] = wrapping(zeros[1]) + wrapping(b.param32("start"))
        zeros[0], multipliers = wrapping(zeros[0]), [wrapping(m) for m in multipliers]
        vectors = [[wrapping(v) for v in operand] for operand in vectors]
    offset = b.let(sum(zero * m for zero, m in zip(zeros, multipliers, strict=True)))
    left, right = (splat(m, isa.lanes) for m in multipliers)
    return [cx * left + cy * right - splat(offset, isa.lanes) for cx, cy in zip(*vectors, strict=True)]
