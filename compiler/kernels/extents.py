"""`extents`: integers that the runtime computes from the shapes of a run, written as a tensor. One tile."""

from dataclasses import dataclass

from .emit.builder import Builder, cast, define
from .emit.isa import Isa

OPERANDS = ("y",)

MOST = 8
"""Elements that a step writes."""


@dataclass(frozen=True)
class ExtentsSpec:
    """`count` elements of `dtype`, int32 or int64."""

    dtype: str
    count: int

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        return f"{self.dtype}_extents{self.count}"

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's parameters, in order."""
        return tuple(f"value_{i}" for i in range(self.count))


def build(spec: ExtentsSpec, isa: Isa) -> object:
    """The TIR function of `spec`, the same for all ISAs."""
    return define(spec.symbol, OPERANDS, spec.params, lambda b: _body(b, spec))


def _body(b: Builder, spec: ExtentsSpec) -> None:
    size = {"int32": 4, "int64": 8}[spec.dtype]
    with b.tiles() as t:
        for i, name in enumerate(spec.params):
            b.pointer("y").store(t + i * size, cast(b.param(name), spec.dtype, 1), spec.dtype)
