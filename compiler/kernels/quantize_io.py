"""A user's planar picture (float32 or uint8, [channels, height, width]) -> int8 channels-last pixels in one pass.

For 2 to 4 channels; with one, planes and pixels are the same (`map`), with more, `copy` transposes. A tile is one row
of pixels. Nothing outside the picture is read.
"""

from dataclasses import dataclass

from .emit.builder import Builder, Value, const, define, i64, shuffle, splat
from .emit.isa import Isa
from .emit.quantization import quantization_names, quantize
from .emit.tir import tirx

OPERANDS = ("x", "y")


@dataclass(frozen=True)
class QuantizeIoSpec:
    """float32: q(x), `multiplied` as in `quantization.quantize`; uint8: the zero point moves by
    128, so the code does too."""

    dtype: str
    channels: int
    multiplied: bool = False

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return (
            {"float32": "f32_qs8", "uint8": "u8_s8"}[self.dtype]
            + f"_interleave{self.channels}"
            + "_multiplied" * self.multiplied
        )

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        quantization = quantization_names("y", multiplied=self.multiplied) if self.dtype == "float32" else ()
        return ("width", "x_plane", "x_row", "y_row", *quantization)


def build(spec: QuantizeIoSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec, isa))


def _body(b: Builder, spec: QuantizeIoSpec, isa: Isa) -> None:
    y, width, pixels = b.pointer("y"), b.param("width"), 2 * isa.lanes
    size = 4 if spec.dtype == "float32" else 1
    with b.tiles() as row:
        x_row, y_row = b.let(row * b.param("x_row")), b.let(row * b.param("y_row"))
        with b.when(width >= pixels), b.range(0, tirx.truncdiv(width + (pixels - 1), i64(pixels))) as i:
            at = b.let(tirx.min(i * pixels, width - pixels))
            planes = [b.let(x_row + b.param("x_plane") * c + at * size) for c in range(spec.channels)]
            y.store(y_row + at * spec.channels, _merged(b, spec, isa, planes), "int8", pixels * spec.channels)
        with b.when(width < pixels), b.range(0, width) as i:
            for c in range(spec.channels):
                code = _single(b, spec, isa, b.let(x_row + b.param("x_plane") * c + i * size))
                y.store(y_row + i * spec.channels + c, code, "int8")


def _merged(b: Builder, spec: QuantizeIoSpec, isa: Isa, planes: list[Value]) -> Value:
    """2*lanes pixels' channels, in the order of memory."""
    pixels = 2 * isa.lanes
    codes = [b.let(_codes(b, spec, isa, plane)) for plane in planes]
    return shuffle(codes, [c * pixels + p for p in range(pixels) for c in range(spec.channels)])


def _codes(b: Builder, spec: QuantizeIoSpec, isa: Isa, offset: Value) -> Value:
    """2*lanes elements of a plane."""
    x, lanes = b.pointer("x"), isa.lanes
    if spec.dtype == "uint8":
        return x.load(offset, "int8", 2 * lanes) ^ const(-128, "int8", 2 * lanes)
    low, high = (x.load(offset + half * 4 * lanes, "float32", lanes) for half in range(2))
    return quantize(b, isa, "y", (low, high), multiplied=spec.multiplied)


def _single(b: Builder, spec: QuantizeIoSpec, isa: Isa, offset: Value) -> Value:
    """One element, through the vector path with all lanes the same."""
    x, lanes = b.pointer("x"), isa.lanes
    if spec.dtype == "uint8":
        return x.load(offset, "int8") ^ const(-128, "int8")
    scratch, value = b.stack(2 * lanes), b.let(splat(x.load(offset, "float32"), lanes))
    scratch.store(i64(0), quantize(b, isa, "y", (value, value), multiplied=spec.multiplied), "int8", 2 * lanes)
    return scratch.load(i64(0), "int8")
