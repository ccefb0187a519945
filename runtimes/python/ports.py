"""What a model and its sessions say of themselves: tensors, time, memory."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Port:
    """An input or output. Quantized ones hold integers: real = (value - zero_point) * scale.

    Where shapes differ from run to run, `shape` is the largest, and an input's `ranges` has what each extent can be.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int | None = None
    alignment: int = 1
    ranges: tuple[range, ...] = ()

    def __str__(self) -> str:
        return f"'{self.name}' {self.dtype}[{', '.join(map(_extent_text, self.ranges or self.shape))}]"


@dataclass(frozen=True)
class State:
    """A tensor that sessions keep from run to run: `input` and `output` are its names before and after a run."""

    input: str
    output: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class StepProfile:
    """Time spent in one step: `ns` over all `runs`, summed over threads."""

    name: str
    kernel: str
    runs: int
    ns: int
    macs: int


@dataclass(frozen=True)
class Memory:
    """Bytes in use by a session: working memory, mapped weights (shared by all sessions), everything else."""

    arena: int
    weights: int
    runtime: int


def _extent_text(extent: int | range) -> str:
    if isinstance(extent, int) or len(extent) == 1:
        return str(extent if isinstance(extent, int) else extent[0])
    return f"{extent[0]}..{extent[-1]}" + (f"/{extent.step}" if extent.step != 1 else "")
