"""Moving bytes: runs of any length with whole vectors where they fit."""

from tvm import tirx

from .builder import Builder, Pointer, Value, i64

_VECTOR, _WORD = 16, 8


def copy_run(b: Builder, to: Pointer, to_offset: Value, source: Pointer, from_offset: Value, count: Value) -> None:
    """Copy `count` bytes. Exact: a last part that is not full overlaps the one before it."""
    _copy(b, _VECTOR, to, to_offset, source, from_offset, count, count >= _VECTOR)
    _copy(b, _WORD, to, to_offset, source, from_offset, count, tirx.And(count < _VECTOR, count >= _WORD))
    with b.when(count < _WORD), b.range(0, count) as i:
        to.store(to_offset + i, source.load(from_offset + i, "int8"), "int8")


def _copy(
    b: Builder, width: int, to: Pointer, to_offset: Value, source: Pointer, from_offset: Value, count: Value,
    applies: Value,
) -> None:  # fmt: skip
    with b.when(applies), b.range(0, tirx.truncdiv(count + (width - 1), i64(width))) as i:
        at = b.let(tirx.min(i * width, count - width))
        to.store(to_offset + at, source.load(from_offset + at, "int8", width), "int8", width)
