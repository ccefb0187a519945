"""The cores that are modelled."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import EdgeError


@dataclass(frozen=True)
class Cache:
    """A data cache: `kib` KiB in lines of 64 bytes, in sets of `ways`. A miss costs `miss` cycles on average, on top of
    what the next nearer cache's miss costs; prefetching and overlap are in that number."""

    kib: int
    ways: int
    miss: float


@dataclass(frozen=True)
class Core:
    """`emulated`: the CPU that qemu plays for it, which has the same instructions. `peak`: multiply-accumulates a cycle
    at most, by the precision of a bundle."""

    name: str
    emulated: str
    l1: Cache
    l2: Cache
    peak: Mapping[str, int]


CORES = {
    core.name: core
    for core in (
        # smlal: 8 products an instruction, one a cycle
        Core("cortex-a53", "cortex-a53", Cache(32, 4, 2.5), Cache(512, 8, 32), {"int8": 8, "float32": 4}),
        # sdot: 16, one a cycle
        Core("cortex-a55", "cortex-a76", Cache(32, 4, 0), Cache(128, 8, 26), {"int8": 16, "float32": 4}),
        # two a cycle
        Core("cortex-a76", "cortex-a76", Cache(64, 4, 1), Cache(512, 8, 3), {"int8": 32, "float32": 8}),
        # smmla: 32, two a cycle
        Core("cortex-a710", "max", Cache(64, 4, 1), Cache(512, 8, 3), {"int8": 64, "float32": 8}),
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
