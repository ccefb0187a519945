"""What a device is: a place where a bundle's runner can be executed and files can be put and fetched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from ..python.ports import StepProfile

Array = np.ndarray[Any, np.dtype[Any]]

EMULATED_CPUS: Mapping[str, str] = {"aarch64": "cortex-a76", "riscv64": "rv64,v=true"}
"""Architectures that qemu emulates here, and the CPU that it then is by default."""


class TensorPort(Protocol):
    """What running needs to know of an input or output: anything with these three attributes."""

    @property
    def name(self) -> str:
        """Name in the model."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of the dense, row-major tensor; the largest, where they differ from run to run."""
        ...

    @property
    def dtype(self) -> str:
        """Name of the element's numpy dtype."""
        ...


@dataclass(frozen=True)
class RunOptions:
    """How to run.

    `mark` brackets the last inference with `hint #72` / `hint #73`, for `counting/`. `guard` finds kernels that write
    beside the arena, read what was never written there, or step over the end of an input or output.
    """

    threads: int = 1
    repeat: int = 1
    warmup: int = 0
    mark: bool = False
    profile: bool = False
    guard: bool = False
    affinity: str | None = None
    variant: str | None = None
    timeout: float = 600.0


@dataclass(frozen=True)
class Latency:
    """Nanoseconds per inference; nine of ten take at most `p90`. `cold`: to open the model and a session and to run the
    first one. "emulated" times say nothing about a real device."""

    cold: int
    min: int
    median: int
    p90: int
    max: int
    kind: Literal["measured", "emulated"]


@dataclass(frozen=True)
class RunReport:
    """Outputs and figures of a run; `memory` has the bytes of `arena`, `weights` and `runtime`. The profile counts runs
    to warm up as well."""

    outputs: dict[str, Array]
    latency: Latency
    variant: str
    threads: int
    memory: dict[str, int]
    profile: list[StepProfile]


@dataclass(frozen=True)
class DeviceInfo:
    """What a device says it is."""

    name: str
    arch: str
    cpus: int


class Device(Protocol):
    """Local machine or emulator."""

    @property
    def name(self) -> str:
        """As given on the command line."""
        ...

    def query(self) -> DeviceInfo:
        """What is there; EdgeError where nothing answers."""
        ...

    def push(self, local: Path) -> str:
        """Makes a file or folder available on the device and returns its path there."""
        ...

    def pull(self, remote: str, local: Path) -> None:
        """Fetches a file from the device."""
        ...

    def run(
        self,
        bundle: Path,
        inputs: Sequence[TensorPort],
        outputs: Sequence[TensorPort],
        arrays: Mapping[str, Array],
        out_dir: Path | None = None,
        options: RunOptions | None = None,
    ) -> RunReport:
        """Runs a bundle. Inputs without an array get fixed pseudo-random values, in their largest shape.

        With `out_dir`, each output is also written there, as `<name>.npy`.
        """
        ...
