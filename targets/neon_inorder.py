"""Register tiles for cores that issue in order (Cortex-A53, A55): every load stands between two multiplications.

There a load of 64 bits goes with a multiplication of 128 in one cycle, and a wider one with nothing. LLVM would pair
the loads and gather them, so these loops are instructions whose order it keeps: `asm sideeffect`, one instruction each,
as functions in LLVM's language that the kernels call and LLVM inlines. The next operands are loaded into registers as
soon as these have been used for the last time, so up to 16 bytes behind weights and rows are read.
"""

from collections.abc import Iterator, Sequence
from itertools import product

from ..compiler.kernels.builder import Builder, Pointer, Register, Value, i64
from ..compiler.kernels.tir import tirx
from .neon_tiles import DotTile, FloatTile, WideningTile

_LOAD = """
define <{lanes} x i8> @{name}({before}ptr %place) {{
  %p = load i64, ptr %place
  %both = call {{ <{lanes} x i8>, i64 }} asm sideeffect "{text}", "=w,=r{ties}"({given}i64 %p)
  %after = extractvalue {{ <{lanes} x i8>, i64 }} %both, 1
  store i64 %after, ptr %place
  %result = extractvalue {{ <{lanes} x i8>, i64 }} %both, 0
  ret <{lanes} x i8> %result
}}
"""


def _load(name: str, text: str, lanes: int) -> str:
    """A load that moves the pointer in `place` on."""
    return _LOAD.format(name=name, text=text, lanes=lanes, before="", ties=",1", given="")


def _pure(name: str, text: str, result: str, *operands: str, tie: bool = False) -> str:
    """An instruction of registers; with `tie` the first operand becomes the result."""
    names = [f"{kind} %v{i}" for i, kind in enumerate(operands)]
    constraints = ["=w", *("0" if tie and not i else "r" if k == "i64" else "w" for i, k in enumerate(operands))]
    joined = ", ".join(names)
    return f"""
define {result} @{name}({joined}) {{
  %r = call {result} asm sideeffect "{text}", "{",".join(constraints)}"({joined})
  ret {result} %r
}}
"""


INSTRUCTIONS = "".join([
    _load("edge_low", "ldr ${0:d}, [$1], #8", 16),
    _LOAD.format(
        name="edge_high", text="ld1 {$0.d}[1], [$1], #8", lanes=16, before="<16 x i8> %v, ", ties=",0,1",
        given="<16 x i8> %v, ",
    ),
    _load("edge_word", "ld1r {$0.2s}, [$1], #4", 8),
    _pure("edge_pair", "ldr ${0:d}, [$1, $2]", "<16 x i8>", "i64", "i64"),
    *(
        _pure(f"edge_at{offset}", f"ldr ${{0:d}}, [$1, #{offset}]", "<8 x i8>", "i64") for offset in range(0, 72, 8)
    ),
    *(
        _pure(
            f"edge_sdot{lane}", f"sdot $0.4s, $2.16b, $3.4b[{lane}]", "<4 x i32>", "<4 x i32>", "<16 x i8>",
            "<16 x i8>", tie=True,
        )
        for lane in range(2)
    ),
    *(
        _pure(
            f"edge_fmla{lane}", f"fmla $0.4s, $2.4s, $3.s[{lane}]", "<4 x float>", "<4 x float>", "<16 x i8>",
            "<16 x i8>", tie=True,
        )
        for lane in range(2)
    ),
    _pure("edge_smull", "smull $0.8h, $1.8b, $2.8b", "<8 x i16>", "<8 x i8>", "<8 x i8>"),
    _pure("edge_smlal", "smlal $0.8h, $2.8b, $3.8b", "<8 x i16>", "<8 x i16>", "<8 x i8>", "<8 x i8>", tie=True),
    _pure("edge_sadalp", "sadalp $0.4s, $2.8h", "<4 x i32>", "<4 x i32>", "<8 x i16>", tie=True),
])  # fmt: skip


def _call(dtype: str, name: str, *args: Value) -> Value:
    return tirx.call_extern(dtype, f"edge_{name}", *args)


def _address(p: Pointer, offset: Value) -> Register:
    return Register("int64", 1, tirx.reinterpret("int64", tirx.address_of(p.buffer[offset])))


def _run_pair(
    b: Builder, multiply: str, sums: Sequence[Sequence[Register]], x: Pointer, row_offsets: Sequence[Value],
    w: Pointer, w_offsets: Sequence[Value], steps: Value,
) -> None:  # fmt: skip
    """Steps of four words of a row by a pair of blocks. `multiply` adds a word times the four of a column to `sums`,
    four registers a row.

    It goes column after column of a group, whose registers are free behind the last row. The first block's are loaded
    for the next group then, the second one's for the same group, while the first column is multiplied. The words of a
    row are loaded in pairs."""
    rows, places = [_address(x, o) for o in row_offsets], [_address(w, o) for o in w_offsets]
    at = Register("int64", 1, i64(0))
    words = [Register("int8", 16) for _ in rows]
    weights = [Register("int8", 16) for _ in range(4)]

    def load_weights(*columns: int) -> Iterator[None]:
        for j in columns:
            place = places[j // 2].address
            weights[j].set(_call("int8x16", "low", place))
            yield
            weights[j].set(_call("int8x16", "high", weights[j].get(), place))
            yield

    def load_word(r: int) -> None:
        words[r].set(_call("int8x16", "pair", rows[r].get(), at.get()))

    list(load_weights(0, 1))
    for r in range(len(rows)):
        load_word(r)
    at.set(at.get() + 8)
    with b.range(0, steps):
        for g, j in product(range(4), range(4)):
            loads = load_weights(*[(2, 3), (0,), (1,), ()][j])
            for r, row in enumerate(sums):
                operands = row[j].get(), weights[j].get(), words[r].get()
                row[j].set(_call(f"{row[j].dtype}x4", f"{multiply}{g % 2}", *operands))
                next(loads, None)
                if g % 2 and j == 3:
                    load_word(r)
            if g % 2 and j == 3:
                at.set(at.get() + 8)


class InOrderDotTile(DotTile):
    """sdot by lane for a pair of blocks."""

    instructions = INSTRUCTIONS

    def __init__(self, rows: int) -> None:
        super().__init__(rows, 2)

    def run(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate steps."""
        _run_pair(b, "sdot", self._sums, x, row_offsets, w, w_offsets, steps)


class InOrderFloatTile(FloatTile):
    """fmla by lane for a pair of blocks."""

    instructions = INSTRUCTIONS

    def __init__(self, rows: int) -> None:
        super().__init__(rows, 2)

    def run(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate steps."""
        _run_pair(b, "fmla", [chain for (chain,) in self._sums], x, row_offsets, w, w_offsets, steps)


class InOrderWideningTile(WideningTile):
    """smull, smlal and sadalp for all rows of a column, four multiplications apart."""

    instructions = INSTRUCTIONS

    def __init__(self, rows: int) -> None:
        super().__init__(rows, full_range=False)

    def run(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Two columns of a group are 8 bytes, which the weights of the next group follow 32 bytes later."""
        rows, (place,) = [_address(x, o) for o in row_offsets], [_address(w, o) for o in w_offsets]
        words = [[Register("int8", 8) for _ in range(2)] for _ in rows]
        products = [Register("int16", 8) for _ in rows]
        weights = [Register("int8", 8) for _ in range(2)]

        def load_weights(g: int, offset: int) -> None:
            weights[g].set(_call("int8x8", f"at{offset}", place.get()))

        def load_word(r: int, g: int) -> None:
            words[r][g].set(_call("int8x8", "word", rows[r].address))

        load_weights(0, 0)
        for r, g in product(range(self.rows), range(2)):
            load_word(r, g)
        with b.range(0, steps):
            for j in range(4):
                for r, result in enumerate(products):
                    result.set(_call("int16x8", "smull", weights[0].get(), words[r][0].get()))
                    if r == 0:
                        load_weights(1, 8 * j + 32)
                    if j == 3:
                        load_word(r, 0)
                for r, result in enumerate(products):
                    result.set(_call("int16x8", "smlal", result.get(), weights[1].get(), words[r][1].get()))
                    if r == 0:
                        load_weights(0, 8 * j + 8 if j < 3 else 64)
                    if j == 3:
                        load_word(r, 1)
                for sums, result in zip(self._sums, products, strict=True):
                    sums[j].set(_call("int32x4", "sadalp", sums[j].get(), result.get()))
            place.set(place.get() + 64)
