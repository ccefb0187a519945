"""Register tiles for cores that issue in order (Cortex-A53, A55): every load stands between two multiplications.

There a load of 64 bits goes with a multiplication of 128 in one cycle, and a wider one with nothing. LLVM would pair
the loads and gather them, so these loops are instructions whose order it keeps: `asm sideeffect`, one instruction each,
as functions in LLVM's language that the kernels call and LLVM inlines. The next operands are loaded into registers as
soon as these have been used for the last time, so up to 16 bytes behind weights and rows are read
(marked weights: `lower/nodes/packing.SLACK`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

from ..compiler.kernels.emit.builder import Builder, Pointer, Register, Value, i64
from ..compiler.kernels.emit.tir import tirx
from .neon_tiles import FloatTile

Action = Callable[[], None]


def _load(name: str, text: str, lanes: int, *operands: str) -> str:
    """A load that moves the pointer in `place` on. Of its operands the first, a vector, becomes the result."""
    names = "".join(f"{kind} %v{i}, " for i, kind in enumerate(operands))
    ties = "".join(",r" if kind == "i64" else ",0" for kind in operands)
    both = f"{{ <{lanes} x i8>, i64 }}"
    return f"""
define <{lanes} x i8> @{name}({names}ptr %place) {{
  %p = load i64, ptr %place
  %both = call {both} asm sideeffect "{text}", "=w,=r{ties},1"({names}i64 %p)
  %after = extractvalue {both} %both, 1
  store i64 %after, ptr %place
  %result = extractvalue {both} %both, 0
  ret <{lanes} x i8> %result
}}
"""


def _pure(name: str, text: str, result: str, *operands: str, tie: bool = False, low: bool = False) -> str:
    """An instruction of registers; with `tie` the first operand becomes the result, with `low` the last one is among
    the registers 0 to 15."""
    names = [f"{kind} %v{i}" for i, kind in enumerate(operands)]
    constraints = ["=w", *("0" if tie and not i else "r" if k == "i64" else "w" for i, k in enumerate(operands))]
    constraints[-1] = "x" if low else constraints[-1]
    joined = ", ".join(names)
    return f"""
define {result} @{name}({joined}) {{
  %r = call {result} asm sideeffect "{text}", "{",".join(constraints)}"({joined})
  ret {result} %r
}}
"""


INSTRUCTIONS = "".join([
    _load("edge_low", "ldr ${0:d}, [$1], #16", 16),
    _load("edge_high", "ld1 {$0.d}[1], [$1], $3", 16, "<16 x i8>", "i64"),
    _load("edge_word", "ld1r {$0.2s}, [$1], #4", 8),
    *(_load(f"edge_ahead{by}", f"ldr ${{0:d}}, [$1, #{by}]!", 8) for by in (32, 64, 96, 128)),
    _pure("edge_pair", "ldr ${0:d}, [$1, $2]", "<16 x i8>", "i64", "i64"),
    *(
        _pure(f"edge_at{offset}", f"ldr ${{0:d}}, [$1, #{offset}]", "<8 x i8>", "i64") for offset in range(0, 136, 8)
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
    *(
        _pure(
            f"edge_half_fmla{lane}", f"fmla $0.8h, $2.8h, $3.h[{lane}]", "<8 x half>", "<8 x half>", "<16 x i8>",
            "<16 x i8>", tie=True, low=True,
        )
        for lane in range(4)
    ),
    _pure("edge_here", "", "<4 x i32>", "<4 x i32>", tie=True),
    _pure("edge_copy", "mov $0.16b, $1.16b", "<4 x i32>", "<4 x i32>"),
    _pure("edge_smull", "smull $0.8h, $1.8b, $2.8b", "<8 x i16>", "<8 x i8>", "<8 x i8>"),
    _pure("edge_smlal", "smlal $0.8h, $2.8b, $3.8b", "<8 x i16>", "<8 x i16>", "<8 x i8>", "<8 x i8>", tie=True),
    _pure("edge_sadalp", "sadalp $0.4s, $2.8h", "<4 x i32>", "<4 x i32>", "<8 x i16>", tie=True),
])  # fmt: skip

STEP_INSTRUCTIONS = "".join([
    _load("edge_step_spread", "ld1r {$0.2s}, [$1], #4", 16),
    _load("edge_step_lane2", "ld1 {$0.s}[2], [$1]", 16, "<16 x i8>"),
    _load("edge_step_lane3", "ld1 {$0.s}[3], [$1], #4", 16, "<16 x i8>"),
    _load("edge_step_word_pair", "ldr ${0:d}, [$1], #8", 16),
    _load("edge_step_next", "ldr ${0:d}, [$1, #128]!", 16),
    _load("edge_step_next_run", "ldr ${0:d}, [$1, #96]!", 16),
    _pure("edge_step_zip", "zip1 $0.4s, $1.4s, $1.4s", "<16 x i8>", "<16 x i8>"),
    *(_pure(f"edge_step_at{o}", f"ldr ${{0:d}}, [$1, #{o}]", "<16 x i8>", "i64") for o in range(0, 96, 8)),
    _pure("edge_step_saddlp", "saddlp $0.4s, $1.8h", "<4 x i32>", "<8 x i16>"),
    _pure("edge_step_smull", "smull $0.8h, $1.8b, $2.8b", "<8 x i16>", "<16 x i8>", "<16 x i8>"),
    _pure(
        "edge_step_smlal1", "smlal $0.8h, $2.8b, $3.8b", "<8 x i16>", "<8 x i16>", "<16 x i8>", "<16 x i8>", tie=True
    ),
    _pure(
        "edge_step_smlal2", "smlal2 $0.8h, $2.16b, $3.16b", "<8 x i16>", "<8 x i16>", "<16 x i8>", "<16 x i8>",
        tie=True,
    ),
])  # fmt: skip
"""What `neon_inorder_marked.py` and `neon_inorder_held.py` have beside them."""


def call(dtype: str, name: str, *args: Value) -> Value:
    """One of `INSTRUCTIONS`."""
    return tirx.call_extern(dtype, f"edge_{name}", *args)


def address(p: Pointer, offset: Value) -> Register:
    """Where byte `offset` lies, to be moved on by loads."""
    return Register("int64", 1, tirx.reinterpret("int64", tirx.address_of(p.buffer[offset])))


class PairOperands:
    """The operands of a pair of blocks, in registers: a pair of words of each row, `at` bytes from its start, and four
    columns of weights, which are loaded by halves. At first there are the weights of a group, and no words."""

    def __init__(self, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value]) -> None:
        self._rows = [address(x, o) for o in row_offsets]
        self._places = [[address(w, o + half) for half in (0, 8)] for o in w_offsets]
        self.at, self._step = Register("int64", 1, i64(0)), Register("int64", 1, i64(16))
        self._words = [Register("int8", 16) for _ in row_offsets]
        self._weights = [Register("int8", 16) for _ in range(4)]

    @property
    def first_loads(self) -> list[Action]:
        """What loads the weights of the first group."""
        return [partial(self._load_half, j, half) for half, j in product(range(2), range(2))]

    @property
    def word_loads(self) -> list[Action]:
        """What loads the words of each row."""
        return [partial(self._load_word, r) for r in range(len(self._rows))]

    def multiply(self, multiply: str, sums: Sequence[Sequence[Register]], group: int, advance: Value | None) -> None:
        """`multiply` adds a word of each row times the four of a column to `sums`, four registers a row. With an
        `advance` the next words of the rows follow, so many bytes behind these.

        It goes column after column, whose registers are free behind the last row. The first block's are loaded for the
        next group then, the second one's for the same group, while the first two columns are
        multiplied."""
        weights = pair_loads(len(sums))
        for j in range(4):
            loads = self.word_loads if j == 3 and advance is not None else []
            if loads:
                self.at.set(self.at.get() + advance)
            for r, row in enumerate(sums):
                operands = row[j].get(), self._weights[j].get(), self._words[r].get()
                row[j].set(call(f"{row[j].dtype}x4", f"{multiply}{group % 2}", *operands))
                if (j, r) in weights:
                    self._load_half(*weights[j, r])
                if loads:
                    loads[r]()

    def _load_half(self, j: int, half: int) -> None:
        register, place = self._weights[j], self._places[j // 2][half].address
        more = (register.get(), self._step.get()) if half else ()
        register.set(call("int8x16", "high" if half else "low", *more, place))

    def _load_word(self, r: int) -> None:
        self._words[r].set(call("int8x16", "pair", self._rows[r].get(), self.at.get()))


def run_pair(
    b: Builder, multiply: str, sums: Sequence[Sequence[Register]], x: Pointer, row_offsets: Sequence[Value],
    w: Pointer, w_offsets: Sequence[Value], steps: Value,
) -> None:  # fmt: skip
    """Steps of four words of a row by a pair of blocks. `multiply` as in `PairOperands`."""
    operands = PairOperands(x, row_offsets, w, w_offsets)
    for load in (*operands.first_loads, *operands.word_loads):
        load()
    with b.range(0, steps):
        for g in range(4):
            operands.multiply(multiply, sums, g, i64(8) if g % 2 else None)


def pair_loads(rows: int) -> dict[tuple[int, int], tuple[int, int]]:
    """Behind the multiplication of (column, row): which column's weights is loaded, and which half. The upper half
    waits for the lower one, four cycles, and so do multiplications for either."""
    last = rows - 1
    return {
        (0, 0): (2, 0), (0, 1): (3, 0),
        (1, 0): (2, 1), (1, 1): (3, 1), (1, 2): (0, 0), (1, last): (1, 0),
        (2, 2): (0, 1), (2, last): (1, 1),
    }  # fmt: skip


def run_columns(
    b: Builder, multiply: str, groups: int, sums: Sequence[Sequence[Register]], x: Pointer,
    row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value,
) -> None:  # fmt: skip
    """Steps of `groups` groups by two columns of weights, of one block or of one each of two. `multiply` adds an
    element of a row times the column to `sums`, two registers a row, at least four rows.

    While a group is multiplied, the weights of the next are loaded beside its first products, and behind the last group
    of 64 bits those of every row beside the second column."""
    rows = [address(x, o) for o in row_offsets]
    places = [[address(w, o + half) for half in (0, 8)] for o in w_offsets]
    at, step = Register("int64", 1, i64(0)), Register("int64", 1, i64(16))
    words = [Register("int8", 16) for _ in rows]
    weights = [[Register("int8", 16) for _ in range(2)] for _ in range(2)]
    in_word = sums[0][0].lanes // 2

    def load_half(number: int, column: int, half: int) -> None:
        register, place = weights[number % 2][column], places[column % len(places)][half].address
        more = (register.get(), step.get()) if half else ()
        register.set(call("int8x16", "high" if half else "low", *more, place))

    def load_word(r: int) -> None:
        words[r].set(call("int8x16", "pair", rows[r].get(), at.get()))

    for half, column in product(range(2), range(2)):
        load_half(0, column, half)
    for r in range(len(rows)):
        load_word(r)
    at.set(at.get() + 8)
    with b.range(0, steps):
        for g, j, (r, row) in product(range(groups), range(2), enumerate(sums)):
            operands = row[j].get(), weights[g % 2][j].get(), words[r].get()
            row[j].set(call(f"{row[j].dtype}x{row[j].lanes}", f"{multiply}{g % in_word}", *operands))
            if (number := j * len(sums) + r) in _COLUMN_LOADS:
                load_half(g + 1, *_COLUMN_LOADS[number])
            if g % in_word == in_word - 1 and j == 1:
                load_word(r)
                if r == len(sums) - 1:
                    at.set(at.get() + 8)


_COLUMN_LOADS = {0: (0, 0), 1: (1, 0), 3: (0, 1), 4: (1, 1)}
"""Behind which multiplication of a group: which column's weights, and which half of them, is loaded."""


class InOrderFloatTile(FloatTile):
    """fmla by lane for a pair of blocks."""

    unrolls = False
    in_turns = False  # what rows wait for is hidden by other rows

    def __init__(self, rows: int) -> None:
        super().__init__(rows, 2)

    def run(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate steps."""
        run_pair(b, "fmla", [chain for (chain,) in self._sums], x, row_offsets, w, w_offsets, steps)

    begin = run  # loads are between multiplications, and zeros cost as little


class InOrderFloatColumnsTile(FloatTile):
    """fmla by lane for a block."""

    resumes = False
    in_turns = False

    def __init__(self, rows: int) -> None:
        super().__init__(rows, 1)

    def run(
        self, b: Builder, x: Pointer, row_offsets: Sequence[Value], w: Pointer, w_offsets: Sequence[Value], steps: Value
    ) -> None:
        """Accumulate steps."""
        sums = [chain for (chain,) in self._sums]
        run_columns(b, "fmla", self.groups_per_step, sums, x, row_offsets, w, w_offsets, steps)

    begin = run
