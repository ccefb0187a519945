"""The manifest: what a bundle says of itself, as `manifest.json` beside its other files."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from . import untrusted

FORMAT = 2
"""Version of the bundle format; a reader accepts its own only."""

MANIFEST = "manifest.json"
WEIGHTS = "weights.bin"
RUNNER = "run"
RUNTIME_HEADER = "edge.h"

MAX_BYTES = 1 << 40
MAX_RANK = 8
ITEM_BYTES = {
    **dict.fromkeys(("bool", "int8", "uint8"), 1),
    **dict.fromkeys(("int16", "uint16", "float16"), 2),
    **dict.fromkeys(("int32", "uint32", "float32"), 4),
    **dict.fromkeys(("int64", "uint64", "float64"), 8),
}
PRECISIONS = ("float32", "float16", "int8")
SYSTEMS = ("linux", "android")

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_MODEL_NAME = re.compile(r"[A-Za-z_]\w{0,99}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise ValueError(problem)


@dataclass(frozen=True)
class Variant:
    """Code for one level of CPU features; the runtime takes the first variant, best first,
    whose `features` the CPU has."""

    name: str
    features: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """`name` as given to --target; `triple` as LLVM writes it; `arch` is aarch64 or x86_64; `systems`: those that the
    bundle has a library for."""

    name: str
    triple: str
    arch: str
    variants: tuple[Variant, ...]
    systems: tuple[str, ...] = ("linux",)

    def __post_init__(self) -> None:
        known = len(set(self.systems)) == len(self.systems) and set(self.systems) <= set(SYSTEMS)
        _require(known and "linux" in self.systems, f"has the systems {[s[:80] for s in self.systems[:8]]}")


@dataclass(frozen=True)
class Affine:
    """real = (q - zero_point) * scale, for a quantized input or output."""

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        _require(math.isfinite(self.scale) and self.scale > 0, f"has scale {self.scale}, which is not positive")
        _require(abs(self.zero_point) < 2**31, "has a zero point outside int32")


@dataclass(frozen=True)
class Range:
    """An extent that differs from run to run: dimension `axis` is `min` to `max` in steps of `step`. What has the same
    `name` is the same number in a run; of an output it may also be a formula over such names."""

    axis: int
    name: str
    min: int
    max: int
    step: int

    def __post_init__(self) -> None:
        _require(0 <= self.min <= self.max and self.step > 0, f"is {self.min} to {self.max} in steps of {self.step}")

    def __str__(self) -> str:
        return f"{self.min}..{self.max}" + (f"/{self.step}" if self.step > 1 else "")


@dataclass(frozen=True)
class Tensor:
    """An input or output: dense, row-major, `dtype` as numpy names it. `shape` is the largest; the extents of which it
    has the `ranges` may be smaller."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quant: Affine | None = None
    ranges: tuple[Range, ...] = ()

    def __post_init__(self) -> None:
        _require(self.dtype in ITEM_BYTES, f"has dtype {self.dtype!r}; known: {', '.join(ITEM_BYTES)}")
        _require(len(self.shape) <= MAX_RANK, f"has {len(self.shape)} dimensions; at most {MAX_RANK} are accepted")
        _require(all(0 <= d < 2**31 for d in self.shape), f"has the impossible shape {list(self.shape)}")
        _require(self.nbytes <= MAX_BYTES, f"has the absurd shape {list(self.shape)}")
        axes = [r.axis for r in self.ranges]
        known = len(set(axes)) == len(axes) and all(0 <= axis < len(self.shape) for axis in axes)
        _require(known and all(r.max == self.shape[r.axis] for r in self.ranges), "has ranges that are not its shape's")

    @property
    def nbytes(self) -> int:
        """Bytes of the dense tensor."""
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]

    @property
    def extents(self) -> tuple[str, ...]:
        """The shape for people: `8`, or `1..8` where it differs from run to run."""
        ranges = {r.axis: str(r) for r in self.ranges}
        return tuple(ranges.get(axis, str(extent)) for axis, extent in enumerate(self.shape))


@dataclass(frozen=True)
class State:
    """A tensor that a session keeps from run to run, by the model's name for it after a run. It starts as zeros."""

    tensor: Tensor
    output: str


@dataclass(frozen=True)
class Memory:
    """Bytes that a session with one thread holds: `arena` (activations and scratch), `weights` (mapped,
    read-only, shared by sessions), `runtime` (the session's own structures), and `peak`, their sum.
    A session allocates nothing after its creation, so the peak is known before the model runs."""

    arena: int
    weights: int
    runtime: int
    peak: int

    def __post_init__(self) -> None:
        parts = (self.arena, self.weights, self.runtime)
        _require(all(0 <= n <= MAX_BYTES for n in parts), "is out of range")
        _require(self.peak == sum(parts), f"states a peak of {self.peak} bytes where its parts add up to {sum(parts)}")

    @staticmethod
    def of(arena: int, weights: int, runtime: int) -> "Memory":
        """With the peak worked out."""
        return Memory(arena, weights, runtime, arena + weights + runtime)


@dataclass(frozen=True)
class StepInfo:
    """One kernel call: the ONNX node or value it computes, the kernel's symbol, its multiply-accumulates."""

    name: str
    kernel: str
    macs: int


@dataclass(frozen=True)
class FileInfo:
    """What the file must hash to, and its size."""

    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        _require(_SHA256.fullmatch(self.sha256) is not None, "has a sha256 that is not 64 hex digits")
        _require(0 <= self.bytes <= MAX_BYTES, "has a size out of range")


@dataclass(frozen=True)
class Manifest:
    """Everything about a bundle that can be known without running it. `model` is a C identifier, and the name of the
    library, the header and their symbols; `tools`: tool -> version that made it; `files`: every file beside the
    manifest itself (filled by `write_bundle`). `code_bytes` is the size of the Linux library's file: the kernels of all
    variants, the plan's tables and the runtime, and what little ELF needs to load them."""

    model: str
    edgec: str
    tools: Mapping[str, str]
    target: Target
    precision: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    memory: Memory
    code_bytes: int
    macs: int
    steps: tuple[StepInfo, ...]
    files: Mapping[str, FileInfo] = field(default_factory=dict)
    states: tuple[State, ...] = ()
    format: int = FORMAT

    def __post_init__(self) -> None:
        _require(self.format == FORMAT, f"has bundle format {self.format}; this edgec reads format {FORMAT}")
        _require(_MODEL_NAME.fullmatch(self.model) is not None, f"has the model name {self.model[:80]!r}")
        _require(self.precision in PRECISIONS, f"has precision {self.precision[:80]!r}")
        for ports in (self.inputs, self.outputs, tuple(state.tensor for state in self.states)):
            names = [p.name for p in ports]
            _require(len(set(names)) == len(names), "has two inputs, outputs or states of the same name")
        for name in self.files:
            _require(_FILE_NAME.fullmatch(name) is not None and name != MANIFEST, f"has the file name {name[:80]!r}")

    @property
    def library(self) -> str:
        """File name of the shared library for Linux."""
        return library_name(self.model, "linux")

    @property
    def libraries(self) -> tuple[str, ...]:
        """File names of all shared libraries, one for each of the target's systems."""
        return tuple(library_name(self.model, system) for system in self.target.systems)

    @property
    def header(self) -> str:
        """File name of the C header."""
        return f"{self.model}.h"


def library_name(model: str, system: str) -> str:
    """File name, and SONAME, of the shared library of `model` for one of `SYSTEMS`."""
    return f"lib{model}.so" if system == "linux" else f"lib{model}_{system}.so"


def to_json(manifest: Manifest) -> str:
    """The manifest as JSON text; equal manifests give equal text."""
    table = {"format": manifest.format, **asdict(manifest)}
    table["tools"] = dict(sorted(manifest.tools.items()))
    table["files"] = {name: asdict(info) for name, info in sorted(manifest.files.items())}
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str, source: str) -> Manifest:
    """The manifest that `to_json` wrote. The text is untrusted: EdgeError (naming `source`) for anything else."""
    return untrusted.parse(Manifest, text, source)
