"""Packing computed weights at run time, as `lower/nodes/pack.py` packs constants: blocks for `conv.py`.

A tile is a block of output channels of one matrix. The weights of a tap are a matrix [length, channels], of which one
dimension is contiguous:

    rows      the channels: `x_step` bytes from one element of the run to the next
    columns   the elements of the run (a transposed matrix): `x_step` bytes from one channel to the next

`header` holds what precedes the weights of each block as if they were zero: bias and, for int8, multipliers. The zero
point `x_zero` of the data that they will be multiplied with is folded into the bias here, where the weights are known.
Up to a vector behind the last element may be read.
"""

from dataclasses import dataclass
from typing import Literal

from ..emit.builder import BITS, Builder, Register, Value, bitcast, const, define, i64, shuffle, splat
from ..emit.isa import Isa
from ..emit.tir import tirx
from ..emit.transposition import transposed
from .contraction import DTYPE_LABELS, dense_header_bytes, header_bytes

OPERANDS = ("x", "header", "y")

_PARAMS = (
    "blocks", "block_bytes", "channels", "taps", "x_tap", "length", "groups", "x_step",
    "batch_1", "x_0", "x_1",  # of a batch of matrices: inner extent, bytes from one to the next (outer, inner)
)  # fmt: skip


@dataclass(frozen=True)
class PackSpec:
    """Which member of the family. `dtype`: floats or int8, whose groups are 1 and 4 elements; `groups` of them are
    written, and what is beyond the `length` of a run is 0."""

    dtype: str
    form: Literal["rows", "columns"]

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return f"{DTYPE_LABELS[self.dtype]}_pack_{self.form}"

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        return _PARAMS + (("x_zero",) if self.dtype == "int8" else ())


def build(spec: PackSpec, isa: Isa) -> object:
    """The TIR function of `spec` on `isa`."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _Pack(b, spec, isa).body())


class _Pack:
    """A group of one channel is a word: a float, or four int8."""

    def __init__(self, b: Builder, spec: PackSpec, isa: Isa) -> None:
        self.b, self.spec, self.isa = b, spec, isa
        self.columns = 2 * isa.lanes
        self.group = 4 if spec.dtype == "int8" else 1
        self.word = self.group * BITS[spec.dtype] // 8
        self.integer = f"int{self.word * 8}"
        self.x, self.header, self.y = (b.pointer(name) for name in OPERANDS)

    def body(self) -> None:
        b, columns = self.b, self.columns
        head = dense_header_bytes(self.spec.dtype, self.isa)
        with b.tiles() as t:
            block, matrix = (b.let(f(t, b.param("blocks"))) for f in (tirx.truncmod, tirx.truncdiv))
            outer, inner = (b.let(f(matrix, b.param("batch_1"))) for f in (tirx.truncdiv, tirx.truncmod))
            first = b.let(tirx.max(tirx.min(block * columns, b.param("channels") - columns), i64(0)))
            x = b.let(outer * b.param("x_0") + inner * b.param("x_1"))
            y = b.let(t * b.param("block_bytes"))
            sums = [Register("int32", self.isa.lanes, const(0, "int32", self.isa.lanes)) for _ in range(2)]
            with b.range(0, b.param("taps")) as tap:
                run = b.let(y + head + tap * b.param("groups") * (columns * self.word))
                {"rows": self._rows, "columns": self._columns}[self.spec.form](
                    b.let(x + tap * b.param("x_tap")), first, run
                )
                if self.spec.dtype == "int8":
                    self._add_up(run, sums)
            self._head(b.let(block * head), y, sums)

    def _rows(self, x: Value, first: Value, y: Value) -> None:
        b, group = self.b, self.group
        x = b.let(x + first * (self.word // group))
        whole = b.let(tirx.truncdiv(b.param("length"), i64(group)))
        with b.range(0, whole) as g:
            lines = [b.let(x + (g * group + i) * b.param("x_step")) for i in range(group)]
            self._store(y, g, self._words([self._line(at) for at in lines]))
        with b.range(whole, b.param("groups")) as g:
            rest = b.let(tirx.max(b.param("length") - g * group, i64(0)))
            self._store(y, g, self._words([self._line_before_end(x, g * group + i, i < rest) for i in range(group)]))

    def _line(self, at: Value) -> Value:
        return self.b.let(self.x.load(at, self.spec.dtype, self.columns))

    def _line_before_end(self, x: Value, number: Value, exists: Value) -> Value:
        """Line `number`, or zeros where it does not exist."""
        b, last = self.b, self.b.param("length") - 1
        line = self._line(b.let(x + tirx.min(number, last) * b.param("x_step")))
        if self.group == 1:
            return line  # groups of one element are always whole
        return line & splat(tirx.Select(exists, tirx.const(-1, "int8"), tirx.const(0, "int8")), self.columns)

    def _words(self, lines: list[Value]) -> list[Value]:
        """Two vectors of words of a group's lines [group][columns]."""
        lanes, columns = self.isa.lanes, self.columns
        if self.group == 1:
            (line,) = lines
            return [shuffle([line], range(h * lanes, (h + 1) * lanes)) for h in range(2)]
        zipped = [lane for i in range(columns) for lane in (i, i + columns)]
        pairs = [self.b.let(bitcast(shuffle(lines[i : i + 2], zipped), "int16", columns)) for i in (0, 2)]
        halves = [[lane for i in range(h * lanes, (h + 1) * lanes) for lane in (i, i + columns)] for h in range(2)]
        return [bitcast(shuffle(pairs, half), "int32", lanes) for half in halves]

    def _store(self, y: Value, group: Value, words: list[Value]) -> None:
        dtype = self.spec.dtype if self.group == 1 else "int32"
        for h, word in enumerate(words):
            at = y + (group * self.columns + h * self.isa.lanes) * self.word
            self.y.store(at, word, dtype, self.isa.lanes)

    def _columns(self, x: Value, first: Value, y: Value) -> None:
        b, lanes = self.b, self.isa.lanes
        last = b.param("channels") - 1
        lines = [b.let(x + tirx.min(first + c, last) * b.param("x_step")) for c in range(self.columns)]
        words = b.let(tirx.truncdiv(b.param("length"), i64(self.group)))
        blocks = b.let(tirx.truncdiv(words, i64(lanes)))
        with b.range(0, blocks) as block:
            at = b.let(block * (lanes * self.word))
            for h in range(2):
                half = [b.let(self.x.load(o + at, self.integer, lanes)) for o in lines[h * lanes : (h + 1) * lanes]]
                for i, line in enumerate(transposed(self.integer, half)):
                    to = y + ((block * lanes + i) * self.columns + h * lanes) * self.word
                    self.y.store(to, line, self.integer, lanes)
        with b.range(blocks * lanes, b.param("groups")) as word:
            mask = b.let(self._mask(b.let(b.param("length") - word * self.group)))
            at = b.let(tirx.min(word, words) * self.word)
            for c, line in enumerate(lines):
                to = y + (word * self.columns + c) * self.word
                self.y.store(to, self.x.load(line + at, self.integer) & mask, self.integer)

    def _mask(self, rest: Value) -> Value:
        """A word's bits that stand for elements, where `rest` elements are left of the run."""
        bits = tirx.max(tirx.min(rest, i64(self.group)), i64(0)) * (self.word * 8 // self.group)
        return tirx.Cast(self.integer, tirx.shift_left(i64(1), bits) - 1)

    def _add_up(self, y: Value, sums: list[Register]) -> None:
        """Add the four elements of each word that was written."""
        b, lanes = self.b, self.isa.lanes
        with b.range(0, b.param("groups")) as g:
            for h, total in enumerate(sums):
                words = b.let(self.y.load(y + g * (self.columns * 4) + h * lanes * 4, "int32", lanes))
                total.set(total.get() + _sum_of_bytes(words, lanes))

    def _head(self, header: Value, y: Value, sums: list[Register]) -> None:
        """bias - x_zero * (sum of the weights), and multipliers; the second bias is for a zero point 128 higher."""
        lanes, is_int8 = self.isa.lanes, self.spec.dtype == "int8"
        for h in range(2):
            at = h * lanes * 4
            bias = self.header.load(header + at, "int32", lanes)
            if is_int8:
                bias = self.b.let(bias - splat(self.b.param32("x_zero"), lanes) * sums[h].get())
                multiplier = self.header.load(header + at + self.columns * 4, "int32", lanes)
                self.y.store(y + at + self.columns * 4, multiplier, "int32", lanes)
                if self.isa.second_bias:
                    second = bias - const(128, "int32", lanes) * sums[h].get()
                    self.y.store(y + at + header_bytes(self.spec.dtype, self.columns), second, "int32", lanes)
            self.y.store(y + at, bias, "int32", lanes)


def _sum_of_bytes(words: Value, lanes: int) -> Value:
    """int32 x lanes: the sum of the four int8 of each word."""
    right = const(24, "int32", lanes)
    low = [tirx.shift_right(tirx.shift_left(words, const(s, "int32", lanes)), right) for s in (24, 16, 8)]
    return low[0] + low[1] + low[2] + tirx.shift_right(words, right)
