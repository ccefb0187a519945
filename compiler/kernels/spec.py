"""What lowering asks of code generation: a member of a kernel family."""

from dataclasses import dataclass
from typing import Protocol


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


@dataclass(frozen=True)
class Kernel:
    """A kernel that a plan needs. `family` names the template module, whose `build(spec, isa)` makes the code."""

    family: str
    spec: KernelSpec
