"""`nms`: boxes [batches, boxes, 4] and scores [batches, classes, boxes] -> rows (batch, class, box), and their number.

The candidates of a class are a heap of indices in `w`; the best is taken until enough are kept. One tile: how many rows
a class gives says where those of the next go.
"""

from dataclasses import dataclass

from .emit.builder import Builder, Register, Value, const, define, i64, intrinsic
from .emit.isa import Isa
from .emit.order import Heap, order_key, precedes
from .emit.tir import tirx

OPERANDS = ("boxes", "scores", "w", "y", "total")


@dataclass(frozen=True)
class NmsSpec:
    """`center`: boxes are (x, y, width, height) around their centre, else two corners. `rows`: those of y."""

    center: bool
    params: tuple[str, ...] = (
        "batches", "classes", "count", "most", "rows", "iou_threshold", "score_threshold",
    )  # fmt: skip

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return "f32_nms" + ("_center" if self.center else "")


def build(spec: NmsSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _Nms(b, spec).body())


class _Nms:
    def __init__(self, b: Builder, spec: NmsSpec) -> None:
        self.b, self.spec = b, spec
        self.boxes, self.scores, self.w, self.y, self.total = (b.pointer(name) for name in OPERANDS)

    def body(self) -> None:
        b = self.b
        with b.tiles():
            found = Register("int64", 1, i64(0))
            with b.range(0, b.param("batches")) as batch, b.range(0, b.param("classes")) as kind:
                self._class(batch, kind, found)
            self.total.store(i64(0), b.let(found.get()), "int64")
            zero = b.let(i64(0))
            with b.range(b.let(found.get() * 3), b.param("rows") * 3) as i:
                self.y.store(i * 8, zero, "int64")

    def _class(self, batch: Value, kind: Value, found: Register) -> None:
        """Append the rows of one class of one batch entry."""
        b, count = self.b, self.b.param("count")
        scores = b.let((batch * b.param("classes") + kind) * count * 4)

        def key(index: Value) -> Value:
            return i64(order_key(b, b.let(self.scores.load(scores + index * 4, "float32")), "float32"))

        heap = Heap(b, self.w, i64(0), i64(8), key, precedes)
        left = self._candidates(scores, heap)
        first = b.let(found.get())
        with b.loop(tirx.And(left.get() > 0, found.get() - first < b.param("most"))):
            best = heap.get(i64(0))
            left.set(left.get() - 1)
            heap.sift(i64(0), b.let(left.get()), heap.get(left.get()))
            with b.when(self._is_apart(batch, best, first, b.let(found.get()))):
                for column, value in enumerate((batch, kind, best)):
                    self.y.store(found.get() * 24 + 8 * column, value, "int64")
                found.set(found.get() + 1)

    def _candidates(self, scores: Value, heap: Heap) -> Register:
        """Make a heap of the boxes whose score is above the threshold; how many there are."""
        b, size = self.b, Register("int64", 1, i64(0))
        with b.range(0, b.param("count")) as i:
            score = b.let(self.scores.load(scores + i * 4, "float32"))
            with b.when(score > b.param_float("score_threshold")):
                heap.put(size.get(), i)
                size.set(size.get() + 1)
        parents = b.let(tirx.truncdiv(size.get(), i64(2)))
        with b.range(0, parents) as i:
            hole = b.let(parents - 1 - i)
            heap.sift(hole, b.let(size.get()), heap.get(hole))
        return size

    def _is_apart(self, batch: Value, box: Value, first: Value, end: Value) -> Value:
        """Whether `box` overlaps none of those in the rows [first, end) too much."""
        b = self.b
        mine = self._corners(batch, box)
        row = Register("int64", 1, first)
        apart = Register("int64", 1, i64(1))
        with b.loop(tirx.And(row.get() < end, apart.get() > 0)):
            other = self._corners(batch, b.let(self.y.load(row.get() * 24 + 16, "int64")))
            with b.when(self._overlap(mine, other)):
                apart.set(i64(0))
            row.set(row.get() + 1)
        return apart.get() > 0

    def _corners(self, batch: Value, box: Value) -> tuple[Value, Value, Value, Value]:
        """(low x, low y, high x, high y)."""
        b, at = self.b, self.b.let((batch * self.b.param("count") + box) * 16)
        x0, y0, x1, y1 = (b.let(self.boxes.load(at + 4 * i, "float32")) for i in range(4))
        if self.spec.center:
            dx, dy = (b.let(side * const(0.5, "float32")) for side in (x1, y1))
            return b.let(x0 - dx), b.let(y0 - dy), b.let(x0 + dx), b.let(y0 + dy)
        return tuple(b.let(f(p, q)) for f in (tirx.min, tirx.max) for p, q in ((x0, x1), (y0, y1)))

    def _overlap(self, a: tuple[Value, ...], c: tuple[Value, ...]) -> Value:
        """Whether intersection over union exceeds the threshold. Products are fenced: none may be fused into a sum."""
        b, zero = self.b, const(0.0, "float32")
        width = b.let(tirx.min(a[2], c[2]) - tirx.max(a[0], c[0]))
        height = b.let(tirx.min(a[3], c[3]) - tirx.max(a[1], c[1]))
        common, area, other = (
            b.let(intrinsic("llvm.arithmetic.fence.f32", "float32", 1, w * h))
            for w, h in ((width, height), (a[2] - a[0], a[3] - a[1]), (c[2] - c[0], c[3] - c[1]))
        )
        union = b.let(area + other - common)
        exceeds = common / union > b.param_float("iou_threshold")
        for positive in (width, height, area, other, union):
            exceeds = tirx.And(positive > zero, exceeds)
        return exceeds
