"""Lookups in a table of 256 bytes for cores that issue in order: see `neon_inorder.py`."""

from collections.abc import Sequence
from functools import partial

from ..compiler.kernels.emit.builder import Pointer, Register, Value, bitcast, const, i64, intrinsic
from .neon_inorder import address, call
from .neon_tiles import ARM

REGISTERS = 4
"""Of a table, that one instruction looks up in: a quarter."""


def look_up(table: Pointer, offset: Value, indices: Sequence[Value]) -> list[Value]:
    """tbl, then three times tbx for each vector. The registers of the next quarter are loaded beside them: lookups take
    as many cycles as registers, of the vector units alone."""
    low, high, step = address(table, offset), address(table, offset + 8), Register("int64", 1, i64(16))
    quarters = [[Register("int8", 16) for _ in range(REGISTERS)] for _ in range(4)]

    def load(register: Register, half: int) -> None:
        if half:
            register.set(call("int8x16", "high", register.get(), step.get(), high.address))
        else:
            register.set(call("int8x16", "low", low.address))

    loads = [[partial(load, register, half) for half in range(2) for register in quarter] for quarter in quarters]
    for act in loads[0]:
        act()
    positions = [Register("int8", 16, index ^ const(-128, "int8", 16)).get() for index in indices]
    found: list[Value] = []
    for quarter, following in zip(quarters, [*loads[1:], []], strict=True):
        entries, before = [register.get() for register in quarter], found or [None] * len(indices)
        share, found = -(-len(following) // len(indices)), []
        for i, (position, result) in enumerate(zip(positions, before, strict=True)):
            found.append(_in_turn(_step(entries, position, result)))
            for act in following[share * i :][:share]:
                act()
        positions = [Register("int8", 16, position - const(64, "int8", 16)).get() for position in positions]
    return found


def _step(entries: Sequence[Value], position: Value, before: Value | None) -> Value:
    """Positions outside a quarter leave the result as it is."""
    if before is None:
        return intrinsic(ARM + "tbl4.v16i8", "int8", 16, *entries, position)
    return intrinsic(ARM + "tbx4.v16i8", "int8", 16, before, *entries, position)


def _in_turn(value: Value) -> Value:
    """By no instruction, of those whose order LLVM keeps."""
    return Register("int8", 16, bitcast(call("int32x4", "here", bitcast(value, "int32", 4)), "int8", 16)).get()
