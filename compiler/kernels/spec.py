"""What lowering asks of code generation: a member of a kernel family."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from .emit.isa import Isa


class KernelSpec(Protocol):
    """What every family's Spec has. A spec's `repr` tells it apart from all others of its family."""

    @property
    def symbol(self) -> str:
        """The kernel's name in plans, symbols and profiles."""
        ...

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the kernel's int32 parameters, in order."""
        ...


@runtime_checkable
class SharedSpec(KernelSpec, Protocol):
    """A spec that may differ from others in what some ISA's code does not depend on."""

    @property
    def dtype(self) -> str:
        """Of what is computed with."""
        ...

    def seen_by(self, isa: Isa) -> KernelSpec:
        """The spec whose code serves this one too; its parameters are the same, or the first of these."""
        ...

    @property
    def general(self) -> KernelSpec:
        """The spec whose code serves this one too, and others with the same parameters, a little slower."""
        ...

    @property
    def plain(self) -> KernelSpec:
        """The same without what pays only where such kernels do much of a model's work."""
        ...


@dataclass(frozen=True)
class Kernel:
    """A kernel that a plan needs. `family` names the template module, whose `build(spec, isa)` makes the code."""

    family: str
    spec: KernelSpec
