"""Code for other machines on this one, under qemu: right bytes and right faults, but no real times."""

import shutil
import subprocess
from functools import cache
from typing import Literal

from ...errors import EdgeError
from .device import DeviceInfo
from .local import LocalDevice


class QemuDevice(LocalDevice):
    """`qemu` or `qemu:CPU`: cortex-a53 is plain Armv8.0, cortex-a76 has dotprod, max everything that qemu knows;
    rv64,v=true is riscv64 with vectors."""

    kind: Literal["measured", "emulated"] = "emulated"

    def __init__(self, cpu: str) -> None:
        self.cpu = cpu
        self.arch = "riscv64" if cpu.startswith("rv64") else "aarch64"
        self.name = f"qemu:{cpu}"

    def query(self) -> DeviceInfo:
        """The emulator's machine; EdgeError where it is not installed or does not know the CPU."""
        _check_cpu(_find(self.arch), self.cpu)
        return DeviceInfo(self.name, self.arch, super().query().cpus)

    def prefix(self) -> list[str]:
        """The emulator and the CPU to be."""
        return [_find(self.arch), "-cpu", self.cpu]


def _find(arch: str) -> str:
    for program in (f"qemu-{arch}", f"qemu-{arch}-static"):
        if path := shutil.which(program):
            return path
    raise EdgeError(f"qemu-{arch} is needed for device 'qemu'; install it with: sudo apt-get install -y qemu-user")


@cache
def _check_cpu(qemu: str, cpu: str) -> None:
    listed = subprocess.run([qemu, "-cpu", "help"], capture_output=True, text=True, check=False).stdout
    known = listed.split(":", 1)[-1].split()
    if cpu.split(",")[0] not in known:
        raise EdgeError(f"{qemu} has no CPU '{cpu}'; it has {', '.join(known) or 'none'}")
