"""`roi_align` of float32 with dense channels. A tile is one row of bins of one region: tiles = regions * out_height.

A bin's channels are summed up (or their maximum kept) in y, sample by sample.
"""

from dataclasses import dataclass

from .emit.builder import BITS, Builder, Register, Value, const, define, i64, intrinsic
from .emit.floating import fenced, fma
from .emit.isa import Isa
from .emit.tir import tirx

OPERANDS = ("x", "rois", "w", "y")


@dataclass(frozen=True)
class RoiAlignSpec:
    """`w` holds the number of each region's image. `samples` of 0: as many as a bin has pixels, at most `limit`;
    `least` is the least height and width of a region, `shift` what is subtracted from its coordinates."""

    mode: str
    index_dtype: str
    params: tuple[str, ...] = (
        "images", "height", "width", "channels", "x_image", "x_row", "x_pixel", "out_height", "out_width", "y_image",
        "y_row", "y_pixel", "scale", "shift", "least", "samples", "limit",
    )  # fmt: skip

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return f"f32_roi_align_{self.mode}_{self.index_dtype}"


def build(spec: RoiAlignSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _RoiAlign(b, spec).body())


@dataclass(frozen=True)
class _Line:
    """The bins of a region along one dimension: where they begin, how long one is, how many samples it has and how far
    these are apart."""

    begin: Value
    size: Value
    samples: Value
    step: Value


@dataclass(frozen=True)
class _Sample:
    """A position between two pixels: their offsets, and their weights (both 0 outside the image)."""

    low: Value
    high: Value
    low_weight: Value
    high_weight: Value


class _RoiAlign:
    def __init__(self, b: Builder, spec: RoiAlignSpec) -> None:
        self.b, self.spec = b, spec
        self.x, self.rois, self.w, self.y = (b.pointer(name) for name in OPERANDS)

    def body(self) -> None:
        b = self.b
        with b.tiles() as t:
            region, bin_row = (b.let(f(t, b.param("out_height"))) for f in (tirx.truncdiv, tirx.truncmod))
            size = BITS[self.spec.index_dtype] // 8
            number = i64(self.w.load(region * size, self.spec.index_dtype))
            number = b.let(tirx.max(tirx.min(number, b.param("images") - 1), i64(0)))
            image = b.let(number * b.param("x_image"))
            rows, columns = self._line(region, 1, "out_height"), self._line(region, 0, "out_width")
            with b.range(0, b.param("out_width")) as bin_column:
                target = b.let(region * b.param("y_image") + bin_row * b.param("y_row"))
                target = b.let(target + bin_column * b.param("y_pixel"))
                self._bin(image, target, (rows, columns), (bin_row, bin_column))

    def _line(self, region: Value, axis: int, bins: str) -> _Line:
        b = self.b
        begin, end = (
            b.let(fenced(1, self.rois.load(region * 16 + 4 * (axis + 2 * i), "float32") * b.param_float("scale")))
            for i in range(2)
        )
        begin, end = b.let(begin - b.param_float("shift")), b.let(end - b.param_float("shift"))
        length = tirx.max(end - begin, b.param_float("least"))
        size = b.let(length / _float(b.param(bins)))
        limit = b.let(_float(b.param("limit")))
        ceiling = intrinsic("llvm.ceil.f32", "float32", 1, size)
        own = i64(tirx.Cast("int32", b.let(tirx.max(tirx.min(ceiling, limit), const(0.0, "float32")))))
        samples = b.let(tirx.Select(b.param("samples") > 0, b.param("samples"), own))
        return _Line(begin, size, samples, b.let(size / _float(tirx.max(samples, i64(1)))))

    def _bin(self, image: Value, target: Value, lines: tuple[_Line, _Line], place: tuple[Value, Value]) -> None:
        b, (rows, columns) = self.b, lines
        zero, channels = b.let(const(0.0, "float32")), b.param("channels")
        with b.range(0, channels) as c:
            self.y.store(target + c * 4, zero, "float32")
        with b.range(0, rows.samples) as i:
            row = self._sample(rows, place[0], i, "height", "x_row")
            with b.range(0, columns.samples) as j:
                column = self._sample(columns, place[1], j, "width", "x_pixel")
                self._add(image, target, row, column, b.let(i + j))
        if self.spec.mode == "avg":
            count = b.let(_float(tirx.max(rows.samples * columns.samples, i64(1))))
            with b.range(0, channels) as c:
                self.y.store(target + c * 4, b.let(self.y.load(target + c * 4, "float32") / count), "float32")

    def _sample(self, line: _Line, number: Value, sample: Value, extent: str, stride: str) -> _Sample:
        b, one = self.b, const(1.0, "float32")
        # not fused into a sum: the number of samples must not depend on the target
        within = fenced(1, (_float(sample) + const(0.5, "float32")) * line.step)
        at = b.let(line.begin + fenced(1, _float(number) * line.size) + within)
        last = b.let(b.param(extent) - 1)
        inside = b.let(tirx.max(tirx.min(at, _float(last)), const(0.0, "float32")))
        low = b.let(i64(tirx.Cast("int32", inside)))
        fraction = b.let(inside - _float(low))
        counts = tirx.And(at >= const(-1.0, "float32"), at <= _float(b.param(extent)))
        weight = b.let(tirx.Select(counts, one, const(0.0, "float32")))
        high = b.let(tirx.min(low + 1, last))
        step = b.param(stride)
        return _Sample(
            b.let(low * step), b.let(high * step), b.let((one - fraction) * weight), b.let(fraction * weight)
        )

    def _add(self, image: Value, target: Value, row: _Sample, column: _Sample, number: Value) -> None:
        """One sample of all channels; that of number 0 is the first of its bin."""
        b = self.b
        corners = [
            (b.let(image + i + j), b.let(u * v))
            for i, u in ((row.low, row.low_weight), (row.high, row.high_weight))
            for j, v in ((column.low, column.low_weight), (column.high, column.high_weight))
        ]
        is_max = self.spec.mode == "max"
        smallest = b.let(const(float("-inf"), "float32"))
        with b.range(0, b.param("channels")) as c:
            before = b.let(self.y.load(target + c * 4, "float32"))
            total = Register("float32", 1, before)
            if is_max:
                total.set(tirx.Select(tirx.EQ(number, i64(0)), smallest, before))
            for offset, weight in corners:
                pixel = b.let(self.x.load(offset + c * 4, "float32"))
                total.set(tirx.max(total.get(), pixel * weight) if is_max else fma(1, pixel, weight, total.get()))
            self.y.store(target + c * 4, b.let(total.get()), "float32")


def _float(value: Value) -> Value:
    return tirx.Cast("float32", tirx.Cast("int32", value))
