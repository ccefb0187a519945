"""`max_pool2d` and `avg_pool2d` over channels-last planes. A tile is one output row.

A window is clipped to the plane, so padding needs no memory and never wins. Averages are sums times a multiplier that
depends on how many elements the window counts: `w` holds a float32 multiplier for each count from 0 to the kernel's
area (all the same when padding counts).

Where there are fewer channels than a vector has lanes, up to 31 bytes behind the input may be read.
"""

from dataclasses import dataclass
from typing import Literal

from .emit.blocks import channel_blocks, store_channels
from .emit.builder import BITS, Builder, Value, define, i64, splat
from .emit.halves import store
from .emit.isa import Isa
from .emit.naming import SHORT
from .emit.quantization import requantize, splat16
from .emit.tir import tirx
from .emit.window import Window, fold, int8_sums

OPERANDS = ("x", "w", "y")

PARAMS = (
    "in_height", "in_width", "x_row", "x_pixel", "out_width", "y_row", "y_pixel", "channels",
    "kernel_y", "kernel_x", "stride_y", "stride_x", "pad_y", "pad_x",
)  # fmt: skip
_DILATION = ("dilation_y", "dilation_x")
_QUANTIZED_AVERAGE = ("x_zero_point", "zero_point")


@dataclass(frozen=True)
class PoolSpec:
    """Which member of the family. `pad_y` and `pad_x` are the paddings above and at the left; those below and at the
    right follow from the number of output pixels."""

    kind: Literal["max", "avg"]
    dtype: str
    dilated: bool = False

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        prefix = "qs8" if self.dtype == "int8" and self.kind == "avg" else SHORT[self.dtype]
        return f"{prefix}_{self.kind}pool" + ("_dilated" if self.dilated else "")

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        quantized = _QUANTIZED_AVERAGE if self.kind == "avg" and self.dtype == "int8" else ()
        return PARAMS + (_DILATION if self.dilated else ()) + quantized


def build(spec: PoolSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _Pool(b, spec, isa).body())


class _Pool:
    def __init__(self, b: Builder, spec: PoolSpec, isa: Isa) -> None:
        self.b, self.spec, self.isa = b, spec, isa
        self.size = BITS[spec.dtype] // 8
        self.lanes = 2 * isa.lanes if spec.kind == "avg" and spec.dtype == "int8" else 4 * isa.lanes // self.size

    def body(self) -> None:
        b = self.b
        with b.tiles() as row:
            top, rows = self._span("y", "in_height", row)
            with b.range(0, b.param("out_width")) as column:
                left, columns = self._span("x", "in_width", column)
                start = b.let(top * b.param("x_row") + left * b.param("x_pixel"))
                target = b.let(row * b.param("y_row") + column * b.param("y_pixel"))
                self._pixel(start, rows, columns, target)

    def _span(self, axis: str, extent: str, index: Value) -> tuple[Value, Value]:
        """(first element, number of elements) of a window along an axis, inside the plane."""
        b = self.b
        start = b.let(index * b.param(f"stride_{axis}") - b.param(f"pad_{axis}"))
        first, last = tirx.max(-start, i64(0)), b.param(extent) - start
        if self.spec.dilated:
            step = b.param(f"dilation_{axis}")
            first, last = tirx.truncdiv(first + step - 1, step), tirx.truncdiv(last + step - 1, step)
        first, last = b.let(first), b.let(tirx.min(last, b.param(f"kernel_{axis}")))
        skipped = first * b.param(f"dilation_{axis}") if self.spec.dilated else first
        return b.let(start + skipped), b.let(last - first)

    def _pixel(self, start: Value, rows: Value, columns: Value, target: Value) -> None:
        b, y = self.b, self.b.pointer("y")
        steps = [b.param("x_row"), b.param("x_pixel")]
        if self.spec.dilated:
            steps = [b.let(step * b.param(f"dilation_{axis}")) for step, axis in zip(steps, "yx", strict=True)]
        count = b.let(rows * columns)

        def block(channel: Value, vectors: int) -> None:
            window = Window(b.pointer("x"), b.let(start + channel * self.size), rows, columns, steps[0], steps[1])
            for v, value in enumerate(self._results(window, vectors, count)):
                offset = target + (channel + v * self.lanes) * self.size
                if vectors == 1:
                    store_channels(b, self.isa, y, offset, value, self.spec.dtype, self.lanes, b.param("channels"))
                else:
                    store(self.isa, y, offset, value, self.spec.dtype, self.lanes)

        channel_blocks(b, i64(0), b.param("channels"), b.param("channels"), self.lanes, block)

    def _results(self, window: Window, vectors: int, count: Value) -> list[Value]:
        b, isa, dtype = self.b, self.isa, self.spec.dtype
        if self.spec.kind == "max":
            lowest = -128 if dtype == "int8" else float("-inf")
            return fold(b, window, dtype, self.lanes, vectors, lowest, tirx.max)
        multiplier = b.let(
            splat(b.pointer("w").load(count * 4, "float32"), self.lanes if dtype != "int8" else isa.lanes)
        )
        if dtype != "int8":
            sums = fold(b, window, dtype, self.lanes, vectors, 0.0, lambda s, x: s + x)
            return [s * multiplier for s in sums]
        zero = b.let(splat(tirx.Cast("int32", count * b.param("x_zero_point")), isa.lanes))
        results = []
        for low, high in int8_sums(b, isa, window, vectors):
            sums16 = requantize(isa, (low - zero, high - zero), [multiplier] * 2, splat16(b, isa, "zero_point"))
            results.append(isa.narrow8(sums16))
        return results
