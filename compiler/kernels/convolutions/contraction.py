"""What dense and depthwise convolutions share: the parts of a spec that weights and epilogue decide, the head of a
block of packed weights, and stores of fewer channels than a block has columns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from ...ir import half_functions
from ...ir.arrays import literals, literals_of
from ...ir.elementary import FUNCTIONS
from ...ir.expr import Call, Expr, In, clamp_bounds, walk
from ...ir.expr_text import to_text
from ...ir.half_functions import joined
from ...ir.lifting import BOUNDED
from ..emit.builder import Builder, Pointer, Value, i64
from ..emit.isa import Isa
from ..emit.literals import Literals
from ..emit.naming import digest
from ..emit.quantization import SumForm, unshifted
from ..emit.tir import tirx
from .activation import constants
from .epilogue import (
    INT8_EPILOGUE,
    RESIDUAL_EPILOGUE,
    SHIFTED_EPILOGUE,
    Epilogue,
    FloatEpilogue,
    HalfEpilogue,
    Int8Epilogue,
    ScaledEpilogue,
    Store,
    SumsEpilogue,
)
from .rescale import Scaling

OPERANDS = ("x", "w", "aux", "y")
"""`aux`: what the epilogue reads beside the sums: the residual, or the table that results are looked up in."""

DTYPE_LABELS = {"int8": "qs8", "float32": "f32", "float16": "f16"}
"""What names of kernels call dtypes."""


@dataclass(frozen=True, kw_only=True)
class ContractionSpec:
    """`residual`: it is added; `sum_form`: how; all but "any" have no bounds of their own. `clamped`: int8 results have
    bounds tighter than saturation. `full_range`: weights may be -128. `scaling`: of int8 sums. `narrow`: fewer output
    channels than a block has columns.
    `parts`: weights come as the sum of so many numbers, two or three where 8 bits do not hold them, run after run.
    `table`: int8 results without a residual are looked up in 256 bytes.
    `halved`: results of float32 are stored as float16.
    `sums`: the result is the int32 sums of int8 as they are. `scaled`: int8 codes of float32 rows and columns, each
    with a scale, give float32. The activations are those of floats, of the sum (%0) and of numbers that are parameters
    (%1 ...)."""

    dtype: str
    residual: bool = False
    sum_form: SumForm = "any"
    clamped: bool = True
    full_range: bool = False
    scaling: Scaling = "medium"
    narrow: bool = False
    parts: int = 1
    table: bool = False
    halved: bool = False
    sums: bool = False
    scaled: bool = False
    activation: Expr | None = None
    residual_activation: Expr | None = None

    def name(self, *shape: str) -> str:
        """A symbol: dtype, what the family says of `shape`, then what this spec says."""
        words = [DTYPE_LABELS["float16" if self.halved else self.dtype], *shape, *["wide"] * self.halved]
        words += ["clamp"] * (self.clamped and self.y_dtype == "int8")
        words += [{"any": "add", "small": "addsmall", "shifted": "addshift"}[self.sum_form]] * self.residual
        words += ["lut"] * self.table
        words += ["sums"] * self.sums + ["scaled"] * self.scaled + ["w8"] * self.full_range
        words += [self.scaling] * (self.scaling != "medium")
        words += ["narrow"] * self.narrow
        words += [f"parts{self.parts}"] * (self.parts > 1)
        for role, expr in (("act", self.activation), ("ract", self.residual_activation)):
            if expr is not None:
                words.append(f"{role}{digest(to_text(expr))}")
        return "_".join(words)

    @property
    def epilogue_params(self) -> tuple[str, ...]:
        """Names of the epilogue's parameters, in order."""
        if self.y_dtype != "int8":
            roles = {"activation": self.activation, "residual_activation": self.residual_activation}
            return tuple(name for role, expr in roles.items() if expr is not None for name in constants(role, expr))
        added = SHIFTED_EPILOGUE if self.sum_form == "shifted" else RESIDUAL_EPILOGUE
        return INT8_EPILOGUE + (added if self.residual else ())

    @property
    def sum_params(self) -> tuple[str, ...]:
        """Names of the parameters that say how products are summed up: `summands` of float16 join a total at once, a
        step more from a product on (`lower/nodes/summands.py`)."""
        return ("summands", "longer_from") if self.dtype == "float16" else ()

    @property
    def plain(self) -> Self:
        """The member whose code has less of what only a part of the residuals can do with."""
        return replace(self, sum_form=unshifted(self.sum_form))

    @property
    def calls(self) -> bool:
        """Whether an activation has functions that are many operations."""
        parts = [
            part for expr in (self.activation, self.residual_activation) if expr is not None for part in walk(expr)
        ]
        return any(isinstance(part, Call) and part.fn in FUNCTIONS for part in parts)

    @property
    def curved(self) -> bool:
        """Whether an activation is more than a clamp."""
        expressions = (self.activation, self.residual_activation)
        return any(expr and expr != BOUNDED and clamp_bounds(expr) is None for expr in expressions)

    def literals(self, isa: Isa) -> Literals | None:
        """What functions of activations compute with beside 0, where rows are finished in turn and it is loaded each
        time: float32 of float32 sums, or float16 of float16 sums."""
        if not isa.reloads or self.halved or (self.dtype == "float16" and not isa.computes_halves):
            return None
        if self.dtype == "float16":
            called = [part.fn for part in walk(joined(self.activation or In(0))) if isinstance(part, Call)]
            used = [half_functions.FUNCTIONS[fn] for fn in called if fn in half_functions.FUNCTIONS]
            found = [n for f in used for n in literals_of(f, 1, "float16")]
        else:
            expressions = [expr for expr in (self.activation, self.residual_activation) if expr is not None]
            found = [n for expr in expressions for n in literals(expr)]
        numbers = tuple(dict.fromkeys(n for n in found if n))
        return Literals(numbers, "float16" if self.dtype == "float16" else "float32") if numbers else None

    @property
    def y_dtype(self) -> str:
        """The result's dtype."""
        return "int32" if self.sums else "float32" if self.scaled else "float16" if self.halved else self.dtype

    @property
    def bias_dtype(self) -> str:
        """The dtype of what sums start from, in packed weights."""
        return "int32" if self.dtype == "int8" else "float32"

    def epilogue(self, b: Builder, isa: Isa) -> Epilogue:
        """What emits the epilogue's code."""
        if self.sums:
            return SumsEpilogue(isa)
        if self.scaled:
            return ScaledEpilogue(b, isa, self.activation, self.residual_activation)
        if self.dtype == "int8":
            return Int8Epilogue(
                b, isa, clamped=self.clamped, residual=self.residual, scaling=self.scaling,
                sum_form=self.sum_form,
            )  # fmt: skip
        if self.y_dtype == "float16":
            return HalfEpilogue(b, isa, self.activation, self.residual_activation)
        return FloatEpilogue(b, isa, self.activation, self.residual_activation)


def header_bytes(dtype: str, columns: int) -> int:
    """Bytes before the weights of a block: bias and, for int8, multipliers or scales."""
    return columns * (8 if dtype == "int8" else 4)


def dense_header_bytes(dtype: str, isa: Isa) -> int:
    """The same of a dense convolution's block, which has the second bias in the end."""
    second = isa.columns * 4 if dtype == "int8" and isa.second_bias else 0
    return header_bytes(dtype, isa.columns) + second


def store_partial(
    b: Builder, y: Pointer, offsets: Sequence[Value], rows: Sequence[Store], row_bytes: int, element: int
) -> None:
    """Write only the channels that exist: rows go to the stack, from there element by element. One and four bytes,
    which the results of many networks have, are written at once."""
    stored = b.let(tirx.min(b.param("channels") * element, i64(row_bytes)))
    for size, dtype in ((1, "int8"), (4, "int32")):
        with b.when(tirx.EQ(stored, i64(size))):
            for offset, store in zip(offsets, rows, strict=True):
                row = b.stack(row_bytes)
                store(row, i64(0))
                y.store(offset, row.load(i64(0), dtype), dtype)
    with b.when(tirx.all(stored != 1, stored != 4)):
        scratch, targets = b.stack(len(rows) * row_bytes), b.stack(len(rows) * 8)
        for r, (offset, store) in enumerate(zip(offsets, rows, strict=True)):
            store(scratch, i64(r * row_bytes))
            targets.store(i64(r * 8), offset, "int64")
        with b.range(0, len(rows)) as r:
            target = b.let(targets.load(r * 8, "int64"))
            with b.range(0, stored) as i:
                y.store(target + i, scratch.load(r * row_bytes + i, "int8"), "int8")
