"""Moving bytes: runs of any length with whole vectors where they fit."""

from .builder import Builder, Pointer, Value, i64
from .tir import tirx

_WIDTHS = (64, 16, 8)
"""Bytes that are moved together, in runs that are at least as long."""


def copy_run(b: Builder, to: Pointer, to_offset: Value, source: Pointer, from_offset: Value, count: Value) -> None:
    """Copy `count` bytes. Exact: a last part that is not full overlaps the one before it."""
    for i, width in enumerate(_WIDTHS):
        applies = count >= width if i == 0 else tirx.And(count >= width, count < _WIDTHS[i - 1])
        with b.when(applies), b.range(0, tirx.truncdiv(count + (width - 1), i64(width))) as part:
            at = b.let(tirx.min(part * width, count - width))
            to.store(to_offset + at, source.load(from_offset + at, "int8", width), "int8", width)
    with b.when(count < _WIDTHS[-1]), b.range(0, count) as i:
        to.store(to_offset + i, source.load(from_offset + i, "int8"), "int8")
