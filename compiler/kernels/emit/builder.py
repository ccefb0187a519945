"""Writing a kernel: a thin layer over TVM's IRBuilder that makes plain C functions of TIR.

Every kernel has the signature that the runtime calls (`runtimes/native/src/program.h`):

    void kernel(void *p0, ..., void *p4, const int32_t *params, int32_t tile_begin, int32_t tile_end)

Memory is addressed in bytes, with 64-bit offsets, through `Pointer`s; vectors are loaded and stored without any
alignment assumption. Python loops unroll; `Builder.range` is a loop that stays in the code.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...lower.plan import MAX_OPERANDS
from .tir import ir_builder, tirx
from .tir import statements as tb

Value = Any
"""A TIR expression. TVM's Python API is untyped, so mypy can say no more."""

BITS = {"int8": 8, "uint8": 8, "bool": 8, "int16": 16, "float16": 16, "int32": 32, "uint32": 32, "float32": 32}
BITS |= {"int64": 64, "uint64": 64, "uint16": 16, "float64": 64}

_ANY_EXTENT = 1 << 40  # buffers are raw memory: their extent is not known here


def i64(x: Value) -> Value:
    """`x` as a 64-bit index."""
    return tirx.const(x, "int64") if isinstance(x, int) else tirx.Cast("int64", x)


def vector(dtype: str, lanes: int) -> str:
    """TVM's name of a vector type."""
    return dtype if lanes == 1 else f"{dtype}x{lanes}"


def splat(value: Value, lanes: int) -> Value:
    """All lanes equal to a scalar."""
    return value if lanes == 1 else tirx.Broadcast(value, lanes)


def const(value: float, dtype: str, lanes: int = 1) -> Value:
    """A literal vector."""
    return splat(tirx.const(value, dtype), lanes)


def cast(value: Value, dtype: str, lanes: int) -> Value:
    """Element-wise conversion (C semantics)."""
    return tirx.Cast(vector(dtype, lanes), value)


def bitcast(value: Value, dtype: str, lanes: int) -> Value:
    """The same bits as another type."""
    return tb.reinterpret(vector(dtype, lanes), value)


def intrinsic(name: str, dtype: str, lanes: int, *args: Value) -> Value:
    """A pure LLVM intrinsic, by name."""
    return tb.call_llvm_pure_intrin(vector(dtype, lanes), name, *args)


def shuffle(vectors: Sequence[Value], lanes: Sequence[int]) -> Value:
    """LLVM's shufflevector: lanes of the concatenation of `vectors`, which have equal types."""
    return tirx.Shuffle(list(vectors), [tirx.const(lane, "int32") for lane in lanes])


class Register:
    """A mutable vector (or scalar) that LLVM keeps in registers: a local buffer with constant indices only."""

    def __init__(self, dtype: str, lanes: int, value: Value | None = None) -> None:
        self.dtype, self.lanes = dtype, lanes
        self._buffer = tb.alloc_buffer((lanes,), dtype, scope="local", layout=None)
        self._index = 0 if lanes == 1 else tirx.Ramp(0, 1, lanes)
        if value is not None:
            self.set(value)

    @property
    def address(self) -> Value:
        """Where it lies: for functions that read and change it."""
        return self._buffer.data

    def get(self) -> Value:
        """The current value."""
        return self._buffer[self._index]

    def set(self, value: Value) -> None:
        """Assign."""
        tb.buffer_store(self._buffer, value, [self._index])


@dataclass(frozen=True)
class Pointer:
    """Raw memory. Offsets are in bytes."""

    buffer: Value

    def load(self, offset: Value, dtype: str, lanes: int = 1) -> Value:
        """`lanes` elements of `dtype` at byte `offset`, unaligned."""
        count = lanes * BITS[dtype] // 8
        raw = self.buffer[offset] if count == 1 else self.buffer[tirx.Ramp(offset, i64(1), count)]
        return raw if vector(dtype, lanes) == vector("int8", count) else bitcast(raw, dtype, lanes)

    def store(self, offset: Value, value: Value, dtype: str, lanes: int = 1) -> None:
        """Write `lanes` elements of `dtype` at byte `offset`, unaligned."""
        count = lanes * BITS[dtype] // 8
        raw = value if vector(dtype, lanes) == vector("int8", count) else bitcast(value, "int8", count)
        tb.buffer_store(self.buffer, raw, [offset if count == 1 else tirx.Ramp(offset, i64(1), count)])

    def prefetch(self, offset: Value) -> None:
        """Ask for the cache line of byte `offset`, which need not exist."""
        tb.evaluate(tirx.call_extern("int32", "edge_prefetch", tirx.address_of(self.buffer[offset])))


class Builder:
    """Inside `kernel(...)`: the function's operands, parameters and tile range, and its control flow."""

    def __init__(self, operands: Sequence[str], params: Sequence[str]) -> None:
        if len(operands) > MAX_OPERANDS:
            raise ValueError(f"a kernel takes at most {MAX_OPERANDS} operands, not {len(operands)}")
        names = [*operands, *(f"unused{i}" for i in range(len(operands), MAX_OPERANDS))]
        handles = [tb.arg(name, tb.handle("int8")) for name in names]
        block = tb.arg("params", tb.handle("int32"))
        begin, end = tb.arg("tile_begin", tb.int32()), tb.arg("tile_end", tb.int32())
        self._pointers = {
            name: Pointer(tb.decl_buffer((i64(_ANY_EXTENT),), "int8", data=handle))
            for name, handle in zip(operands, handles, strict=False)
        }
        self._block = tb.decl_buffer((max(len(params), 1),), "int32", data=block)
        self._params = {name: self.let(i64(self._block[i])) for i, name in enumerate(params)}
        self.tile_begin, self.tile_end = self.let(i64(begin)), self.let(i64(end))

    def pointer(self, name: str) -> Pointer:
        """The operand called `name`."""
        return self._pointers[name]

    def param(self, name: str) -> Value:
        """The parameter called `name`, as a 64-bit integer."""
        return self._params[name]

    def param32(self, name: str) -> Value:
        """The parameter as the 32-bit integer it is stored as."""
        return tirx.Cast("int32", self._params[name])

    def param_float(self, name: str) -> Value:
        """The parameter's 32 bits as a float32."""
        return tb.reinterpret("float32", self.param32(name))

    def let(self, value: Value) -> Value:
        """Name an intermediate value: it is computed once, here.

        A register rather than TIR's own `let`: TVM's simplifier looks through lets, and chains of them (offsets that
        build on each other) cost it exponential time.
        """
        dtype, _, lanes = str(value.ty).partition("x")
        return Register(dtype, int(lanes or 1), value).get()

    def opaque(self, value: Value) -> Value:
        """A 64-bit integer of which LLVM knows nothing: it turns offsets that grow from turn to turn into pointers, one
        for each base, where a load takes a base and an offset."""
        return self.let(tirx.call_extern("int64", "edge_opaque", value))

    def stack(self, count: int) -> Pointer:
        """`count` bytes of stack memory."""
        return Pointer(tb.alloc_buffer((count,), "int8", scope="local", layout=None))

    @contextmanager
    def range(self, begin: Value, end: Value) -> Iterator[Value]:
        """A loop that stays a loop; yields its 64-bit index."""
        start = i64(begin) if isinstance(begin, int) else begin
        stop = i64(end) if isinstance(end, int) else end
        with tb.serial(start, stop) as index:
            yield index

    @contextmanager
    def loop(self, condition: Value) -> Iterator[None]:
        """Code that runs as long as `condition`, an expression over registers, holds."""
        with tb.While(condition):
            yield

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Code under a condition."""
        with tb.If(condition), tb.Then():
            yield

    @contextmanager
    def tiles(self) -> Iterator[Value]:
        """The loop over the kernel's tiles."""
        with self.range(self.tile_begin, self.tile_end) as tile:
            yield tile


_OPAQUE = """
define i64 @edge_opaque(i64 %v) {
  %r = call i64 asm "", "=r,0"(i64 %v)
  ret i64 %r
}
"""

PREFETCH = """
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
define i32 @edge_prefetch(ptr %p) {
  call void @llvm.prefetch.p0(ptr %p, i32 0, i32 3, i32 1)
  ret i32 0
}
"""
"""What kernels that use `Pointer.prefetch` call."""


INSTRUCTIONS = "instructions"
"""The attribute of a TIR function that holds the functions in LLVM's language."""


def define(name: str, operands: Sequence[str], params: Sequence[str], body: Any, instructions: str = "") -> Any:
    """A TIR function called `name` whose code `body(builder)` emits. `operands` and `params` are named in order.
    `instructions`: functions in LLVM's language that it may call, of which a name means one in all targets."""
    with ir_builder.IRBuilder() as ib, tb.prim_func(s_tir=True):
        tb.func_name(name)
        tb.func_attr({"global_symbol": name, "tirx.noalias": True, INSTRUCTIONS: instructions + _OPAQUE})
        body(Builder(operands, params))
    return ib.get()
