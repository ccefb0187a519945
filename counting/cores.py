"""The cores that are modelled."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import EdgeError
from . import inorder
from .models import InOrder, Model, OutOfOrder


@dataclass(frozen=True)
class Cache:
    """A data cache: `kib` KiB in lines of 64 bytes, in sets of `ways`. A miss costs `miss` cycles on average, on top of
    what the next nearer cache's miss costs. Prefetching and overlap are in that number, which was fitted to published
    times of convolutional networks on single-board computers (A53, A55, A76; A710 has A76's)."""

    kib: int
    ways: int
    miss: float


@dataclass(frozen=True)
class Core:
    """`emulated`: the CPU that qemu plays for it, which has the same instructions. `feature`: what the runtime would
    find on the core itself beside them; the code is that of the first variant with it. `peak`: multiply-accumulates a
    cycle at most, by the precision of a bundle."""

    name: str
    emulated: str
    model: Model
    l1: Cache
    l2: Cache
    peak: Mapping[str, int]
    feature: str | None = None


CORES = {
    core.name: core
    for core in (
        # int8: smlal, 8 products, one a cycle. Exact sums do not reach that: int16 holds two products, and sadalp, one
        # a cycle as well, adds them to int32: 5.33 products a cycle, 6.4 where four fit. float16: in float32
        Core(
            name="cortex-a53",
            emulated="cortex-a53",
            model=InOrder(inorder.A53),
            l1=Cache(32, 4, 2.5),
            l2=Cache(512, 8, 32),
            peak={"int8": 8, "float32": 4, "float16": 4},
        ),
        Core(  # sdot, 16 products, one a cycle
            name="cortex-a55",
            emulated="cortex-a76",
            model=InOrder(inorder.A55),
            l1=Cache(32, 4, 0),
            l2=Cache(128, 8, 26),
            peak={"int8": 16, "float32": 4, "float16": 8},
            feature="inorder",
        ),
        Core(  # two sdot a cycle; LLVM has a model of Neoverse N1, the same core for servers
            name="cortex-a76",
            emulated="cortex-a76",
            model=OutOfOrder("neoverse-n1", dispatch=4, vectors=2, ports=2),
            l1=Cache(64, 4, 1),
            l2=Cache(512, 8, 3),
            peak={"int8": 32, "float32": 8, "float16": 16},
        ),
        Core(  # two smmla of 32 products a cycle
            name="cortex-a710",
            emulated="max",
            model=OutOfOrder("cortex-a710", dispatch=5, vectors=2, ports=3),
            l1=Cache(64, 4, 1),
            l2=Cache(512, 8, 3),
            peak={"int8": 64, "float32": 8, "float16": 16},
        ),
    )
}

_CORE_OF_CPU = {**{name: name for name in CORES}, "max": "cortex-a710"}


def core_of(device: str) -> Core:
    """The core that stands behind a device's name, `qemu:CPU`; EdgeError for a device whose instructions cannot be
    counted."""
    kind, _, cpu = device.partition(":")
    name = _CORE_OF_CPU.get(cpu or "cortex-a76")
    if kind != "qemu" or name is None:
        known = ", ".join(f"qemu:{cpu}" for cpu in _CORE_OF_CPU)
        raise EdgeError(f"instructions cannot be counted on device '{device}'; they can on {known}")
    return CORES[name]
